"""Shortlists: which labels are scored, and how the answer is put together."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zerostart.errors import InvalidInput
from zerostart.nli.classification import Classification, ClassificationRequest
from zerostart.nli.labels import labels_per_text
from zerostart.nli.shortlist import merged, narrowed, needs_ranking, shortlist_choice, shortlist_size, written_shortlist

NAMES = [f"label {number}" for number in range(40)]


def request(labels: list[str], shortlist: object) -> ClassificationRequest:
    return ClassificationRequest(
        ("a text", "another"), labels_per_text(labels, 2), shortlist=shortlist_choice(shortlist, "shortlist")
    )


def ranking(text: str, names: list[str]) -> Classification:
    """By an embedding: single-label scores, falling."""
    powers = [0.8**place for place in range(len(names))]
    return Classification(text, tuple(names), tuple(power / sum(powers) for power in powers))


@pytest.mark.parametrize("value", [0, -3, 1.5, True, "many", [5], {}])
def test_what_is_no_number_of_labels_is_refused(value: object) -> None:
    with pytest.raises(InvalidInput, match="how many labels the model shall score"):
        shortlist_choice(value, "parameters.shortlist")


def test_auto_is_for_many_labels() -> None:
    assert (shortlist_size("auto", 30), shortlist_size("auto", 31), shortlist_size("auto", 150)) == (30, 10, 10)
    assert (shortlist_size(None, 150), shortlist_size(10, 150), shortlist_size(10, 4)) == (150, 10, 4)
    assert (written_shortlist("12", "x"), written_shortlist("auto", "x"), written_shortlist("", "x")) == (
        12,
        "auto",
        None,
    )
    assert needs_ranking(request(NAMES, 39))
    assert not needs_ranking(request(NAMES, 40))
    assert not needs_ranking(request(NAMES, None))


def test_each_text_keeps_its_own_best_labels_in_the_callers_order() -> None:
    asked = request(["a", "b", "c", "d"], 2)
    best = narrowed(asked, [ranking("a text", ["d", "a", "c", "b"]), ranking("another", ["c", "b", "a", "d"])])
    assert [[label.name for label in labels] for labels in best.labels] == [["a", "d"], ["b", "c"]]
    assert best.shortlist is None


@given(st.permutations(NAMES), st.integers(1, 39), st.booleans(), st.randoms())
def test_the_answer_has_every_label_the_scored_first_and_none_above_them(
    order: list[str], size: int, multi_label: bool, chosen: object
) -> None:
    ranked = ranking("a text", order)
    scores = sorted((0.01 + chosen.random() for _ in range(size)), reverse=True)  # type: ignore[attr-defined]
    total = 1.01 if multi_label else sum(scores)
    best = order[:size]
    chosen.shuffle(best)  # type: ignore[attr-defined]
    scored = Classification("a text", tuple(best), tuple(score / total for score in scores))
    answer = merged(scored, ranked, multi_label=multi_label)
    assert answer.shortlist == size
    assert answer.labels[:size] == scored.labels
    assert list(answer.labels[size:]) == [name for name in order if name not in best], "in the order of the ranking"
    assert list(answer.scores) == sorted(answer.scores, reverse=True)
    assert all(0 <= score <= 1 for score in answer.scores)
    if multi_label:
        assert answer.scores[:size] == scored.scores
    else:
        assert sum(answer.scores) == pytest.approx(1)


def test_where_every_label_was_scored_the_scores_are_as_they_were() -> None:
    scored = Classification("a", ("x", "y"), (0.7, 0.3))
    assert merged(scored, ranking("a", ["y", "x"]), multi_label=False) is scored
