"""What evaluate and compare share: who answers, the rows, the question, and a bar."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from zerostart.cli.classify import candidate_labels
from zerostart.errors import InvalidInput
from zerostart.nli.hybrid import scorer_choice
from zerostart.nli.labels import CandidateLabels
from zerostart.nli.profile import Profile
from zerostart.nli.template import HypothesisTemplate
from zerostart.settings import load_settings

if TYPE_CHECKING:
    from zerostart.evaluation.report import Subject
    from zerostart.evaluation.rows import LabelledRows
    from zerostart.evaluation.scoring import Ask, Question

LABELS_HELP = "Candidate labels, separated by commas; the file's own if left out."
FILE_HELP = "CSV, TSV, JSONL or Parquet with texts and their labels."


@dataclass(frozen=True)
class Answerer:
    """Who answers, in words for people, and by which model where that is known."""

    ask: "Ask"
    shown: str
    model_id: str | None
    revision: str | None


def named_labels(
    joined: str, single: Sequence[str], file: Path | None, profile: Profile | None
) -> CandidateLabels | None:
    """The labels that options or a profile name; None leaves them to the file."""
    if not (joined or single or file or profile):
        return None
    return candidate_labels(joined, single, file, profile)


def question_for(rows: "LabelledRows", template: str, scorer: str, profile: Profile | None) -> "Question":
    """What is asked of the rows. Raises InvalidInput for a profile that is not for them."""
    from zerostart.evaluation.scoring import Question

    question = Question(
        rows.labels, HypothesisTemplate(template), rows.multi_label, scorer_choice(scorer or None, "--scorer")
    )
    if profile is not None and (rows.multi_label != profile.multi_label or not profile.is_about(rows.labels)):
        names = ", ".join(label.name for label in profile.labels)
        raise InvalidInput(
            f"The profile is for {'several labels' if profile.multi_label else 'one label'} a text of {names[:300]}: "
            "give a file with these."
        )
    return question


@contextmanager
def answerer(model: str, endpoint: str, profile: Profile | None) -> Iterator[Answerer]:
    """A model in this process, which is given back at the end, or an endpoint."""
    if endpoint:
        from zerostart.cli.endpoint_answers import endpoint_ask, model_behind

        yield Answerer(endpoint_ask(endpoint), f"endpoint {endpoint}", *model_behind(endpoint))
        return
    from zerostart.bootstrap.classifier import build_bulk_classifier
    from zerostart.evaluation.scoring import in_process

    classifier = build_bulk_classifier(load_settings(), model, profile)
    try:
        artefact = classifier.artefact
        yield Answerer(in_process(classifier), artefact.model_id, artefact.model_id, artefact.manifest.revision)
    finally:
        classifier.close()


def subject_of(file: Path, who: Answerer) -> "Subject":
    """What is measured, for the report."""
    from zerostart.evaluation.report import Subject
    from zerostart.services.evaluation import now_text

    name = file.name.encode("utf-8", "replace").decode()
    return Subject(name, who.shown, now_text(), who.model_id, who.revision)


@contextmanager
def progress_bar(what: str, total: int) -> Iterator[Callable[[int], None]]:
    """A bar with rate and time left on a terminal; nothing elsewhere."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from zerostart.cli.progress import TextsPerSecondColumn

    console = Console(stderr=True)
    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TextsPerSecondColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task("", total=total)
        yield lambda texts: progress.advance(task, texts)
        progress.update(task, completed=total)


def check_folder(path: Path) -> None:
    """Raise InvalidInput before any work if a file could not be written."""
    if not path.parent.is_dir():
        raise InvalidInput(f"{path}: the folder {path.parent} is not there.")


def write_json(document: dict[str, Any], path: Path) -> None:
    """Write a report as JSON, and say where."""
    path.write_text(json.dumps(document, ensure_ascii=False, allow_nan=False, indent=1) + "\n", "utf-8")
    typer.echo(f"JSON: {path}", err=True)
