"""zerostart evaluate: how good answers are on texts that have labels, and what makes them better."""

import json
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from zerostart.cli.evaluation_runs import (
    FILE_HELP,
    LABELS_HELP,
    answerer,
    check_folder,
    named_labels,
    progress_bar,
    question_for,
    subject_of,
    write_json,
)
from zerostart.errors import InvalidInput
from zerostart.models.local_artefacts import BUILTIN_MODEL_ID
from zerostart.nli.profile import read_profile
from zerostart.nli.template import DEFAULT_HYPOTHESIS_TEMPLATE, HypothesisTemplate

if TYPE_CHECKING:
    from zerostart.evaluation.rows import LabelledRows
    from zerostart.evaluation.tuning import Wishes


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command()(evaluate)


def evaluate(
    file: Annotated[Path, typer.Argument(metavar="FILE", help=FILE_HELP)],
    text_column: Annotated[str, typer.Option(help="Column or key of the texts; guessed where only one can be.")] = "",
    label_column: Annotated[str, typer.Option(help="Column or key of the labels; guessed likewise.")] = "",
    labels: Annotated[str, typer.Option(help=LABELS_HELP)] = "",
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
    from zerostart.cli.evaluation_summary import print_summary
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
        check_folder(path)
    source = LabelledFile(file, text_column, label_column, separator, multi_label)
    rows = source.rows(named_labels(labels, label or [], labels_file, tuned_before), limit)
    question = question_for(rows, template, scorer, tuned_before)
    wishes = _wishes(rows, try_template or [], wordings, precision, accuracy) if tune or save_profile else None
    with answerer(model, endpoint, tuned_before) as who:
        total = evaluation.texts_to_ask(rows, question, wishes)
        subject = subject_of(file, who)
        with progress_bar("evaluating", total) as advance:
            found = evaluation.evaluate(subject, rows, question, who.ask, advance, wishes)
    print_summary(found.document)
    _write(found.document, report, json_path)
    if save_profile is not None and found.profile is not None:
        save_profile.write_text(json.dumps(found.profile.document(), ensure_ascii=False, indent=2) + "\n", "utf-8")
        typer.echo(f"Profile: {save_profile}   (zerostart classify TEXT --profile {save_profile})", err=True)
    elif save_profile is not None:
        typer.echo(f"No profile was written to {save_profile}.", err=True)


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


def _write(document: dict[str, Any], report: Path | None, json_path: Path | None) -> None:
    from zerostart.evaluation.html import report_page

    if report is not None:
        report.write_text(report_page(document), "utf-8")
        typer.echo(f"Report: {report}", err=True)
    if json_path is not None:
        write_json(document, json_path)
    if report is None and json_path is None:
        typer.echo("More of it, with pictures: --report report.html", err=True)
