"""Folders that a command works in before a model is whole, or while it goes; and clearing away those of killed ones.

Whoever works in one holds a lock on the folder itself, which ends with its process however that ends.
"""

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from zerostart.errors import ModelInUse

FETCHING = ".fetching"
ADDING = ".adding-"
REMOVING = ".removing-"
# Younger fetches are left: they may be gone on with.
_WEEK_S = 7 * 24 * 3600.0


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Make `folder` if it is not there, and hold it. Raises ModelInUse if another command does."""
    descriptor = None
    while descriptor is None:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = _locked(folder)
    try:
        yield
    finally:
        os.close(descriptor)


@contextmanager
def folder_for_adding(models_folder: Path) -> Iterator[Path]:
    """A new folder beside the models, which is gone at the end."""
    models_folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        with _alone(models_folder):  # nobody clears it away before it is held
            folder = Path(tempfile.mkdtemp(dir=models_folder, prefix=ADDING))
            stack.enter_context(held(folder))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def remove_whole(folder: Path) -> None:
    """Remove a model's folder: at once for everybody who looks, then its files. Raises ModelInUse."""
    if folder.is_symlink():
        folder.unlink()
        return
    with held(folder):
        with _alone(folder.parent):
            going = Path(tempfile.mkdtemp(dir=folder.parent, prefix=REMOVING))
            folder.rename(going)
        shutil.rmtree(going)


def remove_leftovers(models_folder: Path) -> None:
    """Remove what killed commands left, except what one goes on with (a fetch of this week) or works in now."""
    if not models_folder.is_dir():
        return
    with _alone(models_folder):
        found = [*models_folder.glob(f"{ADDING}*"), *models_folder.glob(f"{REMOVING}*")]
        found += [each for each in models_folder.glob(f"{FETCHING}/*") if time.time() - _changed_at_s(each) > _WEEK_S]
        for folder in found:
            if folder.is_dir() and not folder.is_symlink():
                _remove_unless_held(folder)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Wait until nobody else is at this point with the same folder; it is never long."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _remove_unless_held(folder: Path) -> None:
    try:
        descriptor = _locked(folder)
    except (ModelInUse, OSError):
        return
    if descriptor is not None:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(descriptor)


def _locked(folder: Path) -> int | None:
    """A descriptor that holds the lock; None if the folder went away meanwhile. Raises ModelInUse."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if _is_still(folder, descriptor):
            return descriptor
    except BlockingIOError:
        os.close(descriptor)
        raise ModelInUse(f"Another command is at work in {folder}: wait until it ends.") from None
    except BaseException:
        os.close(descriptor)
        raise
    os.close(descriptor)
    return None


def _is_still(folder: Path, descriptor: int) -> bool:
    """Whether the path still leads to the folder that was opened."""
    try:
        return os.path.samestat(folder.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _changed_at_s(folder: Path) -> float:
    """When something in it was last written."""
    try:
        return max(path.lstat().st_mtime for path in (folder, *folder.rglob("*")))
    except FileNotFoundError:
        return time.time()
