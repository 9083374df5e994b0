import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from zerostart.errors import InvalidLogits
from zerostart.nli.head import find_nli_head
from zerostart.nli.scoring import best_windows, label_scores, ranking

HEAD = find_nli_head(["entailment", "neutral", "contradiction"])
LOGITS = np.array([[2.0, 9.0, -1.0], [0.5, -9.0, 3.0], [2.0, 0.0, 2.0]])
some_logits = arrays(np.float32, st.tuples(st.integers(1, 6), st.just(3)), elements=st.floats(-1e4, 1e4, width=32))


def test_single_label_is_a_softmax_of_entailment_over_the_labels() -> None:
    powers = np.exp([2.0, 0.5, 2.0])
    np.testing.assert_allclose(label_scores(LOGITS, HEAD, multi_label=False), powers / powers.sum())


def test_multi_label_weighs_entailment_against_contradiction_and_ignores_neutral() -> None:
    expected = 1 / (1 + np.exp([-3.0, 2.5, 0.0]))
    np.testing.assert_allclose(label_scores(LOGITS, HEAD, multi_label=True), expected)


def test_two_class_heads_weigh_entailment_against_the_rest() -> None:
    head = find_nli_head(["entailment", "not_entailment"])
    np.testing.assert_allclose(label_scores(np.array([[1.0, -1.0]]), head, multi_label=True), [1 / (1 + np.exp(-2.0))])


def test_one_label_alone_behaves_as_multi_label() -> None:
    np.testing.assert_array_equal(
        label_scores(LOGITS[:1], HEAD, multi_label=False), label_scores(LOGITS[:1], HEAD, multi_label=True)
    )


def test_huge_logits_do_not_overflow() -> None:
    scores = label_scores(np.array([[5000.0, 0, -5000.0], [-5000.0, 0, 5000.0]]), HEAD, multi_label=False)
    assert scores.tolist() == [1.0, 0.0]


@pytest.mark.parametrize("broken", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("column", [0, 1, 2])
def test_a_logit_that_is_no_number_is_an_error_whatever_its_column(broken: float, column: int) -> None:
    logits = LOGITS.copy()
    logits[1, column] = broken
    with pytest.raises(InvalidLogits, match="NaN or infinity"):
        label_scores(logits, HEAD, multi_label=False)


@given(some_logits)
def test_scores_are_probabilities(logits: NDArray[np.float32]) -> None:
    single, multi = (label_scores(logits, HEAD, multi_label=multi) for multi in (False, True))
    assert ((multi >= 0) & (multi <= 1)).all()
    assert len(single) == 1 or np.isclose(single.sum(), 1)


def test_ranking_is_highest_first_and_ties_stay_in_the_order_given() -> None:
    assert ranking(np.array([0.2, 0.4, 0.2, 0.4])).tolist() == [1, 3, 0, 2]


def test_single_label_takes_the_window_with_the_most_entailment() -> None:
    logits = np.array([[1.0, 0, -9.0], [0.0, 0, 0], [2.0, 0, 9.0], [-1.0, 0, 0]])
    best = best_windows(logits, np.array([0, 1, 0, 1]), 2, HEAD, multi_label=False)
    np.testing.assert_array_equal(best, logits[[2, 1]])


def test_multi_label_takes_the_window_with_the_widest_margin() -> None:
    logits = np.array([[1.0, 0, -9.0], [0.0, 0, 0], [2.0, 0, 9.0], [-1.0, 0, -5.0]])
    best = best_windows(logits, np.array([0, 1, 0, 1]), 2, HEAD, multi_label=True)
    np.testing.assert_array_equal(best, logits[[0, 3]])


@pytest.mark.parametrize("place", [0, 1, 2, 3])
def test_a_broken_window_is_never_hidden_by_a_good_one(place: int) -> None:
    logits = np.zeros((4, 3))
    logits[place, HEAD.entailment] = np.nan
    best = best_windows(logits, np.array([0, 1, 0, 1]), 2, HEAD, multi_label=False)
    with pytest.raises(InvalidLogits):
        label_scores(best, HEAD, multi_label=False)
