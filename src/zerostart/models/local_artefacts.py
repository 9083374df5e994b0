"""The artefacts on this machine: those built in, and those in the home folder."""

import re
from pathlib import Path

from zerostart.errors import InvalidArtefact, InvalidInput, UnknownModel
from zerostart.models.artefact import MANIFEST, MODEL_ID_PATTERN, Artefact, read_artefact
from zerostart.models.catalogue import names_of

BUILTIN_FOLDER = Path(__file__).parent / "builtin"
BUILTIN_MODEL_ID = "zerostart-zstc-small"


def folder_name(model_id: str) -> str:
    """The folder of a model id under a root. Raises InvalidInput unless the id is of the form NAME or OWNER/NAME."""
    if not re.fullmatch(MODEL_ID_PATTERN, model_id):
        raise InvalidInput(
            f"Model id {model_id!r} is not of the form NAME or OWNER/NAME (letters, digits, '.', '_', '-')."
        )
    return model_id.replace("/", "--")


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
            f"Model {model_id!r} is not on this machine. Here: {here}. To add it from a folder that holds it, run: "
            f"zerostart models add {model_id} PATH"
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
