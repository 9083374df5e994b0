"""A source folder: the Hugging Face folder that a model is imported from. What is in it was made by strangers.

Every file that is read from it is looked at here first; no file is executed, unpickled, or followed out of the folder.
"""

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from zerostart.errors import InvalidArtefact
from zerostart.models.embedder import MODULES, POOLING_CONFIG, SENTENCE_CONFIG, pooling_of
from zerostart.models.safetensors_header import check_safetensors

MAX_JSON_BYTES = 16 * 2**20
MAX_TOKENIZER_BYTES = 200 * 2**20
CONFIG = "config.json"
TOKENIZER_CONFIG = "tokenizer_config.json"
INDEX = "model.safetensors.index.json"
_ALLOWED_MAX_TOKENS = 8192
# Positions are counted from after the padding id, so that the first ones of the table are not used.
_PADDED_POSITIONS = ("roberta", "xlm-roberta", "camembert", "mpnet")
_PLAIN_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")


@dataclass(frozen=True)
class SourceFolder:
    """A folder that was checked. `weights` are its safetensors, `onnx` the ONNX file that came with it, if any.

    `pooling` is how an embedding model (a sentence-transformers folder) pools; None for an NLI model.
    """

    path: Path
    config: Mapping[str, Any]
    tokenizer_config: Mapping[str, Any]
    weights: tuple[Path, ...]
    onnx: Path | None
    pooling: str | None = None
    longest_text: int | None = None

    @property
    def model_type(self) -> str:
        """The architecture, as transformers names it."""
        return str(self.config.get("model_type", "unknown"))

    @property
    def classes(self) -> tuple[str, ...]:
        """id2label, in order; an embedding model has none."""
        if self.pooling is not None:
            return ()
        id2label = self.config.get("id2label") or {}
        try:
            return tuple(str(id2label[key]) for key in sorted(id2label, key=int))
        except (TypeError, ValueError) as error:
            raise InvalidArtefact(
                f"id2label in {self.path / CONFIG} is {str(id2label)[:80]!r}: write an object of numbers and names."
            ) from error

    @property
    def max_tokens(self) -> int:
        """Positions that the model has, or the tokenizer's own limit if that is less; huge limits mean none."""
        positions = self._number("max_position_embeddings", 512)
        if self.model_type in _PADDED_POSITIONS:
            positions -= self.pad_token_id + 1
        limit = self.tokenizer_config.get("model_max_length")
        own = positions if not isinstance(limit, int | float) or limit < 1 else int(min(limit, positions))
        return min(own, positions, self.longest_text or positions, _ALLOWED_MAX_TOKENS)

    @property
    def dimension(self) -> int:
        """How long an embedding is."""
        return self._number("hidden_size", 0)

    @property
    def pad_token_id(self) -> int:
        """What pairs are padded with."""
        return self._number("pad_token_id", 1 if self.model_type in (*_PADDED_POSITIONS, "bart") else 0)

    def _number(self, key: str, default: int) -> int:
        value = self.config.get(key)
        if value is None:
            return default
        if not isinstance(value, int) or value < 0:
            raise InvalidArtefact(f"{key} in {self.path / CONFIG} is {str(value)[:40]!r}: write a number.")
        return value

    def file(self, name: str) -> Path | None:
        """The file of that name, if it is there."""
        path = self.path / name
        return path if path.is_file() else None


def open_source_folder(path: Path) -> SourceFolder:
    """The folder at `path`; its weights are not read yet, only their headers.

    Raises InvalidArtefact, saying why and what to do, for links, code, pickles, and files that are not what they claim.
    """
    if not path.is_dir():
        raise InvalidArtefact(f"{path} is not a folder: name the folder that holds {CONFIG} and *.safetensors.")
    _refuse_links(path)
    if not (path / CONFIG).is_file():
        raise InvalidArtefact(
            f"{path / CONFIG} is missing: a model folder holds {CONFIG}, tokenizer.json and *.safetensors."
        )
    config = read_json_object(path / CONFIG)
    tokenizer_config = read_json_object(path / TOKENIZER_CONFIG) if (path / TOKENIZER_CONFIG).is_file() else {}
    _refuse_unsupported(path, config, tokenizer_config)
    weights = _weights(path)
    onnx = next((each for each in (path / "onnx" / "model.onnx", path / "model.onnx") if each.is_file()), None)
    if not weights and onnx is None:
        raise InvalidArtefact(
            f"{path} holds no *.safetensors: pickled weights (.bin, .pt) can run code when they are loaded, so they "
            "never are. Get the model's safetensors, or save it again with save_pretrained(folder)."
        )
    for each in weights:
        check_safetensors(each)
    if (path / MODULES).is_file():
        return _sentence_folder(SourceFolder(path, config, tokenizer_config, weights, None))
    return SourceFolder(path, config, tokenizer_config, weights, onnx)


def _sentence_folder(folder: SourceFolder) -> SourceFolder:
    """The folder of an embedding model; its own ONNX file has no pooling, and is not used."""
    path = folder.path
    if not folder.weights:
        raise InvalidArtefact(f"{path} holds no *.safetensors, which an embedding model is made from. Get those.")
    if not (path / POOLING_CONFIG).is_file():
        raise InvalidArtefact(f"{path / POOLING_CONFIG} is missing: it says how the model pools. Fetch it too.")
    modules = _read_json(path / MODULES)
    pooling = pooling_of(path, modules if isinstance(modules, list) else [], read_json_object(path / POOLING_CONFIG))
    stated = read_json_object(path / SENTENCE_CONFIG) if (path / SENTENCE_CONFIG).is_file() else {}
    longest = stated.get("max_seq_length")
    return replace(folder, pooling=pooling, longest_text=longest if isinstance(longest, int) and longest > 0 else None)


def read_json_object(path: Path) -> Mapping[str, Any]:
    """The object in a JSON file. Raises InvalidArtefact if it is too large, or not JSON, or not an object."""
    value = _read_json(path)
    if not isinstance(value, dict):
        raise InvalidArtefact(f"{path} holds no JSON object. Fetch it again.")
    return value


def _read_json(path: Path) -> Any:
    refuse_larger(path, MAX_JSON_BYTES)
    try:
        return json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise InvalidArtefact(f"{path} is not valid JSON: {error}. Fetch it again.") from error


def refuse_larger(path: Path, limit: int) -> None:
    """Return if a file has at most `limit` bytes. Raises InvalidArtefact otherwise, without reading it."""
    size = path.stat().st_size
    if size > limit:
        raise InvalidArtefact(f"{path} has {size:,} bytes, and at most {limit:,} are read: it is no {path.name}.")


def _refuse_links(path: Path) -> None:
    """A link may point at any file of this machine, which would then be read into an artefact."""
    entries = [
        entry for folder in (path, path / "onnx", path / "1_Pooling") if folder.is_dir() for entry in os.scandir(folder)
    ]
    for entry in sorted(entries, key=lambda entry: entry.path):
        if entry.is_symlink():
            raise InvalidArtefact(
                f"{entry.path} is a symbolic link, and links are not followed, since they can point at any file. "
                f"Folders of the Hugging Face cache consist of links: copy it with `cp -rL {path} COPY`, and use COPY."
            )


def _refuse_unsupported(path: Path, config: Mapping[str, Any], tokenizer_config: Mapping[str, Any]) -> None:
    for name, document in ((CONFIG, config), (TOKENIZER_CONFIG, tokenizer_config)):
        if document.get("auto_map"):
            raise InvalidArtefact(
                f"{path} needs code of its own (auto_map in {name}), which is never run. Use a model of an "
                "architecture that transformers has."
            )
    if config.get("transformers_weights"):
        raise InvalidArtefact(
            f"{path / CONFIG} names a weights file of its own (transformers_weights), which may be a pickle: take that "
            "line out, and name the safetensors model.safetensors."
        )
    if config.get("quantization_config"):
        raise InvalidArtefact(
            f"{path} holds quantised weights (quantization_config in {CONFIG}): use the model that they were made from."
        )
    if (path / "adapter_config.json").exists():
        raise InvalidArtefact(
            f"{path} holds an adapter (adapter_config.json), not a model: merge it into its model first, with "
            "merge_and_unload() of peft, and save that."
        )


def _weights(path: Path) -> tuple[Path, ...]:
    """The files that transformers would read: one, or those of the index."""
    if (path / "model.safetensors").is_file():
        return (path / "model.safetensors",)
    if not (path / INDEX).is_file():
        return ()
    weight_map = read_json_object(path / INDEX).get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise InvalidArtefact(f"{path / INDEX} has no weight_map. Fetch it again.")
    names = sorted({str(name) for name in weight_map.values()})
    for name in names:
        if not _PLAIN_NAME.fullmatch(name) or not name.endswith(".safetensors"):
            raise InvalidArtefact(
                f"{path / INDEX} names {name!r}, which is not the plain name of a safetensors file in the folder: only "
                "files of the folder itself are read."
            )
        if not (path / name).is_file():
            raise InvalidArtefact(f"{path / name} is missing, and {INDEX} names it. Fetch the folder again.")
    return tuple(path / name for name in names)
