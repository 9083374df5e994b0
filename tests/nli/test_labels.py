from typing import Any

import pytest

from zerostart.errors import InvalidInput
from zerostart.nli.labels import labels_per_text, parse_labels


def names(value: Any) -> list[str]:
    return [label.name for label in parse_labels(value)]


def test_a_comma_separated_string_is_split_and_stripped() -> None:
    assert names(" travel, new year ,, cooking,") == ["travel", "new year", "cooking"]


def test_a_label_in_a_list_may_hold_a_comma() -> None:
    assert names(["food, drink", "travel"]) == ["food, drink", "travel"]


def test_the_answer_has_the_name_and_the_hypothesis_the_description() -> None:
    (label,) = parse_labels({"pos": "a happy customer"})
    assert (label.name, label.description) == ("pos", "a happy customer")


def test_a_label_without_a_description_describes_itself() -> None:
    (label,) = parse_labels(["travel"])
    assert label.description == "travel"


@pytest.mark.parametrize(
    ("value", "parts"),
    [
        (None, ["'candidate_labels' is null", "a list of strings"]),
        (7, ["the number 7"]),
        (True, ["the boolean True"]),
        (b"a,b", ["'candidate_labels' is bytes"]),
        ([], ["is empty", "at least one label"]),
        ({}, ["is empty"]),
        (" , ,", ["is empty"]),
        (["a", 3], ["'candidate_labels[1]'", "the number 3", "send a string"]),
        (["a", " "], ["'candidate_labels[1]'", "' '", "not blank"]),
        (["a", "b", "a"], ["'a' twice", "each label once"]),
        ("a,b,a", ["'a' twice"]),
        ({"a": ""}, ["candidate_labels['a']", "not blank"]),
        ({"a": None}, ["candidate_labels['a']", "null"]),
        (["\ud800"], ["surrogate", "valid Unicode"]),
    ],
)
def test_a_refusal_names_the_key_the_value_and_the_remedy(value: Any, parts: list[str]) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_labels(value)
    for part in parts:
        assert part in caught.value.message


def test_one_set_of_labels_serves_all_texts() -> None:
    first, second = labels_per_text("a,b", 2)
    assert first == second == parse_labels(["a", "b"])


def test_each_text_may_have_labels_of_its_own() -> None:
    own = labels_per_text([["a", "b"], {"c": "a description"}], 2)
    assert [[label.name for label in labels] for labels in own] == [["a", "b"], ["c"]]


def test_lists_of_labels_must_match_the_texts_in_number() -> None:
    with pytest.raises(InvalidInput, match="2 lists of labels for 3 texts"):
        labels_per_text([["a"], ["b"]], 3)


def test_an_empty_list_among_lists_is_named_by_its_place() -> None:
    with pytest.raises(InvalidInput, match=r"'candidate_labels\[1\]' is empty"):
        labels_per_text([["a"], []], 2)


def test_a_long_value_is_shortened_in_the_message() -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_labels(["x" * 5000, {"y": 1}])
    assert len(caught.value.message) < 300
