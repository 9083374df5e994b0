"""Two answers to the same rows: whether one is better, or whether these rows cannot tell."""

import math
from dataclasses import dataclass

import numpy as np

from zerostart.evaluation.metrics import Interval, counted, interval, resampled
from zerostart.evaluation.rows import Flags

_LEVEL = 0.05


@dataclass(frozen=True)
class Comparison:
    """How B differs from A. `only_a` rows are right in A alone, `only_b` in B alone; `p_value` is McNemar's, exact.

    A row of a multi-label file is right if all its labels are. Differences are B's figure less A's, with 95 %
    intervals of resamples of the rows, the same for both.
    """

    rows: int
    only_a: int
    only_b: int
    p_value: float
    accuracy: Interval
    macro_f1: Interval

    @property
    def verdict(self) -> str:
        """`better`, `worse` or `undecided`: by macro-F1, and by accuracy where that is undecided."""
        if self.macro_f1.low > 0 or self.macro_f1.high < 0:
            return "better" if self.macro_f1.value > 0 else "worse"
        if self.p_value < _LEVEL and self.macro_f1.value * (self.only_b - self.only_a) >= 0:
            return "better" if self.only_b > self.only_a else "worse"
        return "undecided"

    def sentence(self, a: str, b: str) -> str:
        """The verdict in plain words."""
        f1 = f"macro-F1 {self.macro_f1.value:+.3f}, 95 % from {self.macro_f1.low:+.3f} to {self.macro_f1.high:+.3f}"
        counts = f"{self.only_b} of {self.rows} rows are right in {b} alone, {self.only_a} in {a} alone"
        p = f"p = {self.p_value:.2g}" if self.p_value >= 0.0001 else "p < 0.0001"
        if self.verdict == "undecided":
            return f"These rows do not tell {b} from {a}: {f1}; {counts} ({p}). More rows with labels would tell."
        return f"{b[:1].upper()}{b[1:]} is {self.verdict} than {a} on these rows: {f1}; {counts} ({p})."


def compared(right: Flags, a: Flags, b: Flags) -> Comparison:
    """The comparison of two answers, each of shape (rows, labels)."""
    right_in_a, right_in_b = (right == a).all(axis=1), (right == b).all(axis=1)
    only_a, only_b = int((right_in_a & ~right_in_b).sum()), int((right_in_b & ~right_in_a).sum())
    samples_a, samples_b = resampled(right, [a, b])
    f1 = float(counted(right, b).macro_f1() - counted(right, a).macro_f1())
    share = right_in_b.astype(float) - right_in_a
    columns = np.stack([right_in_a, right_in_b], axis=1)
    everything = np.ones((len(right), 2), dtype=bool)
    hits = resampled(everything, [columns])[0].hits / len(right)
    return Comparison(
        rows=len(right),
        only_a=only_a,
        only_b=only_b,
        p_value=mcnemar(only_a, only_b),
        accuracy=interval(float(share.mean()), hits[:, 1] - hits[:, 0]),
        macro_f1=interval(f1, samples_b.macro_f1() - samples_a.macro_f1()),
    )


def mcnemar(only_a: int, only_b: int) -> float:
    """The exact two-sided p-value of McNemar's test: how likely such unequal counts are if neither is better."""
    total, fewer = only_a + only_b, min(only_a, only_b)
    if total == 0:
        return 1.0
    logs = [math.lgamma(total + 1) - math.lgamma(k + 1) - math.lgamma(total - k + 1) for k in range(fewer + 1)]
    tail = math.fsum(math.exp(each - total * math.log(2)) for each in logs)
    return min(1.0, 2 * tail)
