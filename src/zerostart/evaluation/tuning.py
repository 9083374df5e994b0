"""Tuning: what asks and answers the user's labels best, found on one part of the rows and reported on the other."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from zerostart.evaluation.calibration import fitted_temperature
from zerostart.evaluation.metrics import Values, counted
from zerostart.evaluation.rows import Flags, LabelledRows
from zerostart.evaluation.scoring import Question, Scored
from zerostart.evaluation.thresholds import best_f1, for_best_f1, for_precision
from zerostart.nli.labels import CandidateLabel
from zerostart.nli.profile import NEVER, Profile, ProfileLabel, adjusted
from zerostart.nli.scoring import Scores
from zerostart.nli.template import HypothesisTemplate

TEMPLATES = (
    "This example is {}.",
    "This text is about {}.",
    "The topic of this text is {}.",
    "This text is related to {}.",
    "This is an example of {}.",
    "The category of this text is {}.",
    "The author talks about {}.",
    "This text expresses {}.",
    "The author feels {}.",
    "The intent of this text is {}.",
    "This message is {}.",
    "{}.",
)
LEAST_ROWS = 50
MOST_TUNED_ROWS = 1000
_FEW_ROWS = 200
_FEW_OF_A_LABEL = 5
# How much of what a label's mean score is above the others' is taken from it.
_STRENGTHS = (0.0, 0.25, 0.5, 0.75, 1.0)
_SWEEPS = 2
_LEAST_GAIN = 1e-9

AskRows = Callable[[Sequence[str], Question], Scored]


@dataclass(frozen=True)
class Wishes:
    """What the user offers and wants: further templates, wordings of labels, and how certain answers are to be.

    `precision` is wanted of each label, `accuracy` of all answers together; what does not reach it is unsure.
    """

    templates: tuple[str, ...] = ()
    wordings: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    precision: float | None = None
    accuracy: float | None = None


@dataclass(frozen=True)
class Trial:
    """A template on the rows that were tuned on: its macro-F1 at its best, with which wordings and strength."""

    template: str
    macro_f1: float
    strength: float
    wordings: tuple[int, ...]


@dataclass(frozen=True)
class Tuned:
    """What was found: every trial, best first, the profile, and what is to be said of it."""

    trials: tuple[Trial, ...]
    profile: Profile
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Wordings:
    """Every wording of every label is a column: `label_of` says whose, and a choice names one column a label."""

    texts: tuple[str, ...]
    label_of: tuple[int, ...]

    @property
    def labels(self) -> tuple[CandidateLabel, ...]:
        """What is asked; wordings of different labels may be equal."""
        return tuple(CandidateLabel(str(number), text) for number, text in enumerate(self.texts))

    def of(self, label: int) -> list[int]:
        """The columns of a label, the present wording first."""
        return [column for column, own in enumerate(self.label_of) if own == label]

    def present(self, labels: int) -> tuple[int, ...]:
        """The choice of what labels are worded with now."""
        return tuple(self.of(label)[0] for label in range(labels))


def templates_to_try(question: Question, wishes: Wishes) -> tuple[str, ...]:
    """The present template first, then the user's, then those that are known to be good."""
    return tuple(dict.fromkeys((question.template.text, *wishes.templates, *TEMPLATES)))


def tuned(ask: AskRows, rows: LabelledRows, question: Question, wishes: Wishes) -> Tuned:
    """The best of all templates, wordings and corrections on `rows`, with thresholds. Each template is asked once."""
    wordings = _wordings(rows, wishes)
    trials, scores = [], {}
    for template in templates_to_try(question, wishes):
        asked = replace(question, labels=wordings.labels, template=HypothesisTemplate(template))
        scores[template] = ask(rows.texts, asked).scores
        trials.append(_trial(template, scores[template], wordings, rows))
    order = sorted(trials, key=lambda trial: -trial.macro_f1)  # of equal ones the first, which is the present one
    best = order[0]
    profile = _profile(rows, question, wordings, best, scores[best.template])
    return Tuned(tuple(order), *_with_thresholds(profile, rows, scores[best.template][:, list(best.wordings)], wishes))


def caution(rows: LabelledRows) -> tuple[str, ...]:
    """What is to be said of the number of rows."""
    notes = []
    if len(rows) < _FEW_ROWS:
        notes.append(f"{len(rows)} rows are few: what was tuned on half of them may not hold on other texts.")
    rare = [name for name, count in zip(rows.names, rows.right.sum(axis=0), strict=True) if count < _FEW_OF_A_LABEL]
    if rare:
        shown = ", ".join(rare[:5]) + (f" and {len(rare) - 5} more" if len(rare) > 5 else "")
        notes.append(
            f"Of these there are fewer than {_FEW_OF_A_LABEL} rows each, so their figures say little: {shown}."
        )
    return tuple(notes)


def selected(scores: Scores, columns: Sequence[int], *, multi_label: bool) -> Scores:
    """Scores of one wording a label, from those of all wordings: single-label ones again sum to 1.

    That is what the model would have answered if it had been asked for these alone: its scores are a softmax, of which
    a part is the softmax of that part.
    """
    own = scores[:, list(columns)]
    return own if multi_label else adjusted(own, np.zeros(len(columns)), 1.0, multi_label=False)


def corrections(scores: Scores, strength: float, *, multi_label: bool) -> Values:
    """What is added to each label's log-score: less for one whose mean score is high (batch calibration, Zhou et al.
    2024, https://arxiv.org/abs/2309.17249). Made of the texts alone, without their labels.

    None in multi-label, where each label's threshold does the same.
    """
    if multi_label or strength == 0:
        return np.zeros(scores.shape[1])
    logs = np.log(np.maximum(scores.mean(axis=0), 1e-12))
    return np.asarray(-strength * (logs - logs.mean()))


def _wordings(rows: LabelledRows, wishes: Wishes) -> _Wordings:
    texts: list[str] = []
    label_of: list[int] = []
    for number, label in enumerate(rows.labels):
        own = dict.fromkeys((label.description, *wishes.wordings.get(label.name, ())))
        texts += own
        label_of += [number] * len(own)
    return _Wordings(tuple(texts), tuple(label_of))


def _trial(template: str, scores: Scores, wordings: _Wordings, rows: LabelledRows) -> Trial:
    """The best strength, each with the best wordings: label by label, twice round."""
    found: Trial | None = None
    for strength in (0.0,) if rows.multi_label else _STRENGTHS:
        choice = list(wordings.present(len(rows.labels)))
        best = _macro_f1(scores, choice, strength, rows)
        for _ in range(_SWEEPS if len(wordings.texts) > len(choice) else 0):
            for label in range(len(choice)):
                for column in wordings.of(label):
                    other = [*choice[:label], column, *choice[label + 1 :]]
                    value = _macro_f1(scores, other, strength, rows)
                    if value > best + _LEAST_GAIN:
                        choice, best = other, value
        if found is None or best > found.macro_f1 + _LEAST_GAIN:
            found = Trial(template, best, strength, tuple(choice))
    assert found is not None  # noqa: S101 - there is a strength
    return found


def _macro_f1(scores: Scores, choice: Sequence[int], strength: float, rows: LabelledRows) -> float:
    """In multi-label at the best threshold of each label."""
    own = selected(scores, choice, multi_label=rows.multi_label)
    if rows.multi_label:
        occurs = np.flatnonzero(rows.right.any(axis=0))
        return float(np.mean([best_f1(own[:, label], rows.right[:, label]) for label in occurs]))
    logs = np.log(np.maximum(own, 1e-12)) + corrections(own, strength, multi_label=False)
    return float(counted(rows.right, _one_hot(logs)).macro_f1())


def _one_hot(scores: Scores) -> Flags:
    return np.asarray(np.eye(scores.shape[1], dtype=bool)[scores.argmax(axis=1)])


def _profile(rows: LabelledRows, question: Question, wordings: _Wordings, trial: Trial, scores: Scores) -> Profile:
    """The profile without thresholds. Numbers are rounded before anything is measured with them."""
    own = selected(scores, trial.wordings, multi_label=rows.multi_label)
    added = np.round(corrections(own, trial.strength, multi_label=rows.multi_label), 4)
    columns = zip(rows.labels, trial.wordings, added, strict=True)
    return Profile(
        labels=tuple(ProfileLabel(label.name, wordings.texts[column], float(each)) for label, column, each in columns),
        template=HypothesisTemplate(trial.template),
        multi_label=rows.multi_label,
        scorer=question.scorer,
        temperature=fitted_temperature(own, added, rows.right, multi_label=rows.multi_label),
    )


def _with_thresholds(
    profile: Profile, rows: LabelledRows, scores: Scores, wishes: Wishes
) -> tuple[Profile, tuple[str, ...]]:
    """From the scores as the profile gives them."""
    own = profile.adjusted(scores)
    best = own.argmax(axis=1)
    top = own[np.arange(len(own)), best]
    hits = rows.right[np.arange(len(own)), best]
    thresholds: list[float | None] = [None] * len(profile.labels)
    for label in range(len(profile.labels)):
        column, right = own[:, label], rows.right[:, label]
        if wishes.precision is not None and rows.multi_label:
            thresholds[label] = for_precision(column, right, wishes.precision)
        elif wishes.precision is not None:
            thresholds[label] = for_precision(top[best == label], hits[best == label], wishes.precision)
        elif rows.multi_label:
            thresholds[label] = for_best_f1(column, right)
    labels = tuple(replace(label, threshold=each) for label, each in zip(profile.labels, thresholds, strict=True))
    unsure = None
    if wishes.accuracy is not None and not rows.multi_label:
        unsure = for_precision(top, hits, wishes.accuracy)
    return replace(profile, labels=labels, unsure_below=unsure), _out_of_reach(labels, unsure, wishes)


def _out_of_reach(labels: Sequence[ProfileLabel], unsure: float | None, wishes: Wishes) -> tuple[str, ...]:
    notes = []
    never = [label.name for label in labels if label.threshold == NEVER]
    if never and wishes.precision is not None:
        shown = ", ".join(never[:5]) + (f" and {len(never) - 5} more" if len(never) > 5 else "")
        notes.append(
            f"At no threshold do these rows show a precision of {wishes.precision:.0%} for {shown}: it is never "
            "answered with certainty. More rows with it may help, or another wording."
        )
    if unsure == NEVER and wishes.accuracy is not None:
        notes.append(
            f"At no threshold do these rows show an accuracy of {wishes.accuracy:.0%}: every answer is unsure. Ask for "
            "less, or give more rows."
        )
    return tuple(notes)
