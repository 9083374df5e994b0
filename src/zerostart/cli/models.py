"""zerostart models: what is on this machine, and bringing more."""

from pathlib import Path
from typing import Annotated

import typer

from zerostart.models.local_artefacts import LocalArtefacts
from zerostart.settings import load_settings


def register(app: typer.Typer) -> None:
    """Add the verbs."""
    group = typer.Typer(help="List and add models.", no_args_is_help=True)
    group.command("list")(list_models)
    group.command("add")(add_model)
    app.add_typer(group, name="models")


def list_models() -> None:
    """List the models on this machine.

    Example: zerostart models list
    """
    from rich.console import Console
    from rich.table import Table

    table = Table("model id", "languages", "architecture", "max tokens", "MB", "licence", "about")
    for artefact in LocalArtefacts(load_settings().models_folder).list():
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


def add_model(
    model_id: Annotated[str, typer.Argument(help="Id to deploy it by: NAME or OWNER/NAME.")],
    path: Annotated[Path, typer.Argument(help="Hugging Face folder: config.json, tokenizer.json, *.safetensors.")],
    licence: Annotated[str, typer.Option(help="Licence of the model.")] = "unknown",
    language: Annotated[list[str] | None, typer.Option(help="Language code; repeat it.")] = None,
) -> None:
    """Convert a model from a folder and keep it on this machine; needs pip install 'zerostart[convert]'.

    Example: zerostart models add my-team/tickets-nli ./tickets-nli --licence Apache-2.0 --language en
    """
    from zerostart.models.conversion import convert

    folder = load_settings().models_folder
    report = convert(path, folder, model_id, licence=licence, languages=tuple(language or ()))
    difference = report.max_probability_difference
    typer.echo(f"{model_id} is ready in {report.artefact.folder} (largest probability difference {difference:.1g}).")
    typer.echo(f"Deploy it: zerostart deploy {model_id} --wait")
