"""The making of an artefact: a folder beside the others that becomes one of them by a rename, or vanishes."""

import fcntl
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from zerostart.errors import InvalidArtefact

_PREFIX = ".making-"
_LOCK = ".lock"


@contextmanager
def making(models_folder: Path, name: str) -> Iterator[Path]:
    """An empty folder to write an artefact into; at the end it is `models_folder / name`, or gone after an error.

    What killed makings left is removed first: the lock of each is held as long as its process lives.
    Raises InvalidArtefact where `name` is taken.
    """
    models_folder.mkdir(parents=True, exist_ok=True)
    target = models_folder / name
    _refuse_taken(target)
    with _lock(models_folder / _LOCK):
        _remove_abandoned(models_folder)
        own = Path(tempfile.mkdtemp(dir=models_folder, prefix=_PREFIX))
        alive = (own / _LOCK).open("w")
        fcntl.flock(alive, fcntl.LOCK_EX)
    try:
        (own / name).mkdir()
        yield own / name
        with _lock(models_folder / _LOCK):
            _refuse_taken(target)
            (own / name).rename(target)
    finally:
        shutil.rmtree(own, ignore_errors=True)
        alive.close()


def _refuse_taken(target: Path) -> None:
    if target.exists():
        raise InvalidArtefact(f"{target} exists: remove it first to replace the model.")


def _remove_abandoned(models_folder: Path) -> None:
    for folder in models_folder.glob(f"{_PREFIX}*"):
        try:
            with (folder / _LOCK).open("a") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
        except OSError:  # another process makes it, or has just removed it
            continue


@contextmanager
def _lock(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
