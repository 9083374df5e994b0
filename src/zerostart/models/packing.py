"""An artefact as one file, to carry it to another machine, and back.

The file is a plain tar: `zerostart.json` first, then the files that it names. Nothing is compressed, as weights do not
compress; so there is nothing that could grow without end, either. Headers are read here one by one, since `tarfile`
follows links and extensions that have no place in such a file.
"""

import hashlib
import os
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import IO, BinaryIO

from zerostart.errors import AlreadyExists, InvalidArtefact, InvalidInput, UnknownModel, shortened
from zerostart.models.artefact import MANIFEST, Artefact, Manifest, read_artefact, read_manifest
from zerostart.models.leftovers import folder_for_adding, remove_leftovers
from zerostart.models.local_artefacts import LocalArtefacts, folder_name

_BLOCK = tarfile.BLOCKSIZE
_CHUNK_BYTES = 1 << 20
_LARGEST_MANIFEST_BYTES = 1 << 20
_LONGEST_NAME = tarfile.LENGTH_NAME
_OTHER_FORMATS = {
    b"PK": "a zip archive",
    b"\x1f\x8b": "compressed (gzip)",
    b"BZh": "compressed (bzip2)",
    b"\xfd7zXZ": "compressed (xz)",
    b"\x28\xb5\x2f\xfd": "compressed (zstd)",
}
_OTHER_MEMBERS = {
    tarfile.LNKTYPE: "a hard link",
    tarfile.SYMTYPE: "a symbolic link",
    tarfile.CHRTYPE: "a device",
    tarfile.BLKTYPE: "a device",
    tarfile.DIRTYPE: "a folder",
    tarfile.FIFOTYPE: "a pipe",
}


def pack(artefact: Artefact, target: Path) -> int:
    """Write the artefact to the file `target`, which appears whole or not at all; returns its size in bytes.

    Raises InvalidArtefact if a file was altered, AlreadyExists for a target that exists, InvalidInput if it cannot be
    written.
    """
    _refuse_existing(target)
    try:
        with _written_beside(target) as file:
            _write(artefact, file)
    except OSError as error:
        raise InvalidInput(f"{target} cannot be written: {error.strerror or error}.") from error
    return target.stat().st_size


def _refuse_existing(target: Path) -> None:
    if os.path.lexists(target):
        raise AlreadyExists(f"{target} exists: remove it first, or give another name.")


@contextmanager
def _written_beside(target: Path) -> Iterator[IO[bytes]]:
    """A new file that takes the name `target` once it is written."""
    with tempfile.NamedTemporaryFile(dir=target.parent, prefix=f".{target.name}-", delete=False) as file:
        try:
            yield file
            file.flush()
            os.fsync(file.fileno())
            Path(file.name).chmod(0o644)
            _refuse_existing(target)  # it may have appeared meanwhile
            Path(file.name).rename(target)
        except BaseException:
            Path(file.name).unlink(missing_ok=True)
            raise


def _write(artefact: Artefact, to: IO[bytes]) -> None:
    with tarfile.open(fileobj=to, mode="w", format=tarfile.GNU_FORMAT) as tar:
        manifest = (artefact.folder / MANIFEST).read_bytes()
        tar.addfile(_header(MANIFEST, len(manifest)), BytesIO(manifest))
        for name, expected in artefact.manifest.files.items():
            path = artefact.folder / name
            with path.open("rb") as file:
                hashed = _Hashed(file)
                tar.addfile(_header(name, path.stat().st_size), hashed)
            if hashed.sha256.hexdigest() != expected:
                raise InvalidArtefact(f"{path} was altered: it does not have the sha256 that {MANIFEST} says.")


def _header(name: str, size: int) -> tarfile.TarInfo:
    if len(name) > _LONGEST_NAME:
        raise InvalidArtefact(f"The file name {shortened(name)} is too long: at most {_LONGEST_NAME} characters.")
    header = tarfile.TarInfo(name)
    header.size = size
    return header


class _Hashed:
    """A file that is hashed as it is read."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.sha256 = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        chunk = self._file.read(size)
        self.sha256.update(chunk)
        return chunk


def unpack(source: Path, models_folder: Path) -> Artefact:
    """The artefact in the file `source`, now under `models_folder`: it appears there whole or not at all.

    Raises InvalidArtefact, saying what was found, for a file that `pack` would not have written, or one that was cut
    or altered, and AlreadyExists for a model that is here.
    """
    remove_leftovers(models_folder)
    try:
        with source.open("rb") as file, folder_for_adding(models_folder) as adding:
            reader = _Reader(source, file)
            folder = adding / "model"
            folder.mkdir()
            manifest = _unpack_manifest(reader, folder)
            target = _free_folder(models_folder, manifest.model_id)
            _unpack_files(reader, manifest, folder)
            read_artefact(folder)
            folder.rename(target)
    except OSError as error:
        raise InvalidInput(f"{error.filename or source} cannot be read or written: {error.strerror}.") from error
    return read_artefact(target)


def _unpack_manifest(reader: "_Reader", folder: Path) -> Manifest:
    found = reader.next_file()
    if found is None or found[0] != MANIFEST:
        raise reader.refused(f"begins with {shortened(found[0]) if found else 'nothing'} and not with {MANIFEST}")
    if found[1] > _LARGEST_MANIFEST_BYTES:
        raise reader.refused(f"has a {MANIFEST} of {found[1]:,} bytes")
    reader.copy(found[1], folder / MANIFEST)
    return read_manifest(folder / MANIFEST)


def _free_folder(models_folder: Path, model_id: str) -> Path:
    """Where the model will be. Raises AlreadyExists if it is here, by this name or another."""
    target = models_folder / folder_name(model_id)
    try:
        taken = target if os.path.lexists(target) else LocalArtefacts(models_folder).find(model_id).folder
    except UnknownModel:
        return target
    raise AlreadyExists(f"{taken} exists: remove it first to replace model {model_id!r}.")


def _unpack_files(reader: "_Reader", manifest: Manifest, folder: Path) -> None:
    missing = dict(manifest.files)
    while (found := reader.next_file()) is not None:
        name, size = found
        if name not in manifest.files and name != MANIFEST:
            raise reader.refused(f"holds {shortened(name)}, which its {MANIFEST} does not name")
        if name not in missing:
            raise reader.refused(f"holds {name} twice")
        expected = missing.pop(name)
        actual = reader.copy(size, folder / name)
        if actual != expected:
            raise reader.refused(f"was altered: {name} has the sha256 {actual}, its {MANIFEST} says {expected}")
    if missing:
        raise reader.refused(f"lacks {', '.join(missing)}")


class _Reader:
    """Reads a tar of regular files, in order."""

    def __init__(self, path: Path, file: BinaryIO) -> None:
        self._path = path
        self._file = file
        self._left = os.fstat(file.fileno()).st_size
        start = file.read(8)
        file.seek(0)
        for magic, kind in _OTHER_FORMATS.items():
            if start.startswith(magic):
                raise self.refused(f"is {kind}")

    def refused(self, found: str) -> InvalidArtefact:
        """The error that says what was found."""
        return InvalidArtefact(
            f"{self._path} {found}: nothing was added. Give a file that zerostart models export wrote, or export again."
        )

    def next_file(self) -> tuple[str, int] | None:
        """Name and size of the next file; None at the end."""
        block = self._read(_BLOCK)
        if not any(block):
            self._check_end()
            return None
        try:
            header = tarfile.TarInfo.frombuf(block, "utf-8", "strict")
        except (tarfile.HeaderError, UnicodeDecodeError):
            raise self.refused("is not such a file, or is damaged") from None
        if header.type not in {tarfile.REGTYPE, tarfile.AREGTYPE}:
            kind = _OTHER_MEMBERS.get(header.type, "not a plain file")
            raise self.refused(f"holds {shortened(header.name)}, which is {kind}")
        if header.size < 0:
            raise self.refused(f"holds {shortened(header.name)} of a size below zero")
        return header.name, header.size

    def copy(self, size: int, target: Path) -> str:
        """Write the file that comes next, and return its sha256."""
        sha256, left = hashlib.sha256(), size
        if size > self._left:
            raise self.refused("was cut: it ends too early")
        with target.open("xb") as file:
            while left:
                chunk = self._read(min(left, _CHUNK_BYTES))
                sha256.update(chunk)
                file.write(chunk)
                left -= len(chunk)
            file.flush()
            os.fsync(file.fileno())
        self._read(-size % _BLOCK)
        return sha256.hexdigest()

    def _read(self, size: int) -> bytes:
        found = self._file.read(size)
        if len(found) != size:
            raise self.refused("was cut: it ends too early")
        self._left -= size
        return found

    def _check_end(self) -> None:
        """After the first empty block come others alone, fewer than a tar record has."""
        if self._left >= tarfile.RECORDSIZE or any(self._file.read(self._left)):
            raise self.refused("goes on after its end")
