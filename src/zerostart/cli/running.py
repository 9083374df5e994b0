"""Running a command: an error is one line on standard error and an exit code."""

import sys

import typer

from zerostart.errors import ZerostartError


def run_app(app: typer.Typer) -> None:
    """Run the command that the arguments name."""
    try:
        app()
    except ZerostartError as error:
        fail(str(error))
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(1)


def fail(message: str, code: int = 1) -> None:
    """Say what went wrong, in one line, and end."""
    typer.secho(f"zerostart: {message}", fg="red", err=True)
    sys.exit(code)
