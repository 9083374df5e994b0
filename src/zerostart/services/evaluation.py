"""Use cases of evaluation: measure answers on texts with labels, tune a profile, compare two ways to ask."""

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any

from zerostart.errors import InvalidInput
from zerostart.evaluation.comparison import compared
from zerostart.evaluation.metrics import figures, given, sklearn_metrics
from zerostart.evaluation.report import (
    FORMAT,
    Subject,
    comparison_document,
    evaluation_document,
    profile_figures,
    tuning_document,
)
from zerostart.evaluation.rows import LabelledRows, split
from zerostart.evaluation.scoring import Ask, Progress, Question, Scored, score
from zerostart.evaluation.tuning import (
    LEAST_ROWS,
    MOST_TUNED_ROWS,
    Wishes,
    caution,
    templates_to_try,
    tuned,
)
from zerostart.nli.classification import Classification, ClassificationRequest
from zerostart.nli.labels import CandidateLabel
from zerostart.nli.profile import Profile


@dataclass(frozen=True)
class Evaluation:
    """The report as JSON, and the profile where one was tuned."""

    document: dict[str, Any]
    profile: Profile | None = None


@dataclass(frozen=True)
class Side:
    """One of two that are compared: its name, who answers, and what is asked."""

    name: str
    ask: Ask
    question: Question


def texts_to_ask(rows: LabelledRows, question: Question, wishes: Wishes | None) -> int:
    """How many texts an evaluation asks for at most, so that progress has an end."""
    if wishes is None or len(rows) < LEAST_ROWS:
        return len(rows)
    tuned_rows, held_rows = (len(part) for part in split(rows, MOST_TUNED_ROWS))
    return len(rows) + tuned_rows * len(templates_to_try(question, wishes)) + held_rows


def evaluate(
    subject: Subject, rows: LabelledRows, question: Question, ask: Ask, progress: Progress, wishes: Wishes | None = None
) -> Evaluation:
    """Measure; with `wishes` tune too, if there are rows enough to tell. Raises MissingExtra, and what `ask` raises."""
    sklearn_metrics()
    check(rows, wishes)
    scored = score(ask, rows.texts, question, progress)
    document = evaluation_document(subject, rows, question, scored, caution(rows))
    if wishes is None:
        return Evaluation(document)
    if len(rows) < LEAST_ROWS:
        document["notes"].insert(
            0, f"{len(rows)} rows are too few to tune on: nothing was tuned. Give {LEAST_ROWS} or more, better 200."
        )
        return Evaluation(document)
    return _tuned(subject, rows, question, ask, progress, wishes, scored, document)


def evaluate_scored(subject: Subject, rows: LabelledRows, question: Question, scored: Scored) -> dict[str, Any]:
    """The report as JSON of scores that are there already, as those of a transform job. Raises MissingExtra."""
    sklearn_metrics()
    check(rows, None)
    return evaluation_document(subject, rows, question, scored, caution(rows))


def compare(subject: Subject, rows: LabelledRows, sides: tuple[Side, Side], progress: Progress) -> dict[str, Any]:
    """Two ways to answer the same rows, by paired tests, as JSON. Raises as `evaluate`."""
    sklearn_metrics()
    check(rows, None)
    scored = [score(side.ask, rows.texts, side.question, progress) for side in sides]
    answers = [given(each, multi_label=rows.multi_label) for each in scored]
    names = [side.name for side in sides]
    return {
        "format": FORMAT,
        "kind": "comparison",
        "file": subject.file,
        "made_at": subject.made_at,
        "rows": len(rows),
        "left_out": dict(rows.left_out),
        "sides": [
            {
                "name": side.name,
                "template": side.question.template.text,
                "figures": {
                    name: asdict(each) for name, each in figures(rows.right, own, multi_label=rows.multi_label).items()
                },
                "texts_per_s": len(rows) / each_scored.seconds if each_scored.seconds else 0.0,
            }
            for side, own, each_scored in zip(sides, answers, scored, strict=True)
        ],
        **comparison_document(compared(rows.right, answers[0], answers[1]), names[0], names[1]),
        "notes": list(caution(rows)),
    }


def now_text() -> str:
    """The time of a report."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def check(rows: LabelledRows, wishes: Wishes | None) -> None:
    """Raise InvalidInput for what cannot be measured, or wished for."""
    if not len(rows):
        raise InvalidInput("No row has a text and a label: there is nothing to measure.")
    if len(rows.labels) < 2 and not rows.multi_label:
        raise InvalidInput(f"There is one label alone, {rows.names[0]!r}: name the others with --labels.")
    for name in wishes.wordings if wishes else ():
        if name not in rows.names:
            raise InvalidInput(
                f"The wordings are for a label {name!r}, and the labels are {', '.join(rows.names)[:300]}."
            )
    for what, share in (("precision", wishes.precision), ("accuracy", wishes.accuracy)) if wishes else ():
        if share is not None and not 0 < share < 1:
            raise InvalidInput(f"The wanted {what} is {share:g}: want a share between 0 and 1, such as 0.9.")


def _tuned(
    subject: Subject,
    rows: LabelledRows,
    question: Question,
    ask: Ask,
    progress: Progress,
    wishes: Wishes,
    scored: Scored,
    document: dict[str, Any],
) -> Evaluation:
    tuned_places, held_places = split(rows, MOST_TUNED_ROWS)
    held = rows.taken(held_places)
    found = tuned(lambda texts, asked: score(ask, texts, asked, progress), rows.taken(tuned_places), question, wishes)
    profile = replace(found.profile, model_id=subject.model_id, model_revision=subject.model_revision)
    after = answered_by(profile, ask, held, progress)
    document["tuning"] = tuning_document(held, found, len(tuned_places), scored.taken(held_places), after)
    return Evaluation(document, replace(profile, figures=profile_figures(document)))


def answered_by(profile: Profile, ask: Ask, rows: LabelledRows, progress: Progress) -> Scored:
    """What a profile answers to rows, by the same code as everywhere, of scores that are asked for without it."""
    own = Question(profile.candidate_labels, profile.template, profile.multi_label, profile.scorer)
    return score(_by_profile(ask, profile), rows.texts, own, progress)


def _by_profile(ask: Ask, profile: Profile) -> Ask:
    """Labels are asked by numbers, so that an endpoint which has a profile does not apply that one."""
    names = {str(number): label.name for number, label in enumerate(profile.labels)}
    numbered = tuple(CandidateLabel(number, label.wording) for number, label in zip(names, profile.labels, strict=True))

    def answers(requests: Iterable[ClassificationRequest]) -> Iterator[list[Classification]]:
        asked = (replace(request, labels=(numbered,) * len(request.texts)) for request in requests)
        for each in ask(asked):
            named = (replace(one, labels=tuple(names[number] for number in one.labels)) for one in each)
            yield [profile.answered(one) for one in named]

    return answers
