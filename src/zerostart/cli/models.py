"""zerostart models: the hub, what is on this machine, and bringing more."""

import typer

from zerostart.cli import models_fetch, models_local, models_search, models_tuning


def register(app: typer.Typer) -> None:
    """Add the verbs."""
    group = typer.Typer(help="Search, fetch, add, export, tune and remove models.", no_args_is_help=True)
    for verbs in (models_search, models_fetch, models_local, models_tuning):
        verbs.register(group)
    app.add_typer(group, name="models")
