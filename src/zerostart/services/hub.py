"""The hub: the models of the catalogue and those on this machine, searched and shown."""

import re
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from zerostart.errors import InvalidArtefact, InvalidInput, UnknownModel
from zerostart.models.artefact import KINDS, Artefact
from zerostart.models.catalogue import UNKNOWN, CatalogueEntry, catalogue, language_names, names_of
from zerostart.models.local_artefacts import LocalArtefacts
from zerostart.nli.hybrid import SCORER_CHOICES
from zerostart.nli.template import DEFAULT_HYPOTHESIS_TEMPLATE

_TASKS = {
    "nli": "zero-shot text classification zstc nli natural language inference cross-encoder",
    "embedding": "zero-shot text classification embedding bi-encoder sentence similarity shortlist",
}
_COLUMNS = {"id": 4.0, "name": 4.0, "task": 1.0, "languages": 3.0, "tags": 3.0, "description": 1.0}
_SHORTEST_PREFIX = 3


@dataclass(frozen=True)
class HubModel:
    """A model of the hub, and its artefact if it is on this machine."""

    entry: CatalogueEntry
    artefact: Artefact | None = None


@dataclass(frozen=True)
class HubFilter:
    """What a model has to be; None is anything. `commercial` leaves out those that may not, or perhaps not, be sold."""

    language: str | None = None
    kind: str | None = None
    licence: str | None = None
    max_parameters_millions: int | None = None
    commercial: bool = False
    local: bool = False

    def __post_init__(self) -> None:
        if self.kind is not None and self.kind not in KINDS:
            raise InvalidInput(f"Kind {self.kind!r} is not known: use {' or '.join(KINDS)}.")
        names = language_names()
        if self.language is not None and self.language.lower() not in {*names, *map(str.lower, names.values())}:
            raise InvalidInput(
                f"No model says that it knows the language {self.language!r}: use a code such as en, or its name; the "
                f"hub has {', '.join(sorted(names))}."
            )

    def takes(self, model: HubModel) -> bool:
        """Whether a model is that."""
        entry = model.entry
        size = entry.parameters_millions
        return (
            (self.language is None or _code(self.language) in entry.languages)
            and (self.kind is None or entry.kind == self.kind)
            and (self.licence is None or entry.licence.lower() == self.licence.lower())
            and (self.max_parameters_millions is None or (size or 10**9) <= self.max_parameters_millions)
            and (not self.commercial or entry.commercial == "yes")
            and (not self.local or model.artefact is not None)
        )


class Hub:
    """The one place that knows which models there are, for the command line, the pages and JumpStart's clients."""

    def __init__(self, artefacts: LocalArtefacts) -> None:
        self._artefacts = artefacts

    def models(self) -> list[HubModel]:
        """Every model, those of this machine first, then by id."""
        own = {artefact.model_id: artefact for artefact in self._artefacts.list()}
        found: list[HubModel] = []
        for entry in catalogue():
            names = [name for name in names_of(entry.id) if name in own]
            found.append(HubModel(entry, own.pop(names[0]) if names else None))
        found += [HubModel(_entry_of(artefact), artefact) for artefact in own.values()]
        return sorted(found, key=lambda model: (model.artefact is None, model.entry.id.lower()))

    def search(self, query: str = "", chosen: HubFilter | None = None) -> list[HubModel]:
        """The models that have all words of `query`, best first; if none has, those that have some of them."""
        chosen = chosen or HubFilter()
        return _ranked([model for model in self.models() if chosen.takes(model)], query)

    def model(self, model_id: str) -> HubModel:
        """The model that one of its names names. Raises UnknownModel."""
        names = set(names_of(model_id))
        for model in self.models():
            if model.entry.id in names:
                return model
        raise UnknownModel(f"Model {model_id!r} is neither in the catalogue nor on this machine: zerostart models list")

    def scorers(self, model_id: str) -> Sequence[str]:
        """What a request to the model may choose between, if it has more than one scorer; empty otherwise."""
        try:
            manifest = self._artefacts.find(model_id).manifest
        except (UnknownModel, InvalidArtefact):
            return ()
        return SCORER_CHOICES if manifest.blend is not None else ()

    def card(self, model: HubModel) -> str:
        """The model card, Markdown: the authors' own where the model is here, else what the catalogue knows."""
        path = model.artefact.folder / "README.md" if model.artefact else Path()
        return path.read_text("utf-8") if path.is_file() else _card(model.entry)


def _ranked(models: Sequence[HubModel], query: str) -> list[HubModel]:
    """By SQLite's full-text search, BM25 with the columns' weights."""
    words = re.findall(r"\w+", query.lower())
    if not words:
        return list(models)
    terms = [f'"{word}"' + "*" * (len(word) >= _SHORTEST_PREFIX) for word in words]
    with closing(sqlite3.connect(":memory:")) as database:
        database.execute(
            f"CREATE VIRTUAL TABLE hub USING fts5({', '.join(_COLUMNS)}, tokenize='unicode61 remove_diacritics 2')"
        )
        rows = [(number, *_searched(model.entry)) for number, model in enumerate(models)]
        marks = ", ".join("?" * (1 + len(_COLUMNS)))
        database.executemany(f"INSERT INTO hub(rowid, {', '.join(_COLUMNS)}) VALUES ({marks})", rows)  # noqa: S608
        order = f"bm25(hub, {', '.join(map(str, _COLUMNS.values()))})"
        for between in (" AND ", " OR "):
            asked = f"SELECT rowid FROM hub WHERE hub MATCH ? ORDER BY {order}, rowid"  # noqa: S608
            if found := [models[number] for (number,) in database.execute(asked, (between.join(terms),))]:
                return found
    return []


def _searched(entry: CatalogueEntry) -> tuple[str, ...]:
    """The text of each column."""
    ids = " ".join((entry.id, *(name.id for name in entry.jumpstart)))
    languages = " ".join(f"{code} {language_names().get(code, '')}" for code in entry.languages)
    if len(entry.languages) > 1:
        languages += " multilingual"
    tags = " ".join((*entry.tags, entry.architecture, entry.licence))
    return ids, entry.name, _TASKS[entry.kind], languages, tags, entry.description


def _code(language: str) -> str:
    """The code of a language that is given by its code or by its name."""
    names = {name.lower(): code for code, name in language_names().items()}
    return names.get(language.lower(), language.lower())


def _entry_of(artefact: Artefact) -> CatalogueEntry:
    """What is known of a model that is here and not in the catalogue."""
    manifest = artefact.manifest
    return CatalogueEntry(
        id=manifest.model_id,
        kind=manifest.kind,
        name=manifest.model_id.rpartition("/")[2],
        description=manifest.description or "A model of your own.",
        architecture=manifest.architecture,
        languages=manifest.languages or (UNKNOWN,),
        licence=manifest.licence,
        commercial="unclear",
        hypothesis_template=DEFAULT_HYPOTHESIS_TEMPLATE,
        card="",
        tags=(),
        max_tokens=manifest.max_tokens,
    )


def _card(entry: CatalogueEntry) -> str:
    size = f"{entry.parameters_millions} million" if entry.parameters_millions else UNKNOWN
    names = ", ".join(f"`{name.id}`" for name in entry.jumpstart)
    facts = {
        "Model id": f"`{entry.id}`",
        "JumpStart": names or "-",
        "Architecture": entry.architecture,
        "Parameters": size,
        "Languages": ", ".join(language_names().get(code, code) for code in entry.languages),
        "Longest input": f"{entry.max_tokens} tokens" if entry.max_tokens else UNKNOWN,
        "Licence": entry.licence,
        "Commercial use": entry.commercial,
        "Hypothesis template": f"`{entry.hypothesis_template}`",
        "Card": entry.card or "-",
        "Paper": entry.paper or "-",
    }
    lines = [f"# {entry.name}", "", entry.description, "", *(f"- {name}: {fact}" for name, fact in facts.items())]
    if entry.accuracy:
        lines += ["", "## Published accuracy", ""]
        lines += [f"- {each.dataset}, {each.metric}: {each.value:.3f} ({each.source})" for each in entry.accuracy]
    return "\n".join(lines) + "\n"
