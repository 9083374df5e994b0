"""The catalogue: which models there are to be had, on this machine or not. It is data, in `catalogue.toml`."""

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

CATALOGUE_FILE = Path(__file__).parent / "catalogue.toml"


@dataclass(frozen=True)
class CatalogueEntry:
    """A model of the hub. `hugging_face_id` is None for our own; JumpStart's clients compare the versions."""

    id: str
    version: str
    min_sdk_version: str
    hugging_face_id: str | None = None


@cache
def catalogue() -> tuple[CatalogueEntry, ...]:
    """Every entry, by id."""
    entries = tomllib.loads(CATALOGUE_FILE.read_text("utf-8"))["models"]
    return tuple(sorted((CatalogueEntry(**entry) for entry in entries), key=lambda entry: entry.id))


def names_of(model_id: str) -> Sequence[str]:
    """`model_id`, and then every other id under which the catalogue has the same model."""
    same = {
        entry.hugging_face_id
        for entry in catalogue()
        if model_id in {entry.id, entry.hugging_face_id} and entry.hugging_face_id
    }
    ids = [entry.id for entry in catalogue() if entry.hugging_face_id in same]
    return list(dict.fromkeys([model_id, *sorted(same), *ids]))
