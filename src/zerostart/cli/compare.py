"""zerostart compare: two ways to answer the same texts."""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

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
from zerostart.nli.profile import Profile, read_profile
from zerostart.nli.template import DEFAULT_HYPOTHESIS_TEMPLATE


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command()(compare)


def compare(
    file: Annotated[Path, typer.Argument(metavar="FILE", help=FILE_HELP)],
    model: Annotated[list[str] | None, typer.Option(help="Model id; give two to compare them.")] = None,
    endpoint: Annotated[list[str] | None, typer.Option(help="Endpoint to ask; give two to compare them.")] = None,
    template: Annotated[list[str] | None, typer.Option(help="Hypothesis; give two to compare them.")] = None,
    profile: Annotated[
        list[Path] | None, typer.Option(help="Profile; one is compared with none, two with each other.")
    ] = None,
    text_column: Annotated[str, typer.Option(help="Column or key of the texts; guessed where only one can be.")] = "",
    label_column: Annotated[str, typer.Option(help="Column or key of the labels; guessed likewise.")] = "",
    labels: Annotated[str, typer.Option(help=LABELS_HELP)] = "",
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
    from zerostart.cli.evaluation_summary import print_comparison
    from zerostart.services import evaluation
    from zerostart.services.labelled_file import LabelledFile

    profiles: list[Profile | None] = [read_profile(path) for path in profile or []]
    if len(profiles) == 1:
        profiles.insert(0, None)
    sides = _sides(model or [], endpoint or [], template or [], profiles)
    if json_path is not None:
        check_folder(json_path)
    source = LabelledFile(file, text_column, label_column, separator, multi_label)
    one = next((each for each in profiles if each is not None), None)
    rows = source.rows(named_labels(labels, label or [], labels_file, one), limit)
    with ExitStack() as stack:
        answering = [stack.enter_context(answerer(each.model, each.endpoint, each.profile)) for each in sides]
        asked = tuple(
            evaluation.Side(each.name, who.ask, question_for(rows, each.template, "", each.profile))
            for each, who in zip(sides, answering, strict=True)
        )
        with progress_bar("comparing", 2 * len(rows)) as advance:
            subject = subject_of(file, answering[0])
            document = evaluation.compare(subject, rows, (asked[0], asked[1]), advance)
    print_comparison(document)
    if json_path is not None:
        write_json(document, json_path)


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
