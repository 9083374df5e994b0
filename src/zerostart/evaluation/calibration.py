"""Whether a score of 0.8 is right in 8 of 10 cases, and how many texts are left where only certain answers count."""

from dataclasses import dataclass

import numpy as np

from zerostart.evaluation.metrics import Values
from zerostart.evaluation.rows import Flags
from zerostart.nli.profile import adjusted
from zerostart.nli.scoring import Scores

_BINS = 10
_POINTS = 100
_TEMPERATURES = (0.05, 20.0)


@dataclass(frozen=True)
class Bin:
    """Answers with scores from `low` to `high`: how many, their mean score, and how many of them are right."""

    low: float
    high: float
    count: int
    score: float
    right: float


@dataclass(frozen=True)
class Reliability:
    """Ten bins, and the expected calibration error: the mean distance of score and rightness (Guo et al. 2017)."""

    bins: tuple[Bin, ...]
    ece: float


@dataclass(frozen=True)
class CoveragePoint:
    """If only answers from `threshold` on count, `coverage` of the texts are answered, `accuracy` of them right."""

    threshold: float
    coverage: float
    accuracy: float


def reliability(scores: Values, right: Flags) -> Reliability:
    """Of the scores of answers, and whether each is right."""
    place = np.minimum((scores * _BINS).astype(int), _BINS - 1)
    bins, error = [], 0.0
    for number in range(_BINS):
        own = place == number
        count = int(own.sum())
        mean, share = (float(scores[own].mean()), float(right[own].mean())) if count else (0.0, 0.0)
        bins.append(Bin(number / _BINS, (number + 1) / _BINS, count, mean, share))
        error += count / max(len(scores), 1) * abs(mean - share)
    return Reliability(tuple(bins), error)


def coverage(scores: Values, right: Flags) -> tuple[CoveragePoint, ...]:
    """The curve from the most certain answers to all, at about a hundred points."""
    order = np.argsort(-scores, kind="stable")
    ranked = scores[order]
    hits = np.cumsum(right[order])
    # Rows of one score count together: no threshold is between them.
    ends = np.flatnonzero(np.append(np.diff(ranked) != 0, True))
    kept = ends[np.unique(np.linspace(0, len(ends) - 1, min(_POINTS, len(ends))).astype(int))]
    return tuple(
        CoveragePoint(float(ranked[end]), float((end + 1) / len(scores)), float(hits[end] / (end + 1))) for end in kept
    )


def fitted_temperature(scores: Scores, corrections: Values, right: Flags, *, multi_label: bool) -> float:
    """The temperature at which the right labels are likeliest, from 0.05 to 20, to three digits."""

    def loss(temperature: float) -> float:
        found = np.clip(adjusted(scores, corrections, temperature, multi_label=multi_label), 1e-9, 1 - 1e-9)
        chosen = np.where(right, np.log(found), np.log(1 - found) if multi_label else 0.0)
        return -float(chosen.sum())

    low, high = np.log(_TEMPERATURES)
    for _ in range(4):
        steps = np.linspace(low, high, 15)
        best = int(np.argmin([loss(float(np.exp(step))) for step in steps]))
        low, high = steps[max(0, best - 1)], steps[min(len(steps) - 1, best + 1)]
    return float(f"{np.exp((low + high) / 2):.3g}")
