"""The catalogue: which models there are to be had, on this machine or not. It is data, in `catalogue.toml`."""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

CATALOGUE_FILE = Path(__file__).parent / "catalogue.toml"
UNKNOWN = "unknown"


@dataclass(frozen=True)
class JumpStartName:
    """What SageMaker JumpStart calls a model; its clients compare the versions."""

    id: str
    version: str
    min_sdk_version: str


@dataclass(frozen=True)
class PublishedAccuracy:
    """A figure that the model's authors published, between 0 and 1, and where."""

    dataset: str
    metric: str
    value: float
    source: str


@dataclass(frozen=True)
class CatalogueEntry:
    """A model of the hub. What is not known is "unknown", or None.

    `id` is its Hugging Face id, OWNER/NAME, or our own id for our own. `kind` is nli or embedding, `languages` are ISO
    639-1 codes, and `commercial`, whether it may be used commercially, is yes, no or unclear.
    """

    id: str
    kind: str
    name: str
    description: str
    architecture: str
    languages: tuple[str, ...]
    licence: str
    commercial: str
    hypothesis_template: str
    card: str
    tags: tuple[str, ...]
    max_tokens: int | None = None
    parameters_millions: int | None = None
    paper: str | None = None
    accuracy: tuple[PublishedAccuracy, ...] = ()
    jumpstart: tuple[JumpStartName, ...] = ()

    @property
    def hugging_face_id(self) -> str | None:
        """Its repository on the Hugging Face hub; None for our own."""
        return self.id if "/" in self.id else None


@cache
def catalogue() -> tuple[CatalogueEntry, ...]:
    """Every entry, by id."""
    return tuple(sorted((_entry(row) for row in _document()["models"]), key=lambda entry: entry.id))


@cache
def language_names() -> Mapping[str, str]:
    """English names of languages by their ISO 639-1 codes."""
    names: dict[str, str] = _document()["language_names"]
    return names


def jumpstart_models() -> list[tuple[JumpStartName, CatalogueEntry]]:
    """Every JumpStart id and the model that it names, by id."""
    found = [(name, entry) for entry in catalogue() for name in entry.jumpstart]
    return sorted(found, key=lambda each: each[0].id)


def entry_of(model_id: str) -> CatalogueEntry | None:
    """The entry that `model_id` names, by its own id or by JumpStart's."""
    return next((entry for entry in catalogue() if model_id in _names(entry)), None)


def names_of(model_id: str) -> Sequence[str]:
    """`model_id`, and then every other id under which the catalogue has the same model."""
    entry = entry_of(model_id)
    return list(dict.fromkeys([model_id, *(_names(entry) if entry else ())]))


def _names(entry: CatalogueEntry) -> list[str]:
    return [entry.id, *(name.id for name in entry.jumpstart)]


def _entry(row: Mapping[str, Any]) -> CatalogueEntry:
    own = dict(row)
    own["languages"], own["tags"] = tuple(own["languages"]), tuple(own["tags"])
    own["accuracy"] = tuple(PublishedAccuracy(**each) for each in own.get("accuracy", ()))
    own["jumpstart"] = tuple(JumpStartName(**each) for each in own.get("jumpstart", ()))
    return CatalogueEntry(**own)


@cache
def _document() -> Mapping[str, Any]:
    return tomllib.loads(CATALOGUE_FILE.read_text("utf-8"))
