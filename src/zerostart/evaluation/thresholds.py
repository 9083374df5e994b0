"""From which score on an answer counts: for a wanted precision or accuracy, or for the best F1."""

import numpy as np

from zerostart.evaluation.metrics import Values
from zerostart.evaluation.rows import Flags
from zerostart.nli.profile import NEVER

# A wanted share is to hold on other rows too: it is asked of the lower end of a one-sided 90 % interval.
_Z = 1.2816
_TRIED = 25


def for_precision(scores: Values, right: Flags, wanted: float) -> float:
    """The lowest threshold from which on the share of right answers is as wanted, also on other rows; else NEVER.

    `scores` are those of the answers that are to be accepted or not, `right` whether each is right.
    """
    ranked, hits, counts = _accepted(scores, right)
    reached = _wilson_low(hits, counts) >= wanted
    # Of all thresholds some seem to reach it by luck. So only a few are tried, from the highest down, and the first
    # that fails after one that did not ends it (fixed sequence testing, https://arxiv.org/abs/2110.01052).
    found = NEVER
    for place in np.unique(np.linspace(0, len(ranked) - 1, _TRIED).astype(int)) if len(ranked) else ():
        if reached[place]:
            found = _between(ranked, int(place))
        elif found != NEVER:
            break
    return found


def for_best_f1(scores: Values, right: Flags) -> float:
    """The threshold from which on F1 is highest; NEVER for a label that no row has."""
    if not right.any():
        return NEVER
    ranked, hits, counts = _accepted(scores, right)
    return _between(ranked, int(np.argmax(2 * hits / (counts + right.sum()))))


def best_f1(scores: Values, right: Flags) -> float:
    """The F1 at that threshold."""
    if not right.any():
        return 0.0
    _, hits, counts = _accepted(scores, right)
    return float((2 * hits / (counts + right.sum())).max())


def _accepted(scores: Values, right: Flags) -> tuple[Values, Values, Values]:
    """Each distinct score, highest first; and how many answers, right ones and all, are accepted from it on."""
    order = np.argsort(-scores, kind="stable")
    ranked = scores[order]
    ends = np.flatnonzero(np.append(np.diff(ranked) != 0, True)) if len(ranked) else np.array([], dtype=int)
    return ranked[ends], np.cumsum(right[order])[ends].astype(np.float64), (ends + 1).astype(np.float64)


def _between(ranked: Values, place: int) -> float:
    """In the middle of a score and the next lower one, so that neither is decided by its last digit."""
    below = ranked[place + 1] if place + 1 < len(ranked) else ranked[place] - 1e-6
    return max(0.0, float(np.round((ranked[place] + below) / 2, 6)))


def _wilson_low(hits: Values, counts: Values) -> Values:
    """The lower end of Wilson's interval of a share (https://doi.org/10.1080/01621459.1927.10502953)."""
    share = hits / counts
    centre = share + _Z**2 / (2 * counts)
    spread = _Z * np.sqrt(share * (1 - share) / counts + _Z**2 / (4 * counts**2))
    return np.asarray((centre - spread) / (1 + _Z**2 / counts))
