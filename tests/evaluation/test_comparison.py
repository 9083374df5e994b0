import numpy as np
import pytest
from scipy.stats import binomtest

from zerostart.evaluation.comparison import compared, mcnemar


def one_hot(values: np.ndarray, labels: int = 3) -> np.ndarray:
    return np.asarray(np.eye(labels, dtype=bool)[values])


@pytest.mark.parametrize("counts", [(0, 0), (1, 0), (3, 9), (9, 3), (20, 20), (400, 520)])
def test_the_p_value_is_the_binomial_tests(counts: tuple[int, int]) -> None:
    total = sum(counts)
    expected = binomtest(counts[0], total).pvalue if total else 1.0
    assert mcnemar(*counts) == pytest.approx(expected)


def test_one_that_is_better_is_called_better_both_ways_round() -> None:
    generator = np.random.default_rng(0)
    truth = generator.integers(0, 3, 400)
    poor = np.where(generator.random(400) < 0.5, truth, (truth + 1) % 3)
    good = np.where(generator.random(400) < 0.8, truth, (truth + 1) % 3)
    found = compared(one_hot(truth), one_hot(poor), one_hot(good))
    assert (found.verdict, found.p_value < 0.001) == ("better", True)
    assert found.accuracy.value == pytest.approx((good == truth).mean() - (poor == truth).mean())
    assert found.accuracy.low < found.accuracy.value < found.accuracy.high
    assert compared(one_hot(truth), one_hot(good), one_hot(poor)).verdict == "worse"
    assert "B is better than A" in found.sentence("A", "B")


def test_two_that_differ_by_chance_are_not_told_apart() -> None:
    generator = np.random.default_rng(1)
    truth = generator.integers(0, 3, 60)
    a, b = (np.where(generator.random(60) < 0.7, truth, (truth + 1) % 3) for _ in range(2))
    found = compared(one_hot(truth), one_hot(a), one_hot(b))
    assert found.verdict == "undecided"
    assert "do not tell B from A" in found.sentence("A", "B")


def test_the_same_answers_are_no_difference() -> None:
    truth = np.array([0, 1, 2, 0])
    found = compared(one_hot(truth), one_hot(truth), one_hot(truth))
    assert (found.verdict, found.p_value) == ("undecided", 1.0)
    assert (found.macro_f1.low, found.macro_f1.high) == (0, 0)
