import numpy as np
import pytest
from sklearn import metrics as sklearn

from zerostart.evaluation.calibration import coverage, fitted_temperature, reliability
from zerostart.evaluation.metrics import Counts, by_label, counted, figures
from zerostart.evaluation.scoring import Scored
from zerostart.evaluation.thresholds import best_f1, for_best_f1, for_precision
from zerostart.nli.profile import NEVER, adjusted


def one_hot(values: list[int], labels: int) -> np.ndarray:
    return np.eye(labels, dtype=bool)[values]


def test_figures_of_a_case_made_by_hand() -> None:
    # a: 3 rows, 2 right; b: 1 row, right; c: 2 rows, none right
    right, answers = one_hot([0, 0, 0, 1, 2, 2], 3), one_hot([0, 0, 1, 1, 0, 1], 3)
    found = figures(right, answers, multi_label=False)
    assert found["accuracy"].value == pytest.approx(3 / 6)
    assert found["balanced_accuracy"].value == pytest.approx((2 / 3 + 1 + 0) / 3)
    assert found["macro_f1"].value == pytest.approx((2 * 2 / 6 + 2 * 1 / 4 + 0) / 3)
    assert [(each.precision, each.recall, each.support, each.answered) for each in by_label("abc", right, answers)] == [
        (pytest.approx(2 / 3), pytest.approx(2 / 3), 3, 3),
        (pytest.approx(1 / 3), 1, 1, 3),
        (0, 0, 2, 0),
    ]


def test_figures_are_scikit_learns_and_lie_in_their_intervals() -> None:
    generator = np.random.default_rng(1)
    truth = generator.integers(0, 5, 300)
    answers = np.where(generator.random(300) < 0.6, truth, generator.integers(0, 5, 300))
    found = figures(one_hot(list(truth), 5), one_hot(list(answers), 5), multi_label=False)
    assert found["accuracy"].value == pytest.approx(sklearn.accuracy_score(truth, answers))
    assert found["macro_f1"].value == pytest.approx(sklearn.f1_score(truth, answers, average="macro"))
    assert found["balanced_accuracy"].value == pytest.approx(sklearn.balanced_accuracy_score(truth, answers))
    for each in found.values():
        assert each.low < each.value < each.high
    # of a share of 300 rows the interval is as wide as the normal one
    share = found["accuracy"]
    spread = 1.96 * np.sqrt(share.value * (1 - share.value) / 300)
    assert share.high - share.low == pytest.approx(2 * spread, rel=0.15)


def test_a_label_without_rows_does_not_pull_the_mean_down() -> None:
    right, answers = one_hot([0, 1], 3), one_hot([0, 1], 3)
    assert counted(right, answers).macro_f1() == 1
    assert figures(right, answers, multi_label=False)["macro_f1"].low == 1


def test_multi_label_figures_are_scikit_learns() -> None:
    generator = np.random.default_rng(2)
    right = generator.random((200, 4)) < 0.3
    scores = np.clip(right * 0.4 + generator.random((200, 4)) * 0.6, 0, 1)
    scored = Scored(scores)
    found = figures(right, scored.answers, multi_label=True)
    assert found["macro_f1"].value == pytest.approx(sklearn.f1_score(right, scores >= 0.5, average="macro"))
    assert found["micro_f1"].value == pytest.approx(sklearn.f1_score(right, scores >= 0.5, average="micro"))
    areas = [each.auc for each in by_label("abcd", right, scored.answers, scored)]
    assert areas == pytest.approx(sklearn.roc_auc_score(right, scores, average=None))
    always = np.ones((3, 1), dtype=bool)
    assert by_label("a", always, always, Scored(np.ones((3, 1))))[0].auc is None


def test_counts_of_nothing_are_no_error() -> None:
    nothing = Counts(np.zeros(2), np.zeros(2), np.zeros(2))
    assert nothing.macro_f1() == nothing.accuracy() == nothing.micro_f1() == 0


def test_calibration_error_of_a_case_made_by_hand() -> None:
    # two answers at 0.95, one right; two at 0.55, both right
    found = reliability(np.array([0.95, 0.95, 0.55, 0.55]), np.array([True, False, True, True]))
    assert found.ece == pytest.approx(0.5 * 0.45 + 0.5 * 0.45)
    assert [(each.count, each.right) for each in found.bins if each.count] == [(2, 1.0), (2, 0.5)]
    assert reliability(np.array([1.0, 0.0]), np.array([True, False])).ece == 0


def test_the_coverage_curve_takes_rows_of_one_score_together() -> None:
    points = coverage(np.array([0.9, 0.8, 0.8, 0.1]), np.array([True, True, False, False]))
    assert [(each.threshold, each.coverage, each.accuracy) for each in points] == [
        (0.9, 0.25, 1.0),
        (0.8, 0.75, pytest.approx(2 / 3)),
        (0.1, 1.0, 0.5),
    ]


@pytest.mark.parametrize("multi_label", [False, True])
@pytest.mark.parametrize("true", [0.4, 1.0, 3.0])
def test_the_temperature_that_spoilt_the_scores_is_found(multi_label: bool, true: float) -> None:
    generator = np.random.default_rng(3)
    logits = generator.normal(0, 2, (4000, 4))
    if multi_label:
        likely = 1 / (1 + np.exp(-logits))
        right = generator.random(likely.shape) < likely
    else:
        likely = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        right = (generator.random((4000, 1)) < likely.cumsum(axis=1)).cumsum(axis=1) == 1
    spoilt = adjusted(likely, np.zeros(4), 1 / true, multi_label=multi_label)
    assert fitted_temperature(spoilt, np.zeros(4), right, multi_label=multi_label) == pytest.approx(true, rel=0.1)


def test_the_threshold_of_best_f1_is_scikit_learns() -> None:
    generator = np.random.default_rng(4)
    right = generator.random(400) < 0.3
    scores = right * 0.3 + generator.random(400) * 0.7
    precision, recall, _ = sklearn.precision_recall_curve(right, scores)
    best = (2 * precision * recall / (precision + recall + 1e-12)).max()
    assert best_f1(scores, right) == pytest.approx(best)
    assert sklearn.f1_score(right, scores >= for_best_f1(scores, right)) == pytest.approx(best)
    assert for_best_f1(scores, np.zeros(400, dtype=bool)) == NEVER


def test_a_wanted_precision_is_reached_on_other_rows() -> None:
    generator = np.random.default_rng(5)

    def drawn(count: int) -> tuple[np.ndarray, np.ndarray]:
        scores = generator.random(count)
        return scores, generator.random(count) < scores

    reached = []
    for _ in range(100):
        threshold = for_precision(*drawn(400), 0.8)
        scores, right = drawn(10_000)
        reached.append(right[scores >= threshold].mean())
    assert np.mean(np.array(reached) >= 0.8) >= 0.88
    assert np.mean(reached) < 0.89, "no more is given up than is needed"


def test_what_cannot_be_reached_is_never() -> None:
    assert for_precision(np.array([0.9, 0.8]), np.array([True, True]), 0.99) == NEVER, "two rows show nothing"
    assert for_precision(np.array([]), np.array([], dtype=bool), 0.5) == NEVER
