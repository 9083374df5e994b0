"""The artefacts on this machine: those built in, and those in the home folder."""

import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from zerostart.errors import InvalidArtefact, InvalidInput, UnknownModel
from zerostart.models.artefact import BUILTIN_FOLDER, MANIFEST, MODEL_ID_PATTERN, Artefact, read_artefact
from zerostart.models.catalogue import names_of
from zerostart.models.leftovers import remove_leftovers, remove_whole

BUILTIN_MODEL_ID = "zerostart-zstc-small"


def folder_name(model_id: str) -> str:
    """The folder of a model id under a root. Raises InvalidInput unless the id is of the form NAME or OWNER/NAME."""
    if not re.fullmatch(MODEL_ID_PATTERN, model_id):
        raise InvalidInput(
            f"Model id {model_id!r} is not of the form NAME or OWNER/NAME (letters, digits, '.', '_', '-')."
        )
    return model_id.replace("/", "--")


@dataclass(frozen=True)
class Removable:
    """A model of the home folder, readable or not, and what goes with it."""

    model_id: str
    folder: Path
    cache_folder: Path

    @property
    def size_bytes(self) -> int:
        """Bytes on disk, with those of its compiled form."""
        roots = (self.folder, self.cache_folder)
        return sum(path.lstat().st_size for root in roots for path in root.rglob("*") if path.is_file())


class LocalArtefacts:
    """Looks artefacts up by model id, in `models_folder` first and then among the built-in ones."""

    def __init__(self, models_folder: Path) -> None:
        self.models_folder = models_folder
        self._roots = (models_folder, BUILTIN_FOLDER)

    def find(self, model_id: str) -> Artefact:
        """The artefact of `model_id`, or of another name that the catalogue has for the same model.

        Raises UnknownModel, saying how to get it, or InvalidArtefact.
        """
        folder_name(model_id)
        for name in names_of(model_id):
            if artefact := self._found(name):
                return artefact
        here = ", ".join(artefact.model_id for artefact in self.list())
        raise UnknownModel(
            f"Model {model_id!r} is not on this machine. Here: {here}. To fetch it, run: "
            f"zerostart models pull {model_id}, or from a folder that holds it: zerostart models add {model_id} PATH"
        )

    def _found(self, model_id: str) -> Artefact | None:
        name = folder_name(model_id)
        for root in self._roots:
            if (root / name / MANIFEST).is_file():
                artefact = read_artefact(root / name)
                if artefact.model_id != model_id:
                    raise InvalidArtefact(f"{root / name} holds {artefact.model_id!r}, not {model_id!r}: rename one.")
                return artefact
        return None

    def list(self) -> list[Artefact]:
        """Every artefact that can be read, by model id; one that cannot be read is left out."""
        found: dict[str, Artefact] = {}
        for root in self._roots:
            for manifest in sorted(root.glob(f"*/{MANIFEST}")):
                try:
                    artefact = read_artefact(manifest.parent)
                except InvalidArtefact:
                    continue
                if folder_name(artefact.model_id) == manifest.parent.name:
                    found.setdefault(artefact.model_id, artefact)
        return [found[model_id] for model_id in sorted(found)]

    def removable(self, model_id: str, cache_folder: Path) -> Removable:
        """What removing `model_id` would remove. Raises UnknownModel, and InvalidInput for a built-in model."""
        folders = {name: folder_name(name) for name in names_of(model_id)}
        for name, folder in folders.items():
            if (self.models_folder / folder / MANIFEST).is_file():
                return Removable(name, self.models_folder / folder, cache_folder / folder)
        if any((BUILTIN_FOLDER / folder).is_dir() for folder in folders.values()):
            raise InvalidInput(
                f"Model {model_id!r} is built in: it is part of the installed package, and goes with it."
            )
        raise UnknownModel(f"Model {model_id!r} is not on this machine: zerostart models list --local shows what is.")

    def remove(self, removable: Removable) -> None:
        """Remove a model: at once for everybody who looks. Raises ModelInUse if another command works on it."""
        remove_leftovers(self.models_folder)
        remove_whole(removable.folder)
        shutil.rmtree(removable.cache_folder, ignore_errors=True)
