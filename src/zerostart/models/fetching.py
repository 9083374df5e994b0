"""From a repository of the Hugging Face hub to a folder that can be converted.

Only files of an allow-list are fetched, at one commit, and each is compared with the checksum that the hub has for it.
What was fetched stays under `.fetching` until the model is made of it, so that an interrupted fetch is continued.
huggingface_hub itself cannot do that since it writes to a file of another name in each attempt, which is why the bytes
are written here.
"""

import hashlib
import importlib.util
import re
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from zerostart.errors import HubFailure, InvalidArtefact, MissingExtra
from zerostart.models.artefact import sha256_of
from zerostart.models.catalogue import catalogue, names_of
from zerostart.models.embedder import MODULES
from zerostart.models.huggingface import Interrupted, RemoteFile, RemoteModel, look_up, opened
from zerostart.models.leftovers import FETCHING, held, remove_leftovers
from zerostart.models.local_artefacts import folder_name

_ONNX = "onnx/model.onnx"
_SAFETENSORS = "model.safetensors"
_INDEX = "model.safetensors.index.json"
_ALWAYS = re.compile(
    r"config\.json|tokenizer[\w.-]*\.json|special_tokens_map\.json|added_tokens\.json|vocab\.(txt|json)|merges\.txt"
    r"|[\w.-]+\.model|README\.md|modules\.json|sentence_bert_config\.json|1_Pooling/config\.json"
)
_ONNX_FILES = re.compile(r"onnx/model\.onnx([._]data(_\d+)?)?")
_SHARDS = re.compile(r"[\w.-]+\.safetensors")
_PICKLES = re.compile(r"[\w.-]+\.(bin|pt|pth|ckpt|pkl|pickle|h5|msgpack)")
_PAUSES_S = (1.0, 2.0, 4.0)
_CHUNK_BYTES = 1 << 20
_PART = ".part"


class Progress(Protocol):
    """Who is told how far a fetch is."""

    def begin(self, total_bytes: int, present_bytes: int) -> None:
        """Before the first byte is fetched."""

    def advance(self, count: int) -> None:
        """So many bytes came; less than zero if some have to come again."""

    def end(self) -> None:
        """After the last byte."""


def hub_id(model_id: str) -> str:
    """The Hugging Face id of a model that may be named as JumpStart does; any other name is returned as it is."""
    known = {entry.hugging_face_id for entry in catalogue()}
    return next((name for name in names_of(model_id) if name in known), model_id)


def find_remote(model_id: str, revision: str | None) -> RemoteModel:
    """The model at the hub with the files that will be fetched; nothing is fetched yet.

    Raises InvalidArtefact if it has none that may be loaded, MissingExtra if they could not be converted here, and what
    `look_up` raises.
    """
    found = look_up(model_id, revision)
    names = _chosen([file.name for file in found.files], model_id, torch=_are_installed("torch", "transformers"))
    return replace(found, files=tuple(file for file in found.files if file.name in names))


def _chosen(names: Sequence[str], model_id: str, *, torch: bool) -> set[str]:
    chosen = {name for name in names if _ALWAYS.fullmatch(name)}
    weights = _weights(names)
    onnx = _ONNX in names and MODULES not in names  # that of an embedding model does not pool
    if not weights and not onnx:
        raise InvalidArtefact(_why_nothing(names, model_id))
    if "config.json" not in chosen:
        raise InvalidArtefact(f"{model_id} has no config.json: it is no model of transformers, and is not fetched.")
    if not _are_installed("onnx"):
        raise MissingExtra(f"{model_id} would have to be converted: run pip install 'zerostart[convert]'.")
    if onnx:
        chosen |= {name for name in names if _ONNX_FILES.fullmatch(name)}
    elif not torch:
        what = "is an embedding model" if MODULES in names else "has no ONNX file"
        raise MissingExtra(
            f"{model_id} {what}, so it has to be converted, which needs torch and transformers: "
            "run pip install 'zerostart[convert]'."
        )
    return chosen | (weights if torch else set())  # beside an ONNX file, the weights are there to compare it with


def _are_installed(*packages: str) -> bool:
    return all(importlib.util.find_spec(name) is not None for name in packages)


def _weights(names: Sequence[str]) -> set[str]:
    """The safetensors that transformers would read; others beside them are the same in other precisions."""
    if _SAFETENSORS in names:
        return {_SAFETENSORS}
    return {_INDEX, *(name for name in names if _SHARDS.fullmatch(name))} if _INDEX in names else set()


def _why_nothing(names: Sequence[str], model_id: str) -> str:
    pickles = sorted(name for name in names if _PICKLES.fullmatch(name))
    if not pickles:
        return f"{model_id} holds neither {_SAFETENSORS} nor {_ONNX}: there is nothing to fetch."
    return (
        f"{model_id} has its weights only in {', '.join(pickles)}. Such files can run code when they are loaded, so "
        "they are never fetched. Look among its pull requests for one that adds safetensors and pull "
        f"{model_id}@refs/pr/NUMBER, or convert it where you trust it and run zerostart models add {model_id} PATH."
    )


@contextmanager
def fetched(model: RemoteModel, models_folder: Path, progress: Progress) -> Iterator[Path]:
    """A folder with the model's files, each compared with the checksum that the hub has of it.

    Afterwards the folder is removed, unless something failed that may succeed later. Raises HubFailure,
    InvalidArtefact for content that is not what the hub says, and ModelInUse if another command fetches the same.
    """
    remove_leftovers(models_folder)
    folder = models_folder / FETCHING / f"{folder_name(model.model_id)}@{model.revision}"
    with held(folder):
        _run(_Fetch(model, folder, progress))
        try:
            yield folder
        except InvalidArtefact:
            shutil.rmtree(folder)
            raise
        shutil.rmtree(folder)


def _run(fetch: "_Fetch") -> None:
    try:
        fetch.run()
    except OSError as error:
        raise HubFailure(
            f"{error.filename or fetch.folder} cannot be written: {error.strerror or error}. Run the command again "
            "when that is mended: it goes on where it stopped."
        ) from error


@dataclass(frozen=True)
class _Fetch:
    model: RemoteModel
    folder: Path
    progress: Progress

    def run(self) -> None:
        """Return when all files are there."""
        missing = [file for file in self.model.files if not self._is_present(file)]
        total = sum(file.size for file in self.model.files)
        to_fetch = sum(file.size - self._part_size(file) for file in missing)
        self._check_space(to_fetch)
        self.progress.begin(total, total - to_fetch)
        for file in missing:
            self._fetch(file)
        self.progress.end()

    def _is_present(self, file: RemoteFile) -> bool:
        """Whether an earlier command fetched the file, and it is what the hub has."""
        path = self.folder / file.name
        return path.is_file() and _is_right(path, file)

    def _part(self, file: RemoteFile) -> Path:
        return self.folder / (file.name + _PART)

    def _part_size(self, file: RemoteFile) -> int:
        """Bytes of an interrupted fetch that can be gone on from."""
        part = self._part(file)
        if part.is_file() and part.stat().st_size > file.size:
            part.unlink()
        return part.stat().st_size if part.is_file() else 0

    def _check_space(self, to_fetch: int) -> None:
        """There must be room for what is fetched, and for the weights once more, from which the model is made."""
        again = sum(file.size for file in self.model.files if file.name.endswith((".safetensors", ".onnx", "data")))
        free = shutil.disk_usage(self.folder).free
        if free < to_fetch + again:
            raise HubFailure(
                f"{self.model.model_id} needs {megabytes(to_fetch + again)} on the disk of {self.folder.parents[1]} "
                f"({megabytes(to_fetch)} to fetch, the rest to convert it), which has {megabytes(free)}: make room."
            )

    def _fetch(self, file: RemoteFile) -> None:
        part = self._part(file)
        part.parent.mkdir(exist_ok=True)
        pauses_s = list(_PAUSES_S)
        while not part.is_file() or self._part_size(file) < file.size:
            before = self._part_size(file)
            try:
                self._append(file, part)
            except Interrupted:
                if self._part_size(file) > before:
                    pauses_s = list(_PAUSES_S)  # it goes on, if with interruptions
                if not pauses_s:
                    raise
                time.sleep(pauses_s.pop(0))
        if not _is_right(part, file):
            part.unlink()
            raise InvalidArtefact(
                f"{file.name} of {self.model.model_id} is not what the hub says that it is (other size or checksum): "
                "it was dropped, and nothing was added. Try again; if it stays so, somebody between here and the hub "
                "alters it."
            )
        part.rename(self.folder / file.name)

    def _append(self, file: RemoteFile, part: Path) -> None:
        """Fetch what is missing of one file. Raises Interrupted, leaving what came."""
        present = self._part_size(file)
        with opened(self.model, file, present) as (start, chunks), part.open("ab") as to:
            if start != present:
                to.truncate(0)
                self.progress.advance(-present)
            count = start
            for chunk in chunks:
                count += len(chunk)
                if count > file.size:
                    raise HubFailure(f"The hub sends more of {file.name} than it says that there is: try again.")
                to.write(chunk)
                to.flush()  # what was written survives this process
                self.progress.advance(len(chunk))
        if count < file.size:
            raise Interrupted(f"The hub sent {count:,} of {file.size:,} bytes of {file.name}: try again.")


def _is_right(path: Path, file: RemoteFile) -> bool:
    """Whether a file here has the size and checksum that the hub has for it."""
    if path.stat().st_size != file.size:
        return False
    if file.sha256 is not None:
        return sha256_of(path) == file.sha256
    return _git_blob_id(path, file.size) == file.git_sha1


def _git_blob_id(path: Path, size: int) -> str:
    sha1 = hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)
    with path.open("rb") as content:
        while chunk := content.read(_CHUNK_BYTES):
            sha1.update(chunk)
    return sha1.hexdigest()


def megabytes(count: int) -> str:
    """A count of bytes for people."""
    return f"{count / 1e6:,.1f} MB"
