"""zerostart models pull, add and export: from the hub, from a folder, and between machines."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from zerostart.cli.models_local import shown_difference
from zerostart.cli.models_report import pull_and_report
from zerostart.errors import InvalidInput, UnknownModel
from zerostart.models.fetching import Progress, fetched, find_remote, hub_id, megabytes
from zerostart.models.huggingface import RemoteModel
from zerostart.models.leftovers import remove_leftovers
from zerostart.models.local_artefacts import LocalArtefacts
from zerostart.models.packing import pack, unpack
from zerostart.settings import load_settings

if TYPE_CHECKING:
    from rich.progress import Progress as Bar
    from rich.progress import TaskID

    from zerostart.models.conversion import ConversionReport

_SECONDS_BETWEEN_LINES = 10.0
KeepWeights = Annotated[
    bool, typer.Option("--keep-weights", help="Keep the original weights too, which the engine torch runs (GPU).")
]


def register(group: typer.Typer) -> None:
    """Add the verbs."""
    group.command("pull")(pull_model)
    group.command("add")(add_model)
    group.command("export")(export_model)


def pull_model(
    model: Annotated[
        str, typer.Argument(metavar="ID[@REVISION]", help="Hugging Face or JumpStart id; branch or commit.")
    ],
    keep_weights: KeepWeights = False,
    report: Annotated[
        bool,
        typer.Option("--report", hidden=True, help="For programs: JSON lines tell how far it is; ends with its stdin."),
    ] = False,
) -> None:
    r"""Fetch a model from the Hugging Face hub, check and convert it; needs pip install 'zerostart\[convert]'.

    HF_TOKEN opens gated models, HF_ENDPOINT names a mirror. An interrupted pull goes on where it stopped.

    Example: zerostart models pull cross-encoder/nli-distilroberta-base
    """
    if report:
        pull_and_report(lambda shown, tell: _pull(model, keep_weights, shown, tell))
    else:
        _pull(model, keep_weights, _shown, lambda remote: typer.echo(f"{remote.model_id}: converting it.", err=True))


def _pull(
    model: str,
    keep_weights: bool,
    shown: Callable[[RemoteModel], AbstractContextManager[Progress]],
    tell_converting: Callable[[RemoteModel], None],
) -> None:
    from zerostart.models.conversion import convert

    model_id, _, revision = model.partition("@")
    folder = load_settings().models_folder
    here = _revision_here(folder, model_id)
    if here is not None and here.startswith(revision):
        typer.echo(f"{model_id} is here already, at revision {here}.")
        return
    remote = find_remote(hub_id(model_id), revision or None)
    if here is not None:
        _say_here(model_id, here, remote.revision)
        return
    with shown(remote) as progress, fetched(remote, folder, progress) as source:
        tell_converting(remote)
        report = convert(
            source,
            folder,
            remote.model_id,
            revision=remote.revision,
            licence=remote.licence,
            languages=remote.languages,
            keep_weights=keep_weights,
        )
    _say_ready(report, model_id)


def _revision_here(models_folder: Path, model_id: str) -> str | None:
    try:
        return LocalArtefacts(models_folder).find(model_id).manifest.revision
    except UnknownModel:
        return None


def _say_here(model_id: str, here: str, asked: str) -> None:
    if here != asked:
        raise InvalidInput(
            f"{model_id} is here at revision {here}, not at {asked}: to have that, remove it first: "
            f"zerostart models remove {model_id}"
        )
    typer.echo(f"{model_id} is here already, at revision {here}.")


def add_model(
    model: Annotated[str, typer.Argument(metavar="ID|FILE", help="Id to deploy it by, or a file made by export.")],
    path: Annotated[
        Path | None,
        typer.Argument(help="Hugging Face folder, if an id is given: config.json, tokenizer.json, *.safetensors."),
    ] = None,
    licence: Annotated[str | None, typer.Option(help="Licence of the model in the folder.")] = None,
    language: Annotated[list[str] | None, typer.Option(help="Language code; repeat it.")] = None,
    keep_weights: KeepWeights = False,
) -> None:
    r"""Keep a model on this machine: one in a folder, which is converted, or one from a file made by export.

    Converting needs pip install 'zerostart\[convert]'; a file made by export needs nothing.

    Example: zerostart models add my-team/tickets-nli ./tickets-nli --licence Apache-2.0 --language en
    """
    folder = load_settings().models_folder
    if path is None:
        _add_file(Path(model), folder, described=bool(licence or language or keep_weights))
        return
    from zerostart.models.conversion import convert

    remove_leftovers(folder)
    report = convert(
        path,
        folder,
        model,
        licence=licence or "unknown",
        languages=tuple(language or ()),
        keep_weights=keep_weights,
    )
    _say_ready(report, model)


def _add_file(file: Path, models_folder: Path, *, described: bool) -> None:
    if described:
        raise InvalidInput("--licence, --language and --keep-weights go with a folder, not with a file made by export.")
    if not file.is_file():
        raise InvalidInput(
            f"{file} is not a file: give one made by zerostart models export, or an id and the folder of a model."
        )
    artefact = unpack(file, models_folder)
    typer.echo(f"{artefact.model_id} is ready in {artefact.folder} (each file has the checksum that was exported).")
    typer.echo(f"Deploy it: zerostart deploy {artefact.model_id} --wait")


def export_model(
    model_id: Annotated[str, typer.Argument(help="Model id; 'zerostart models list --local' shows those here.")],
    file: Annotated[Path, typer.Argument(help="File to write; it must not exist.")],
) -> None:
    """Write a model, ready to run, to one file, for a machine without a network: zerostart models add FILE there.

    Example: zerostart models export zerostart-zstc-small small.tar
    """
    artefact = LocalArtefacts(load_settings().models_folder).find(model_id)
    size = pack(artefact, file)
    typer.echo(
        f"{file} holds {artefact.model_id} ({megabytes(size)}). On the other machine: zerostart models add {file.name}"
    )


def _say_ready(report: "ConversionReport", model_id: str) -> None:
    verified = _verified(report.max_probability_difference)
    typer.echo(f"{report.artefact.model_id} is ready in {report.artefact.folder} ({verified}; {report.origin}).")
    typer.echo(f"Deploy it: zerostart deploy {model_id} --wait")


def _verified(difference: float | None) -> str:
    if difference is None:
        return "not compared with the original, which needs pip install 'zerostart[convert]'"
    return f"largest probability difference {shown_difference(difference)}"


@contextmanager
def _shown(remote: RemoteModel) -> Iterator[Progress]:
    """Progress on standard error: a bar on a terminal, else lines."""
    if not sys.stderr.isatty():
        yield _Lines(remote)
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn, TransferSpeedColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn("fetching"), BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Bar(*columns, console=Console(stderr=True)) as bar:
        yield _OnBar(remote, bar)


def _announcement(remote: RemoteModel, total_bytes: int, present_bytes: int) -> str:
    here = f", {megabytes(present_bytes)} of them here already" if present_bytes else ""
    files = f"{len(remote.files)} file{'s' if len(remote.files) > 1 else ''}"
    return f"{remote.model_id} at {remote.revision}: {files}, {megabytes(total_bytes)}{here}"


class _OnBar:
    """A bar with rate and time left."""

    def __init__(self, remote: RemoteModel, bar: "Bar") -> None:
        self._remote = remote
        self._bar = bar
        self._task: TaskID | None = None

    def begin(self, total_bytes: int, present_bytes: int) -> None:
        self._bar.console.print(
            _announcement(self._remote, total_bytes, present_bytes), highlight=False, soft_wrap=True
        )
        self._task = self._bar.add_task("", total=total_bytes, completed=present_bytes)

    def advance(self, count: int) -> None:
        if self._task is not None:
            self._bar.advance(self._task, count)

    def end(self) -> None:
        self._bar.stop()


class _Lines:
    """A line every ten seconds."""

    def __init__(self, remote: RemoteModel) -> None:
        self._remote = remote
        self._total = self._done = 0
        self._said_at_s = 0.0

    def begin(self, total_bytes: int, present_bytes: int) -> None:
        self._total, self._done = total_bytes, present_bytes
        self._said_at_s = time.monotonic()
        typer.echo(_announcement(self._remote, total_bytes, present_bytes), err=True)

    def advance(self, count: int) -> None:
        self._done += count
        if time.monotonic() - self._said_at_s > _SECONDS_BETWEEN_LINES:
            self._said_at_s = time.monotonic()
            share = self._done / self._total
            typer.echo(f"{share:.0%}: {megabytes(self._done)} of {megabytes(self._total)}", err=True)

    def end(self) -> None:
        typer.echo(f"{self._remote.model_id}: all files are here and have the hub's checksums.", err=True)
