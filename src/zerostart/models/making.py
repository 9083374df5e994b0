"""The making of an artefact: a folder beside the others that becomes one of them by a rename, or vanishes."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from zerostart.errors import InvalidArtefact
from zerostart.models.leftovers import folder_for_adding, remove_leftovers


@contextmanager
def making(models_folder: Path, name: str) -> Iterator[Path]:
    """An empty folder to write an artefact into; at the end it is `models_folder / name`, or gone after an error.

    What killed commands left is removed first. Raises InvalidArtefact where `name` is taken.
    """
    target = models_folder / name
    _refuse_taken(target)
    remove_leftovers(models_folder)
    with folder_for_adding(models_folder) as adding:
        own = adding / name
        own.mkdir()
        yield own
        _refuse_taken(target)
        own.rename(target)


def _refuse_taken(target: Path) -> None:
    if target.exists():
        raise InvalidArtefact(f"{target} exists: remove it first to replace the model.")
