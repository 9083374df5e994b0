"""What was found of a model on a file, as JSON: the one source of the page, the terminal's summary and the UI."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from zerostart.evaluation.calibration import coverage, reliability
from zerostart.evaluation.comparison import Comparison, compared
from zerostart.evaluation.metrics import by_label, figures, given
from zerostart.evaluation.mislabelled import suspects
from zerostart.evaluation.rows import Flags, LabelledRows
from zerostart.evaluation.scoring import Question, Scored
from zerostart.evaluation.tuning import Tuned

FORMAT = 1
_PAIRS_SHOWN = 20
Document = dict[str, Any]


@dataclass(frozen=True)
class Subject:
    """What was measured: the file, and the model or endpoint, in words for people."""

    file: str
    model: str
    made_at: str
    model_id: str | None = None
    model_revision: str | None = None


def evaluation_document(
    subject: Subject, rows: LabelledRows, question: Question, scored: Scored, notes: Sequence[str]
) -> Document:
    """The report of one run over all rows; `tuning` is None yet."""
    count, suspected = suspects(rows, scored)
    return {
        "format": FORMAT,
        "kind": "evaluation",
        **asdict(subject),
        "template": question.template.text,
        "scorer": question.scorer,
        "multi_label": rows.multi_label,
        "labels": {label.name: label.description for label in rows.labels},
        "rows": len(rows),
        "left_out": dict(rows.left_out),
        **measured(rows, scored),
        "mislabelled": {"count": count, "rows": [asdict(each) for each in suspected]},
        "speed": _speed(len(rows), len(rows.labels), scored.seconds),
        "tuning": None,
        "notes": list(notes),
    }


def measured(rows: LabelledRows, scored: Scored) -> Document:
    """Figures, what is confused with what, and how far scores can be believed."""
    answers = given(scored, multi_label=rows.multi_label)
    labelled = by_label(rows.names, rows.right, answers, scored if rows.multi_label else None)
    top, hits = _believed(rows, scored)
    found = figures(rows.right, answers, multi_label=rows.multi_label)
    return {
        "figures": {name: asdict(each) for name, each in found.items()},
        "per_label": [asdict(each) for each in labelled],
        "confusion": None if rows.multi_label else _confusion(rows, scored),
        "confused_pairs": _confused_pairs(rows, answers),
        "reliability": asdict(reliability(top, hits)),
        "coverage": [] if rows.multi_label else [asdict(each) for each in coverage(top, hits)],
        "unsure": _unsure(hits, scored),
    }


def tuning_document(rows: LabelledRows, tuned: Tuned, tuned_rows: int, before: Scored, after: Scored) -> Document:
    """What tuning found, on the rows that it did not see."""
    answers = [given(each, multi_label=rows.multi_label) for each in (before, after)]
    comparison = compared(rows.right, answers[0], answers[1])
    return {
        "tuned_rows": tuned_rows,
        "held_rows": len(rows),
        "trials": [
            {"template": each.template, "macro_f1": each.macro_f1, "strength": each.strength} for each in tuned.trials
        ],
        "profile": tuned.profile.document(figures=False),
        "before": measured(rows, before),
        "after": measured(rows, after),
        "comparison": comparison_document(comparison, "the default", "the tuned profile"),
        "notes": list(tuned.notes),
    }


def comparison_document(comparison: Comparison, a: str, b: str) -> Document:
    """A comparison, with its verdict in words."""
    return {**asdict(comparison), "verdict": comparison.verdict, "sentence": comparison.sentence(a, b)}


def profile_figures(document: Mapping[str, Any]) -> Document:
    """What a profile keeps of how it was measured."""
    tuning = document["tuning"]
    return {
        "file": document["file"],
        "made_at": document["made_at"],
        "tuned_rows": tuning["tuned_rows"],
        "held_rows": tuning["held_rows"],
        "before": tuning["before"]["figures"],
        "after": tuning["after"]["figures"],
        "verdict": tuning["comparison"]["sentence"],
    }


def _believed(rows: LabelledRows, scored: Scored) -> tuple[Any, Flags]:
    """Scores, and whether what they are for is right: of top labels, or in multi-label of every label."""
    if rows.multi_label:
        return scored.scores.ravel(), rows.right.ravel()
    each = np.arange(len(rows))
    return scored.scores[each, scored.best], rows.right[each, scored.best]


def _confusion(rows: LabelledRows, scored: Scored) -> list[list[int]]:
    """`[label, answer, rows]` of every pair that occurs, by their places in the labels."""
    pairs, counts = np.unique(np.stack([rows.truth, scored.best]), axis=1, return_counts=True)
    return [[int(a), int(b), int(n)] for (a, b), n in zip(pairs.T, counts, strict=True)]


def _confused_pairs(rows: LabelledRows, answers: Flags) -> list[Document]:
    """The labels that were most often answered in place of others; in multi-label one missed where one was added."""
    missed = (rows.right & ~answers).astype(float)
    added = (answers & ~rows.right).astype(float)
    counts = (missed.T @ added).astype(int)
    support = rows.right.sum(axis=0)
    order = np.argsort(-counts, axis=None, kind="stable")[:_PAIRS_SHOWN]
    names = rows.names
    return [
        {"label": names[a], "answer": names[b], "rows": int(counts[a, b]), "share": float(counts[a, b] / support[a])}
        for a, b in (np.unravel_index(place, counts.shape) for place in order)
        if counts[a, b]
    ]


def _unsure(hits: Flags, scored: Scored) -> Document | None:
    """Where a profile was applied: how many answers are unsure, and how right the others are."""
    if scored.unsure is None:
        return None
    sure = ~scored.unsure
    return {
        "unsure": int(scored.unsure.sum()),
        "coverage": float(sure.mean()),
        "accuracy": float(hits[sure].mean()) if sure.any() else None,
    }


def _speed(texts: int, labels: int, seconds: float) -> Document:
    rate = texts / seconds if seconds else 0.0
    return {"texts": texts, "seconds": seconds, "texts_per_s": rate, "pairs_per_s": rate * labels}
