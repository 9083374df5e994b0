"""zerostart evaluate and zerostart compare: how good answers are on texts that have labels."""

import json
import tomllib
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from zerostart.cli.classify import candidate_labels
from zerostart.cli.profiles import read_profile
from zerostart.errors import InvalidInput
from zerostart.models.local_artefacts import BUILTIN_MODEL_ID
from zerostart.nli.hybrid import scorer_choice
from zerostart.nli.labels import CandidateLabels
from zerostart.nli.profile import Profile
from zerostart.nli.template import DEFAULT_HYPOTHESIS_TEMPLATE, HypothesisTemplate
from zerostart.settings import load_settings

if TYPE_CHECKING:
    from zerostart.evaluation.report import Subject
    from zerostart.evaluation.rows import LabelledRows
    from zerostart.evaluation.scoring import Ask, Question
    from zerostart.evaluation.tuning import Wishes

_LABELS_HELP = "Candidate labels, separated by commas; the file's own if left out."
_FILE_HELP = "CSV, JSONL or Parquet with texts and their labels."


def register(app: typer.Typer) -> None:
    """Add the verbs."""
    app.command()(evaluate)
    app.command()(compare)


@dataclass(frozen=True)
class _Answerer:
    """Who answers, in words for people, and by which model where that is known."""

    ask: "Ask"
    shown: str
    model_id: str | None
    revision: str | None


def evaluate(
    file: Annotated[Path, typer.Argument(metavar="FILE", help=_FILE_HELP)],
    text_column: Annotated[str, typer.Option(help="Column or key of the texts; guessed where only one can be.")] = "",
    label_column: Annotated[str, typer.Option(help="Column or key of the labels; guessed likewise.")] = "",
    labels: Annotated[str, typer.Option(help=_LABELS_HELP)] = "",
    label: Annotated[
        list[str] | None, typer.Option(help="One candidate label, which may hold a comma; repeat it.")
    ] = None,
    labels_file: Annotated[
        Path | None, typer.Option(help="File with a label, or label<TAB>description, a line.")
    ] = None,
    multi_label: Annotated[
        bool, typer.Option("--multi-label", help="A text may have several labels; lists in JSONL say so themselves.")
    ] = False,
    separator: Annotated[str, typer.Option(help="What stands between several labels in a cell.")] = "",
    model: Annotated[str, typer.Option(help="Model id; 'zerostart models list' shows those here.")] = BUILTIN_MODEL_ID,
    endpoint: Annotated[str, typer.Option(help="Ask this endpoint instead of a model in this process.")] = "",
    template: Annotated[str, typer.Option(help="Hypothesis, with {} for the label.")] = DEFAULT_HYPOTHESIS_TEMPLATE,
    scorer: Annotated[str, typer.Option(help="nli or hybrid; what suits the model if left out.")] = "",
    profile: Annotated[Path | None, typer.Option(help="Measure the answers by this profile.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Take so many rows, chosen by a fixed seed.")] = None,
    report: Annotated[Path | None, typer.Option(help="Write the report as a page that stands alone.")] = None,
    json_path: Annotated[Path | None, typer.Option("--json", help="Write the report as JSON.")] = None,
    tune: Annotated[bool, typer.Option("--tune", help="Look for what asks and answers these labels best.")] = False,
    save_profile: Annotated[Path | None, typer.Option(help="Tune, and write the profile to this file.")] = None,
    try_template: Annotated[list[str] | None, typer.Option(help="Tune with this template too; repeat it.")] = None,
    wordings: Annotated[
        Path | None, typer.Option(help="Tune with these: TOML or JSON, label = [wordings or descriptions].")
    ] = None,
    precision: Annotated[
        float | None, typer.Option(help="Tune thresholds so that each label's answers are so precise, such as 0.9.")
    ] = None,
    accuracy: Annotated[
        float | None, typer.Option(help="Tune one threshold so that answers that are not unsure are so often right.")
    ] = None,
) -> None:
    """Measure how good answers are on your texts, and tune them.

    Example: zerostart evaluate tickets.csv --report report.html

    Example: zerostart evaluate tickets.csv --save-profile tickets.profile.json --accuracy 0.9
    """
    from zerostart.services import evaluation
    from zerostart.services.labelled_file import LabelledFile

    asked_for_tuning = bool(try_template or wordings or precision is not None or accuracy is not None)
    if asked_for_tuning and not (tune or save_profile):
        raise InvalidInput("--try-template, --wordings, --precision and --accuracy go with --tune or --save-profile.")
    tuned_before = read_profile(profile) if profile else None
    if tuned_before is not None and (tune or save_profile or endpoint):
        raise InvalidInput(
            "--profile measures a profile in this process: leave out --tune, --save-profile, --endpoint."
        )
    for path in filter(None, (report, json_path, save_profile)):
        _check_folder(path)
    source = LabelledFile(file, text_column, label_column, separator, multi_label)
    rows = _rows(source, _named(labels, label or [], labels_file, tuned_before), limit)
    question = _question(rows, template, scorer, tuned_before)
    wishes = _wishes(rows, try_template or [], wordings, precision, accuracy) if tune or save_profile else None
    with _answerer(model, endpoint, tuned_before) as answerer:
        total = evaluation.texts_to_ask(rows, question, wishes)
        subject = _subject(file, answerer)
        with _progress("evaluating", total) as advance:
            found = evaluation.evaluate(subject, rows, question, answerer.ask, advance, wishes)
    _show(found.document)
    _write(found.document, report, json_path)
    if save_profile is not None and found.profile is not None:
        save_profile.write_text(json.dumps(found.profile.document(), ensure_ascii=False, indent=2) + "\n", "utf-8")
        typer.echo(f"Profile: {save_profile}   (zerostart classify TEXT --profile {save_profile})", err=True)
    elif save_profile is not None:
        typer.echo(f"No profile was written to {save_profile}.", err=True)


def compare(
    file: Annotated[Path, typer.Argument(metavar="FILE", help=_FILE_HELP)],
    model: Annotated[list[str] | None, typer.Option(help="Model id; give two to compare them.")] = None,
    endpoint: Annotated[list[str] | None, typer.Option(help="Endpoint to ask; give two to compare them.")] = None,
    template: Annotated[list[str] | None, typer.Option(help="Hypothesis; give two to compare them.")] = None,
    profile: Annotated[
        list[Path] | None, typer.Option(help="Profile; one is compared with none, two with each other.")
    ] = None,
    text_column: Annotated[str, typer.Option(help="Column or key of the texts; guessed where only one can be.")] = "",
    label_column: Annotated[str, typer.Option(help="Column or key of the labels; guessed likewise.")] = "",
    labels: Annotated[str, typer.Option(help=_LABELS_HELP)] = "",
    label: Annotated[
        list[str] | None, typer.Option(help="One candidate label, which may hold a comma; repeat it.")
    ] = None,
    labels_file: Annotated[
        Path | None, typer.Option(help="File with a label, or label<TAB>description, a line.")
    ] = None,
    multi_label: Annotated[bool, typer.Option("--multi-label", help="A text may have several labels.")] = False,
    separator: Annotated[str, typer.Option(help="What stands between several labels in a cell.")] = "",
    limit: Annotated[int | None, typer.Option(min=1, help="Take so many rows, chosen by a fixed seed.")] = None,
    json_path: Annotated[Path | None, typer.Option("--json", help="Write what was found as JSON.")] = None,
) -> None:
    """Compare two models, templates, profiles or endpoints on the same rows, by paired tests.

    Example: zerostart compare tickets.csv --template "This example is {}." --template "This text is about {}."

    Example: zerostart compare tickets.csv --profile tickets.profile.json
    """
    from zerostart.services import evaluation
    from zerostart.services.labelled_file import LabelledFile

    profiles: list[Profile | None] = [read_profile(path) for path in profile or []]
    if len(profiles) == 1:
        profiles.insert(0, None)
    sides = _sides(model or [], endpoint or [], template or [], profiles)
    if json_path is not None:
        _check_folder(json_path)
    source = LabelledFile(file, text_column, label_column, separator, multi_label)
    one = next((each for each in profiles if each is not None), None)
    rows = _rows(source, _named(labels, label or [], labels_file, one), limit)
    with ExitStack() as stack:
        answerers = [stack.enter_context(_answerer(each.model, each.endpoint, each.profile)) for each in sides]
        asked = tuple(
            evaluation.Side(each.name, answerer.ask, _question(rows, each.template, "", each.profile))
            for each, answerer in zip(sides, answerers, strict=True)
        )
        with _progress("comparing", 2 * len(rows)) as advance:
            subject = _subject(file, answerers[0])
            document = evaluation.compare(subject, rows, (asked[0], asked[1]), advance)
    _show_comparison(document)
    if json_path is not None:
        _write_json(document, json_path)


@dataclass(frozen=True)
class _Side:
    """One of two that are compared."""

    name: str
    model: str
    endpoint: str
    template: str
    profile: Profile | None


def _sides(
    models: Sequence[str], endpoints: Sequence[str], templates: Sequence[str], profiles: Sequence[Profile | None]
) -> tuple[_Side, _Side]:
    """What was given twice differs; what was given once is both sides'."""
    given = {"--model": models, "--endpoint": endpoints, "--template": templates, "--profile": profiles}
    if any(len(values) > 2 for values in given.values()) or not any(len(values) == 2 for values in given.values()):
        raise InvalidInput(
            "Give two to compare: --model A --model B, or two of --template, --profile or --endpoint; one --profile is "
            "compared with none."
        )
    if endpoints and (models or profiles):
        raise InvalidInput("An endpoint has its own model and profile: compare endpoints, or models and profiles here.")

    def side(number: int) -> _Side:
        def of(values: Sequence[Any], default: Any) -> Any:
            return default if not values else values[min(number, len(values) - 1)]

        chosen = of(models, BUILTIN_MODEL_ID), of(endpoints, ""), of(templates, DEFAULT_HYPOTHESIS_TEMPLATE)
        profile = of(profiles, None)
        names = [chosen[place] for place, values in enumerate((models, endpoints, templates)) if len(values) == 2]
        names += [("a profile", "no profile")[profile is None]] if len(profiles) == 2 else []
        name = ", ".join(names)
        return _Side(f"{'AB'[number]} ({name})", *chosen, profile)

    return side(0), side(1)


def _named(joined: str, single: Sequence[str], file: Path | None, profile: Profile | None) -> CandidateLabels | None:
    if not (joined or single or file or profile):
        return None
    return candidate_labels(joined, single, file, profile)


def _rows(source: Any, labels: CandidateLabels | None, limit: int | None) -> "LabelledRows":
    from zerostart.evaluation.rows import sampled

    found: LabelledRows = sampled(source.rows(labels), limit)
    return found


def _question(rows: "LabelledRows", template: str, scorer: str, profile: Profile | None) -> "Question":
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


def _wishes(
    rows: "LabelledRows", templates: Sequence[str], path: Path | None, precision: float | None, accuracy: float | None
) -> "Wishes":
    from zerostart.evaluation.tuning import Wishes

    if accuracy is not None and rows.multi_label:
        raise InvalidInput("--accuracy is for one label a text: use --precision where there may be several.")
    checked = tuple(HypothesisTemplate(template).text for template in templates)
    return Wishes(checked, _read_wordings(path) if path else {}, precision, accuracy)


def _read_wordings(path: Path) -> dict[str, tuple[str, ...]]:
    """Label to wordings, from TOML or JSON."""
    form = 'a label = ["wording", "other wording"] a line (TOML), or {"label": ["wording", "other wording"]} (JSON)'
    try:
        content = path.read_text("utf-8")
        document = json.loads(content) if path.suffix.lower() == ".json" else tomllib.loads(content)
    except OSError as error:
        raise InvalidInput(f"{path} cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise InvalidInput(f"{path} cannot be read ({error}): write {form}.") from error
    found: dict[str, tuple[str, ...]] = {}
    for name, value in document.items() if isinstance(document, dict) else [("", None)]:
        given = [value] if isinstance(value, str) else value
        if not isinstance(given, list) or not all(isinstance(each, str) and each.strip() for each in given):
            raise InvalidInput(f"{path}: write {form}.")
        found[name] = tuple(given)
    return found


@contextmanager
def _answerer(model: str, endpoint: str, profile: Profile | None) -> Iterator[_Answerer]:
    """A model in this process, which is given back at the end, or an endpoint."""
    if endpoint:
        from zerostart.cli.endpoint_answers import endpoint_ask, model_behind

        yield _Answerer(endpoint_ask(endpoint), f"endpoint {endpoint}", *model_behind(endpoint))
        return
    from zerostart.bootstrap.classifier import build_bulk_classifier
    from zerostart.evaluation.scoring import in_process

    classifier = build_bulk_classifier(load_settings(), model, profile)
    try:
        artefact = classifier.artefact
        yield _Answerer(in_process(classifier), artefact.model_id, artefact.model_id, artefact.manifest.revision)
    finally:
        classifier.close()


def _subject(file: Path, answerer: _Answerer) -> "Subject":
    from zerostart.evaluation.report import Subject
    from zerostart.services.evaluation import now_text

    name = file.name.encode("utf-8", "replace").decode()
    return Subject(name, answerer.shown, now_text(), answerer.model_id, answerer.revision)


@contextmanager
def _progress(what: str, total: int) -> Iterator[Callable[[int], None]]:
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


def _check_folder(path: Path) -> None:
    if not path.parent.is_dir():
        raise InvalidInput(f"{path}: the folder {path.parent} is not there.")


def _write(document: dict[str, Any], report: Path | None, json_path: Path | None) -> None:
    from zerostart.evaluation.html import report_page

    if report is not None:
        report.write_text(report_page(document), "utf-8")
        typer.echo(f"Report: {report}", err=True)
    if json_path is not None:
        _write_json(document, json_path)
    if report is None and json_path is None:
        typer.echo("More of it, with pictures: --report report.html", err=True)


def _write_json(document: dict[str, Any], path: Path) -> None:
    path.write_text(json.dumps(document, ensure_ascii=False, allow_nan=False, indent=1) + "\n", "utf-8")
    typer.echo(f"JSON: {path}", err=True)


def _show(document: dict[str, Any]) -> None:
    from zerostart.cli.evaluation_summary import print_summary

    print_summary(document)


def _show_comparison(document: dict[str, Any]) -> None:
    from zerostart.cli.evaluation_summary import print_comparison

    print_comparison(document)
