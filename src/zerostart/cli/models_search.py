"""zerostart models search, list, show: what the hub has, on this machine or not."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated, Any

import typer

from zerostart.cli.endpoints import Format
from zerostart.cli.models_local import print_local
from zerostart.models.local_artefacts import LocalArtefacts
from zerostart.services.hub import Hub, HubFilter, HubModel
from zerostart.settings import load_settings

_WIDE = 130
Language = Annotated[str | None, typer.Option(help="Only models of this language: a code (es) or a name (spanish).")]
Kind = Annotated[str | None, typer.Option(help="Only nli or embedding models.")]
Licence = Annotated[str | None, typer.Option(help="Only models of this licence, such as MIT; unknown is one too.")]
MaxParameters = Annotated[int | None, typer.Option(min=1, help="Only models of at most so many million parameters.")]
Commercial = Annotated[bool, typer.Option("--commercial", help="Only models that may be used commercially.")]
Local = Annotated[bool, typer.Option("--local", help="Only models on this machine.")]
HowToPrint = Annotated[Format, typer.Option("--format", help="How to print.")]


def register(group: typer.Typer) -> None:
    """Add the verbs."""
    group.command("search")(search)
    group.command("list")(list_models)
    group.command("show")(show)


def search(
    words: Annotated[list[str], typer.Argument(help="Words of the id, name, task, language or tags.")],
    language: Language = None,
    kind: Kind = None,
    licence: Licence = None,
    max_parameters: MaxParameters = None,
    commercial: Commercial = False,
    local: Local = False,
    output_format: HowToPrint = Format.TABLE,
) -> None:
    """Search the hub; the best comes first.

    Example: zerostart models search spanish small

    Example: zerostart models search deberta zeroshot --commercial --max-parameters 200
    """
    chosen = HubFilter(language, kind, licence, max_parameters, commercial, local)
    _print(_hub().search(" ".join(words), chosen), output_format)


def list_models(
    language: Language = None,
    kind: Kind = None,
    licence: Licence = None,
    max_parameters: MaxParameters = None,
    commercial: Commercial = False,
    local: Local = False,
    output_format: HowToPrint = Format.TABLE,
) -> None:
    """List the hub's models, those of this machine first; with --local these alone, with their sizes and revisions.

    Example: zerostart models list --local

    Example: zerostart models list --language tr --format json
    """
    chosen = HubFilter(language, kind, licence, max_parameters, commercial, local)
    models = _hub().search(chosen=chosen)
    if local:
        print_local([model.artefact for model in models if model.artefact is not None], output_format)
    else:
        _print(models, output_format)


def show(
    model_id: Annotated[str, typer.Argument(help="Any id of the model: Hugging Face's, JumpStart's or your own.")],
    output_format: HowToPrint = Format.TABLE,
) -> None:
    """Show a model: its card, and how it is here.

    Example: zerostart models show facebook/bart-large-mnli
    """
    hub = _hub()
    model = hub.model(model_id)
    if output_format is Format.JSON:
        typer.echo(json.dumps(_document(model) | {"card_text": hub.card(model)}, indent=2, ensure_ascii=False))
        return
    from rich.console import Console
    from rich.markdown import Markdown

    console = Console()
    console.print(Markdown(_without_front_matter(hub.card(model))))
    console.print()
    if model.artefact is not None:
        size = f"{model.artefact.size_bytes / 1e6:.0f} MB"
        typer.echo(f"On this machine: {model.artefact.folder} ({size}, revision {model.artefact.manifest.revision}).")
        if model.entry.kind == "nli":
            typer.echo(f"Deploy it: zerostart deploy {model.entry.id} --wait")
    else:
        typer.echo(f"Not on this machine. Fetch it: zerostart models pull {model.entry.id}")


def _hub() -> Hub:
    return Hub(LocalArtefacts(load_settings().models_folder))


def _print(models: Sequence[HubModel], output_format: Format) -> None:
    if output_format is Format.JSON:
        typer.echo(json.dumps([_document(model) for model in models], indent=2, ensure_ascii=False))
        return
    if not models:
        typer.echo("No model is like that: leave out a word or a filter, or see them all: zerostart models list")
        return
    from rich.console import Console
    from rich.table import Column, Table

    console = Console()
    about = ["about"] if console.width >= _WIDE else []
    ids = Column("model id", no_wrap=True, min_width=max(len(model.entry.id) for model in models))
    table = Table(ids, "languages", "size", "licence", "here", *about)
    for model in models:
        entry = model.entry
        cells = [
            entry.id,
            _shortened(entry.languages),
            f"{entry.parameters_millions} M" if entry.parameters_millions else "unknown",
            entry.licence,
            f"{model.artefact.size_bytes / 1e6:.0f} MB" if model.artefact else "",
            entry.description,
        ]
        table.add_row(*cells[: len(table.columns)])
    console.print(table)


def _shortened(languages: Sequence[str]) -> str:
    return ", ".join(languages) if len(languages) <= 3 else f"{', '.join(languages[:2])} and {len(languages) - 2} more"


def _document(model: HubModel) -> dict[str, Any]:
    """What is known of a model, as JSON."""
    here = None
    if model.artefact is not None:
        manifest = model.artefact.manifest
        here = {
            "model_id": manifest.model_id,
            "folder": str(model.artefact.folder),
            "size_bytes": model.artefact.size_bytes,
            "revision": manifest.revision,
            "max_probability_difference": manifest.max_probability_difference,
        }
    return {**asdict(model.entry), "local": here}


def _without_front_matter(card: str) -> str:
    """A card without the YAML that hubs put before it."""
    if card.startswith("---\n") and (end := card.find("\n---\n", 4)) > 0:
        return card[end + 5 :]
    return card
