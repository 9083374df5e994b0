"""The command line: verbs, each in a module of its own."""

import typer

from zerostart import __version__
from zerostart.cli import (
    classify,
    clean_up,
    compare,
    costs,
    decide,
    endpoints,
    evaluate,
    keys,
    models,
    notebook,
    run,
    serve,
    solutions,
    transform,
    ui,
)
from zerostart.cli.running import run_app

app = typer.Typer(
    name="zerostart",
    help="Zero-shot text classification as a service you run yourself.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)
classify.register(app)
decide.register(app)
serve.register(app)
endpoints.register(app)
clean_up.register(app)
costs.register(app)
models.register(app)
keys.register(app)
transform.register(app)
evaluate.register(app)
compare.register(app)
solutions.register(app)
run.register(app)
notebook.register(app)
ui.register(app)


@app.command()
def version() -> None:
    """Print the version.

    Example: zerostart version
    """
    typer.echo(f"zerostart {__version__}")


def main() -> None:
    """Run a command."""
    run_app(app)
