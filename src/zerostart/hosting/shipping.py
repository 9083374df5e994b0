"""Artefacts on their way to other machines: through a bucket that all of them reach, and kept there by checksum."""

import contextlib
import hashlib
import os
import secrets
import shutil
from dataclasses import dataclass
from pathlib import Path

from zerostart.errors import AlreadyExists, InvalidArtefact, NotFound
from zerostart.models.artefact import MANIFEST, Artefact, read_artefact, verify
from zerostart.storage.base import ObjectAttributes, ObjectStore

_CHUNK_BYTES = 1024 * 1024


@dataclass(frozen=True)
class ShippedArtefact:
    """An artefact in a bucket. `digest` is the sha256 of its manifest, which has the checksums of all its files."""

    bucket: str
    digest: str
    folder_name: str
    files: tuple[str, ...]

    def key(self, file: str) -> str:
        """Where a file is in the bucket."""
        return f"artefacts/{self.digest}/{file}"


def shipped(artefact: Artefact, bucket: str) -> ShippedArtefact:
    """Where an artefact belongs in a bucket."""
    digest = hashlib.sha256((artefact.folder / MANIFEST).read_bytes()).hexdigest()
    return ShippedArtefact(bucket, digest, artefact.folder.name, (*artefact.manifest.files, MANIFEST))


def ship(artefact: Artefact, store: ObjectStore, bucket: str) -> ShippedArtefact:
    """Put an artefact into a bucket, which is made if it is not there. What is there is not sent again."""
    found = shipped(artefact, bucket)
    if _is_there(store, found):
        return found
    with contextlib.suppress(AlreadyExists):
        store.create_bucket(bucket)
    for name in found.files:  # the manifest last: where it is, the others are
        with (
            store.writer(bucket, found.key(name), ObjectAttributes()) as writer,
            (artefact.folder / name).open("rb") as file,
        ):
            while content := file.read(_CHUNK_BYTES):
                writer.write(content)
            writer.commit()
    return found


def fetch(wanted: ShippedArtefact, store: ObjectStore, models_folder: Path) -> None:
    """Have an artefact in a folder of models, whole and as it was shipped. Raises NotFound, InvalidArtefact."""
    target = models_folder / wanted.folder_name
    if _is_whole(target, wanted):
        return
    models_folder.mkdir(parents=True, exist_ok=True)
    part = models_folder / f".fetching-{secrets.token_hex(6)}"
    part.mkdir()
    try:
        for name in wanted.files:
            _fetch_file(store, wanted, name, part / name)
        if hashlib.sha256((part / MANIFEST).read_bytes()).hexdigest() != wanted.digest:
            raise InvalidArtefact(f"s3://{wanted.bucket}/{wanted.key(MANIFEST)} was altered: remove what is beside it.")
        verify(read_artefact(part))
        shutil.rmtree(target, ignore_errors=True)
        with contextlib.suppress(OSError):  # another process was quicker
            part.rename(target)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _fetch_file(store: ObjectStore, wanted: ShippedArtefact, name: str, path: Path) -> None:
    reader = store.open(wanted.bucket, wanted.key(name))
    try:
        with path.open("wb") as file:
            for chunk in reader.chunks():
                file.write(chunk)
            os.fsync(file.fileno())
    finally:
        reader.close()


def _is_there(store: ObjectStore, wanted: ShippedArtefact) -> bool:
    try:
        store.head(wanted.bucket, wanted.key(MANIFEST))
    except NotFound:
        return False
    return True


def _is_whole(folder: Path, wanted: ShippedArtefact) -> bool:
    try:
        artefact = read_artefact(folder)
        verify(artefact)
    except InvalidArtefact:
        return False
    return shipped(artefact, wanted.bucket).digest == wanted.digest
