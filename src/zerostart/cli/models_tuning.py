"""zerostart models bench, optimize: what runs a model fastest on this machine, and what int8 changes."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from zerostart.errors import InvalidInput
from zerostart.models.tuning import LEAST_AGREEMENT, Tuning
from zerostart.settings import load_settings


class Precision(StrEnum):
    """What a model may be computed in besides fp32."""

    INT8 = "int8"
    BF16 = "bf16"


TextsFile = Annotated[
    Path | None, typer.Option("--texts", help="File with a text a line to measure with; the package's own if left out.")
]
Labels = Annotated[str, typer.Option(help="Candidate labels for --texts, separated by commas.")]


def register(group: typer.Typer) -> None:
    """Add the verbs."""
    group.command("optimize")(optimize)
    group.command("bench")(bench)


def optimize(
    model_id: Annotated[str, typer.Argument(help="The model.")],
    precision: Annotated[Precision, typer.Option(help="The precision to check.")] = Precision.INT8,
    texts: TextsFile = None,
    labels: Labels = "",
) -> None:
    """Check a lower precision on real texts, and use it from now on where it is faithful and faster.

    int8 has signed weights with a scale for each output, and activations rounded in groups while they are computed.
    It is compared with fp32: if fewer than 99 % of the first labels are the same, it is used only when it is asked for
    (--precision int8, ZEROSTART_PRECISION).

    Example: zerostart models optimize zerostart-zstc-small

    Example: zerostart models optimize acme/tickets --texts tickets.txt --labels billing,delivery,login
    """
    tuning = _measured(model_id, [("openvino", precision.value)], texts, labels)
    found = next((each for each in tuning.measurements if each.precision == precision.value), None)
    if found is None:
        raise InvalidInput(f"{precision.value} cannot be computed here.")
    best = tuning.best()
    if not found.is_faithful:
        typer.echo(f"{precision.value} agrees on under {LEAST_AGREEMENT:.0%}: it is used only where you ask for it.")
    elif best == found:
        typer.echo(f"{precision.value} is used for {model_id} from now on.")
    else:
        typer.echo(f"{precision.value} is faithful, and not the fastest here: it is used only where you ask for it.")


def bench(
    model_id: Annotated[str, typer.Argument(help="The model.")],
    texts: TextsFile = None,
    labels: Labels = "",
) -> None:
    """Measure the engines and precisions of this machine, and use the fastest that is faithful from now on.

    Each classifies the same texts; its answers are compared with fp32's. Larger models take minutes.

    Example: zerostart models bench zerostart-zstc-small
    """
    from zerostart.bootstrap.tuning import candidates

    tuning = _measured(model_id, candidates(), texts, labels)
    if (best := tuning.best()) is not None:
        typer.echo(f"{best.engine} in {best.precision} is used for {model_id} from now on.")


def _measured(model_id: str, chosen: list[tuple[str, str]], texts: Path | None, labels: str) -> Tuning:
    from rich.console import Console

    from zerostart.bootstrap.tuning import measure, own_samples, samples_of

    samples = own_samples() if texts is None else samples_of(texts, labels)
    console = Console(stderr=True)
    with console.status("loading") as status:

        def tell(words: str) -> None:
            status.update(words)
            if not console.is_terminal or "left out" in words:
                console.print(words)

        tuning = measure(load_settings(), model_id, chosen, samples, tell)
    _print(tuning)
    return tuning


def _print(tuning: Tuning) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("engine", "precision", "pairs/s", "same first label", "largest difference", "mean difference", "")
    best = tuning.best()
    for each in sorted(tuning.measurements, key=lambda each: -each.pairs_per_s):
        table.add_row(
            each.engine,
            each.precision,
            f"{each.pairs_per_s:,.0f}",
            f"{each.agreement:.1%} of {tuning.texts}",
            f"{each.max_score_difference:.1g}",
            f"{each.mean_score_difference:.1g}",
            "used" if each == best else "",
        )
    Console().print(table)
