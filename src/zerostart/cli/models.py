"""zerostart models: what is on this machine, and bringing more."""

from typing import Annotated

import typer

from zerostart.cli import models_fetch, models_local
from zerostart.cli.endpoints import Format
from zerostart.models.local_artefacts import LocalArtefacts
from zerostart.settings import load_settings


def register(app: typer.Typer) -> None:
    """Add the verbs."""
    group = typer.Typer(help="List, fetch, add, export and remove models.", no_args_is_help=True)
    group.command("list")(list_models)
    models_fetch.register(group)
    models_local.register(group)
    app.add_typer(group, name="models")


def list_models(
    local: Annotated[bool, typer.Option("--local", help="Sizes on disk, revisions and verified differences.")] = False,
    output_format: Annotated[Format, typer.Option("--format", help="How to print.")] = Format.TABLE,
) -> None:
    """List the models on this machine.

    Example: zerostart models list --local
    """
    artefacts = LocalArtefacts(load_settings().models_folder).list()
    if local or output_format is Format.JSON:
        models_local.print_local(artefacts, output_format)
        return
    from rich.console import Console
    from rich.table import Table

    table = Table("model id", "languages", "architecture", "max tokens", "MB", "licence", "about")
    for artefact in artefacts:
        manifest = artefact.manifest
        table.add_row(
            manifest.model_id,
            ", ".join(manifest.languages) or "unknown",
            manifest.architecture,
            str(manifest.max_tokens),
            f"{artefact.size_bytes / 1e6:.0f}",
            manifest.licence,
            manifest.description,
        )
    Console().print(table)
