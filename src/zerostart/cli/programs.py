"""The workers that the server starts, without the other verbs: importing those takes time and memory."""

import typer

from zerostart.cli import evaluation_worker, serve
from zerostart.cli.running import run_app


def main() -> None:
    """Run a worker."""
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    serve.register(app)
    evaluation_worker.register(app)
    run_app(app)
