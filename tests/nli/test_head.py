from itertools import permutations

import pytest

from zerostart.errors import InvalidArtefact
from zerostart.nli.head import find_nli_head


@pytest.mark.parametrize("classes", list(permutations(["entailment", "neutral", "contradiction"])))
def test_the_columns_are_found_by_name_in_any_order(classes: tuple[str, ...]) -> None:
    head = find_nli_head(classes)
    assert classes[head.entailment] == "entailment"
    assert classes[head.contradiction] == "contradiction"


@pytest.mark.parametrize(
    ("classes", "entailment", "against"),
    [
        (["CONTRADICTION", "Neutral", "ENTAILMENT"], 2, 0),
        ([" Entailment ", "neutral", "contradiction"], 0, 2),
        (["entailment", "not_entailment"], 0, 1),
        (["not_entailment", "entailment"], 1, 0),
        (["Not Entailment", "entailment"], 1, 0),
        (["entailment", "not-entailment"], 0, 1),
        (["contradiction", "entailment"], 1, 0),
    ],
)
def test_case_blanks_and_two_class_heads(classes: list[str], entailment: int, against: int) -> None:
    head = find_nli_head(classes)
    assert (head.entailment, head.contradiction) == (entailment, against)


@pytest.mark.parametrize(
    "classes",
    [
        ["negative", "positive"],
        ["LABEL_0", "LABEL_1", "LABEL_2"],
        ["entailment"],
        ["entailment", "neutral"],
        ["neutral", "contradiction"],
        ["entailment", "not_entailment", "contradiction"],
        ["entailment", "contradiction", "Entailment"],
        ["entailment", "neutral", "contradiction", "other"],
        [],
    ],
)
def test_a_head_that_cannot_judge_entailment_is_refused_with_its_classes(classes: list[str]) -> None:
    with pytest.raises(InvalidArtefact) as caught:
        find_nli_head(classes)
    for name in classes or ["none"]:
        assert name in caught.value.message
    assert "id2label" in caught.value.message
