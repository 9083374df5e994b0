"""Rows whose label is likely wrong: confident learning (Northcutt et al. 2021, https://arxiv.org/abs/1911.00068).

A label's own threshold is the mean of its scores over the rows that have it. A row whose score for another label is
over that label's threshold, and 0.5 or more, disagrees confidently.
"""

from dataclasses import dataclass

import numpy as np

from zerostart.evaluation.metrics import Values
from zerostart.evaluation.rows import Flags, LabelledRows
from zerostart.evaluation.scoring import Scored

_SHOWN = 50
_LONGEST_TEXT = 2000
# A model that is often wrong has low thresholds: who disagrees with a person has to be sure of it.
_LEAST_SCORE = 0.5


@dataclass(frozen=True)
class Suspect:
    """A row, what it is labelled, what is suggested (a label, or none in its place), and how far the scores differ."""

    number: int
    text: str
    label: str
    suggested: str
    margin: float


def suspects(rows: LabelledRows, scored: Scored) -> tuple[int, list[Suspect]]:
    """How many rows disagree confidently, and the first fifty, the clearest first."""
    found = _in_multi_label(rows, scored) if rows.multi_label else _in_single_label(rows, scored)
    found.sort(key=lambda each: (-each.margin, each.number))
    return len(found), found[:_SHOWN]


def _thresholds(scores: Values, has_it: Flags) -> Values:
    """The mean score of each label over the rows that have it; out of reach where none has."""
    count = has_it.sum(axis=0)
    return np.where(count > 0, (scores * has_it).sum(axis=0) / np.maximum(count, 1), np.inf)


def _in_single_label(rows: LabelledRows, scored: Scored) -> list[Suspect]:
    scores, truth = scored.scores, rows.truth
    thresholds = np.maximum(_thresholds(scores, rows.right), _LEAST_SCORE)
    confident = np.where(scores >= thresholds, scores, -1.0)
    best = confident.argmax(axis=1)
    wrong = np.flatnonzero((confident.max(axis=1) > 0) & (best != truth))
    names = rows.names
    return [
        Suspect(
            rows.numbers[row],
            rows.texts[row][:_LONGEST_TEXT],
            names[truth[row]],
            names[best[row]],
            float(scores[row, best[row]] - scores[row, truth[row]]),
        )
        for row in wrong
    ]


def _in_multi_label(rows: LabelledRows, scored: Scored) -> list[Suspect]:
    """A label that is missing though its score is that of rows which have it, or there though it is that of others."""
    scores, right = scored.scores, rows.right
    of_those_with = _thresholds(scores, right)
    of_others = -_thresholds(-scores, ~right)
    missing = ~right & (scores >= of_those_with)
    wrong = right & (scores <= of_others)
    names = rows.names
    found = []
    for row, label in np.argwhere(missing | wrong):
        margin = abs(float(scores[row, label] - (of_others if missing[row, label] else of_those_with)[label]))
        own = "" if missing[row, label] else names[label]
        suggested = names[label] if missing[row, label] else ""
        found.append(Suspect(rows.numbers[row], rows.texts[row][:_LONGEST_TEXT], own, suggested, margin))
    return found
