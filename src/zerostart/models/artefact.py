"""An artefact: a folder that holds one model, ready to run.

`zerostart.json` names the model and the sha256 of each other file: `model.onnx`, `tokenizer.json`, the model card. A
model may extend a built-in one: its `model.onnx` is then the rest of a graph that begins in that one's, so that what
both have in common is on the disk but once (docs/decisions/0029-one-body-for-both-views.md).
"""

import hashlib
import json
import re
from dataclasses import asdict, dataclass, field
from math import isfinite
from pathlib import Path
from typing import Any

from zerostart.errors import InvalidArtefact
from zerostart.nli.head import NLIHead, find_nli_head
from zerostart.nli.hybrid import Blend

BUILTIN_FOLDER = Path(__file__).parent / "builtin"
MANIFEST = "zerostart.json"
GRAPH = "model.onnx"
TOKENIZER = "tokenizer.json"
FORMAT = 1
KINDS = ("nli", "embedding")
MODEL_ID_PATTERN = r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}(/[A-Za-z0-9][A-Za-z0-9._-]{0,95})?"
_FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True)
class Extended:
    """The built-in model whose graph another one's goes on from: its id, and the sha256 of its `model.onnx`."""

    model_id: str
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """What `zerostart.json` says.

    `kind` is nli, or embedding for a bi-encoder, with a `dimension` and no classes. `classes` is id2label in order.
    `files` maps file names to sha256 in hex, and `sources` those of the files that the artefact was made from.
    `max_probability_difference` is what the conversion changed, compared with the original in torch in fp32; None if it
    was not compared. `blend` is how an NLI model's scores are put together with those of an embedding model. `extends`
    is the model whose graph this one's goes on from, if it is not whole.
    """

    model_id: str
    revision: str
    architecture: str
    classes: tuple[str, ...]
    max_tokens: int
    pad_token_id: int
    licence: str
    languages: tuple[str, ...]
    description: str = ""
    kind: str = "nli"
    dimension: int = 0
    max_probability_difference: float | None = None
    blend: Blend | None = None
    extends: Extended | None = None
    sources: dict[str, str] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Artefact:
    """A manifest that was checked, and where its files are. An embedding model has no `head`."""

    folder: Path
    manifest: Manifest
    head: NLIHead | None

    @property
    def model_id(self) -> str:
        """The id that callers deploy it by."""
        return self.manifest.model_id

    @property
    def size_bytes(self) -> int:
        """Bytes on disk."""
        return sum((self.folder / name).stat().st_size for name in self.manifest.files)

    @property
    def extended_graph(self) -> Path | None:
        """The `model.onnx` that this one's goes on from, if it is not whole."""
        return None if self.manifest.extends is None else BUILTIN_FOLDER / self.manifest.extends.model_id / GRAPH

    @property
    def weights(self) -> str:
        """What tells the content of the graph from every other: a sha256, of what it goes on from as well."""
        own, extends = self.manifest.files.get(GRAPH, ""), self.manifest.extends
        return own if extends is None else hashlib.sha256(f"{extends.sha256} {own}".encode()).hexdigest()


def read_artefact(folder: Path) -> Artefact:
    """The artefact in `folder`. Raises InvalidArtefact if it is incomplete or not an NLI model. Reads no weights."""
    manifest = read_manifest(folder / MANIFEST)
    if TOKENIZER not in manifest.files:
        raise InvalidArtefact(f"{folder / MANIFEST} lists no {TOKENIZER}: make the artefact again.")
    for name in manifest.files:
        path = folder / name
        if path.is_symlink() or not path.is_file():
            raise InvalidArtefact(f"{path} is missing or not a plain file: make or fetch the artefact again.")
    if manifest.extends is not None:
        _check_extended(manifest.extends, folder / MANIFEST)
    return Artefact(folder, manifest, find_nli_head(manifest.classes) if manifest.kind == "nli" else None)


def verify(artefact: Artefact) -> None:
    """Compare each file with the manifest's checksum. Raises InvalidArtefact naming the file that was altered."""
    expected = {artefact.folder / name: sha256 for name, sha256 in artefact.manifest.files.items()}
    if artefact.extended_graph is not None and artefact.manifest.extends is not None:
        expected[artefact.extended_graph] = artefact.manifest.extends.sha256
    for path, sha256 in expected.items():
        if (actual := sha256_of(path)) != sha256:
            raise InvalidArtefact(
                f"{path} was altered: its sha256 is {actual}, the manifest says {sha256}. "
                "Fetch or make the artefact again."
            )


def _check_extended(extends: Extended, path: Path) -> None:
    """That the built-in model which is extended is the one that is here. Reads no weights."""
    here = BUILTIN_FOLDER / extends.model_id / MANIFEST
    if not here.is_file() or read_manifest(here).files.get(GRAPH) != extends.sha256:
        raise InvalidArtefact(
            f"{path}: the model goes on from {extends.model_id!r} as another version of Zerostart has it built in: "
            "fetch or make the artefact again for this one."
        )


def write_manifest(folder: Path, manifest: Manifest) -> Artefact:
    """Write `zerostart.json` with the checksums of all files in `folder`; the last step of making an artefact."""
    files = {path.name: sha256_of(path) for path in sorted(folder.iterdir()) if path.name != MANIFEST}
    document = {"format": FORMAT, **asdict(manifest), "files": files}
    (folder / MANIFEST).write_text(json.dumps(document, indent=2) + "\n", "utf-8")
    return read_artefact(folder)


def sha256_of(path: Path) -> str:
    """sha256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_manifest(path: Path) -> Manifest:
    """What a `zerostart.json` says, checked by itself alone. Raises InvalidArtefact."""
    try:
        document: dict[str, Any] = json.loads(path.read_bytes())
        if document.pop("format") != FORMAT:
            raise InvalidArtefact(f"{path} has a format that this version does not read: it reads format {FORMAT}.")
        for key in ("classes", "languages"):
            document[key] = tuple(document[key])
        if document.get("blend") is not None:
            document["blend"] = Blend(**document["blend"])
        if document.get("extends") is not None:
            document["extends"] = Extended(**document["extends"])
        manifest = Manifest(**document)
        _check_manifest(manifest, path)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InvalidArtefact(f"{path} is not a manifest that can be read: {error!r}.") from error
    return manifest


def _check_manifest(manifest: Manifest, path: Path) -> None:
    texts = (*manifest.classes, *manifest.languages, *manifest.files.values())
    numbers = (manifest.max_tokens, manifest.pad_token_id, manifest.dimension)
    if not (all(isinstance(text, str) for text in texts) and all(isinstance(number, int) for number in numbers)):
        raise TypeError("a value is of the wrong type")
    if not re.fullmatch(MODEL_ID_PATTERN, manifest.model_id):
        raise InvalidArtefact(f"{path}: model_id {manifest.model_id!r} is not of the form NAME or OWNER/NAME.")
    wrong = [name for name in manifest.files if not _FILE_NAME.fullmatch(name)]
    if wrong:
        raise InvalidArtefact(f"{path}: {wrong[0]!r} is not a plain file name.")
    if manifest.kind not in KINDS or (manifest.kind == "embedding") != (manifest.dimension > 0):
        raise InvalidArtefact(
            f"{path}: kind {manifest.kind!r} with dimension {manifest.dimension} is none that this version reads."
        )
    if (blend := manifest.blend) is not None:
        weights = (blend.nli, blend.embedding, blend.multi_nli, blend.multi_embedding, blend.multi_bias)
        if manifest.kind != "nli" or not all(map(isfinite, weights)):
            raise InvalidArtefact(f"{path}: blend has a weight that is no number, or stands with an embedding model.")
        if not re.fullmatch(MODEL_ID_PATTERN, blend.embedding_model):
            raise InvalidArtefact(f"{path}: blend names {blend.embedding_model!r}, which is no model id.")
    if manifest.extends is not None and not _FILE_NAME.fullmatch(manifest.extends.model_id):
        raise InvalidArtefact(f"{path}: extends {manifest.extends.model_id!r}, which is no built-in model.")
    if manifest.max_tokens < 8:
        raise InvalidArtefact(f"{path}: max_tokens is {manifest.max_tokens}: too few for a premise and a hypothesis.")
