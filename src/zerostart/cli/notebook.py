"""zerostart notebook: the shipped notebook, as a file of the user's own."""

from importlib.resources import files
from pathlib import Path
from typing import Annotated

import typer

from zerostart.errors import InvalidInput

FILE_NAME = "zero_shot_text_classification.ipynb"
_NEEDS = '"sagemaker<3" jupyterlab matplotlib pandas scikit-learn'


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command()(notebook)


def notebook(
    folder: Annotated[Path, typer.Argument(help="Where to; the present folder if left out.")] = Path(),
) -> None:
    """Copy the notebook on New Year's resolutions, which goes from data to report with the stock SageMaker SDK.

    Example: zerostart notebook

    Example: zerostart notebook ~/notebooks
    """
    if not folder.is_dir():
        raise InvalidInput(f"{folder} is no folder: make it first, or give another one.")
    content = (files("zerostart.solutions.zero_shot_text_classification") / FILE_NAME).read_bytes()
    target = folder / FILE_NAME
    try:
        with target.open("xb") as file:
            file.write(content)
    except FileExistsError:
        raise InvalidInput(f"{target} is there already: move it away, or give another folder.") from None
    typer.echo(f"{target} is yours. Open it beside a server that runs (zerostart serve):")
    typer.echo(f"  pip install {_NEEDS}")
    typer.echo(f"  zerostart run -- jupyter lab {target}")
