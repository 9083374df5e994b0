"""How right answers are: figures by scikit-learn, with intervals by resampling the rows.

A 95 % interval is of 1,000 bootstrap resamples with a fixed seed (Efron & Tibshirani 1993). Means over labels are over
those that occur in the file.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zerostart.errors import MissingExtra
from zerostart.evaluation.rows import Flags
from zerostart.evaluation.scoring import Scored

RESAMPLES = 1000
Values = NDArray[np.float64]
_CELLS_AT_ONCE = 2_000_000


@dataclass(frozen=True)
class Interval:
    """A figure, and where it lies with 95 % confidence."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class LabelFigures:
    """Of one label: `support` is how many rows have it, `answered` how many got it; `auc` in multi-label."""

    name: str
    precision: float
    recall: float
    f1: float
    support: int
    answered: int
    auc: float | None = None


@dataclass(frozen=True)
class Counts:
    """Of each label, shape (..., labels): rows that have it and got it, rows that got it, rows that have it."""

    hits: Values
    answered: Values
    support: Values

    def f1(self) -> Values:
        """By label; 0 where there is neither."""
        return 2 * self.hits / np.maximum(self.answered + self.support, 1e-9)

    def recall(self) -> Values:
        """By label."""
        return self.hits / np.maximum(self.support, 1e-9)

    def macro(self, by_label: Values) -> Values:
        """The mean over labels that occur."""
        occurs = self.support > 0
        return np.asarray((by_label * occurs).sum(axis=-1) / np.maximum(occurs.sum(axis=-1), 1))

    def macro_f1(self) -> Values:
        """Mean F1."""
        return self.macro(self.f1())

    def balanced_accuracy(self) -> Values:
        """Mean recall."""
        return self.macro(self.recall())

    def accuracy(self) -> Values:
        """Of rows that have one label each."""
        return np.asarray(self.hits.sum(axis=-1) / np.maximum(self.support.sum(axis=-1), 1e-9))

    def micro_f1(self) -> Values:
        """F1 over all labels together."""
        total = (self.answered + self.support).sum(axis=-1)
        return np.asarray(2 * self.hits.sum(axis=-1) / np.maximum(total, 1e-9))


Statistic = Callable[[Counts], Values]


def given(scored: Scored, *, multi_label: bool) -> Flags:
    """The labels that rows were given, shape (rows, labels)."""
    return scored.answers if multi_label else np.eye(scored.scores.shape[1], dtype=bool)[scored.best]


def counted(right: Flags, answers: Flags) -> Counts:
    """Counts of all rows."""
    sums = [each.sum(axis=0).astype(np.float64) for each in (right & answers, answers, right)]
    return Counts(*sums)


def resampled(right: Flags, answers: Sequence[Flags]) -> list[Counts]:
    """Counts of 1,000 resamples of the rows, for each of several answers to the same rows."""
    pieces: list[list[list[Values]]] = [[[], [], []] for _ in answers]
    for weights in _weights(len(right)):
        support = weights @ right
        for kept, own in zip(pieces, answers, strict=True):
            for to, found in zip(kept, (weights @ (right & own), weights @ own, support), strict=True):
                to.append(found)
    return [Counts(*(np.concatenate(each) for each in kept)) for kept in pieces]


def _weights(rows: int) -> Iterator[Values]:
    """How often each row is in each resample, shape (resamples, rows), in pieces."""
    generator = np.random.default_rng(0)
    at_once = max(1, min(RESAMPLES, _CELLS_AT_ONCE // max(rows, 1)))
    for start in range(0, RESAMPLES, at_once):
        count = min(at_once, RESAMPLES - start)
        yield np.stack([np.bincount(generator.integers(0, rows, rows), minlength=rows) for _ in range(count)]).astype(
            np.float64
        )


def interval(value: float, samples: Values) -> Interval:
    """A figure with the 2.5 and 97.5 % points of its resamples."""
    low, high = np.quantile(samples, [0.025, 0.975])
    return Interval(float(value), float(low), float(high))


def figures(right: Flags, answers: Flags, *, multi_label: bool) -> dict[str, Interval]:
    """The figures of all rows, by their names."""
    whole, samples = counted(right, answers), resampled(right, [answers])[0]
    statistics: dict[str, Statistic] = (
        {"macro_f1": Counts.macro_f1, "micro_f1": Counts.micro_f1}
        if multi_label
        else {
            "accuracy": Counts.accuracy,
            "macro_f1": Counts.macro_f1,
            "balanced_accuracy": Counts.balanced_accuracy,
        }
    )
    return {name: interval(float(of(whole)), of(samples)) for name, of in statistics.items()}


def by_label(names: Sequence[str], right: Flags, answers: Flags, scored: Scored | None = None) -> list[LabelFigures]:
    """Figures of each label; with `scored` (in multi-label) also the area under its ROC curve."""
    metrics = sklearn_metrics()
    precision, recall, f1, support = metrics.precision_recall_fscore_support(
        right.astype(int), answers.astype(int), average=None, zero_division=0
    )
    answered = answers.sum(axis=0)
    areas = [None if scored is None else _auc(right[:, i], scored.scores[:, i]) for i in range(len(names))]
    columns = zip(names, precision, recall, f1, support, answered, areas, strict=True)
    return [
        LabelFigures(name, float(p), float(r), float(f), int(s), int(a), area) for name, p, r, f, s, a, area in columns
    ]


def _auc(right: Flags, scores: Values) -> float | None:
    """None where every row has the label, or none."""
    return None if right.all() or not right.any() else float(sklearn_metrics().roc_auc_score(right, scores))


def sklearn_metrics() -> Any:
    """scikit-learn's figures. Raises MissingExtra."""
    try:
        import sklearn.metrics
    except ImportError as error:
        raise MissingExtra("Evaluation needs scikit-learn: pip install 'zerostart[evaluate]'") from error
    return sklearn.metrics
