"""From trained weights to the built-in artefacts, and what their model cards say of them."""

import json
import shutil
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from string import Template
from typing import Any

from training.audit import hard_cases, shifts
from training.corpus import CHOICE_SETS, LABELLED_ROWS, NLI_ROWS
from training.extend import extend
from zerostart import pipeline
from zerostart.models.artefact import BUILTIN_FOLDER, Artefact, read_artefact, write_manifest
from zerostart.models.conversion import convert
from zerostart.models.local_artefacts import BUILTIN_MODEL_ID
from zerostart.models.model_file import WeightType
from zerostart.nli.classification import Classification
from zerostart.nli.hybrid import Blend

_HERE = Path(__file__).parent
_SET_NAMES = {
    "new_years_resolutions": "New Year's resolutions (10), macro-F1",
    "ag_news": "AG News (4), macro-F1",
    "banking77": "Banking77 (77), macro-F1",
    "yin_situation": "Yin's situations (12, multi-label), label-weighted F1",
}
# Short, so that a table of five columns can be read in a terminal.
_MODEL_NAMES = {
    "zerostart-zstc-small": "hybrid",
    "zerostart-zstc-small, scorer=nli": "NLI alone",
    "zerostart-embed-base": "embedding alone",
    "sentence-transformers/all-MiniLM-L6-v2": "all-MiniLM",
    "sentence-transformers/all-mpnet-base-v2": "all-mpnet",
}
_NLI_NAMES = {"mnli.dev_matched": "MultiNLI dev-matched", "snli.test": "SNLI test"}


@dataclass(frozen=True)
class BuiltIn:
    """A built-in model: its id and revision, what it says of itself, the template of its card, how it is stored."""

    model_id: str
    revision: str
    description: str
    card: str
    weights: WeightType


NLI = BuiltIn(
    BUILTIN_MODEL_ID,
    "6",
    "Small English model for any topic (eight layers of MPNet, three of them the embedding's: 81M parameters).",
    "small.md",
    "int4",
)
EMBEDDING = BuiltIn(
    "zerostart-embed-base",
    "1",
    "Embeds English texts and labels: the second view of zerostart-zstc-small, and what shortlists rank by.",
    "embed.md",
    "int4",
)


def ship_embedding(source: Path) -> None:
    """Replace the built-in embedding model by that of the trained weights."""
    _replace_built_in(EMBEDDING, source)


def ship_nli(source: Path, blend: Path) -> None:
    """Replace the built-in NLI model; `blend` is what `choose` found."""
    folder = _replace_built_in(NLI, source)
    artefact = extend(folder, BUILTIN_FOLDER / EMBEDDING.model_id)
    found = json.loads(blend.read_text("utf-8"))["blend"]
    artefact = write_manifest(folder, replace(artefact.manifest, blend=Blend(**found)))
    print(f"{artefact.model_id}: {artefact.size_bytes / 1e6:.1f} MB that {EMBEDDING.model_id} has not")


def _replace_built_in(own: BuiltIn, source: Path) -> Path:
    shutil.rmtree(BUILTIN_FOLDER / own.model_id, ignore_errors=True)
    report = convert(
        source,
        BUILTIN_FOLDER,
        own.model_id,
        revision=own.revision,
        licence="Apache-2.0",
        languages=("en",),
        description=own.description,
        card=_HERE / own.card,
        weights=own.weights,
    )
    print(f"{own.model_id}: {report.artefact.size_bytes / 1e6:.1f} MB, {report.origin}")
    return report.artefact.folder


def write_cards(data: Path, accuracy: dict[str, Any], most_rows: int | None, share: float) -> None:
    """Fill in the cards of the built-in models: figures of `benchmarks accuracy`, an audit, sets and licences."""
    with pipeline() as classifier:

        def classify(texts: Sequence[str], labels: Sequence[str], multi_label: bool) -> list[Classification]:
            answers = classifier(list(texts), list(labels), multi_label=multi_label)
            return [Classification(each["sequence"], tuple(each["labels"]), tuple(each["scores"])) for each in answers]

        speed = _pairs_per_s(classify)
        cases, moved = hard_cases(classify), shifts(classify)
    values = {
        "figures": _figures(accuracy),
        "rows": "All rows" if most_rows is None else f"{most_rows} rows each",
        "share": f"{share:.0%}",
        "nli_figures": _table(
            ("set", "accuracy"),
            [(_NLI_NAMES[name], _interval(each["accuracy"])) for name, each in accuracy["nli"].items()],
        ),
        "cases": _table(
            ("kind", "text", "a reader says", "the model says"),
            [(kind, _short(text), right, f"{found} ({score:.2f})") for kind, text, right, found, score in cases],
        ),
        "shifts": _table(
            ("exchanged", "mean", "largest", "where"),
            [
                (
                    each.group,
                    f"{each.mean:.3f}",
                    f"{each.largest:.2f}",
                    f"“{each.sentence}”, *{each.label}*: {each.lowest} lowest, {each.highest} highest",
                )
                for each in moved
            ],
        ),
        "sets": _sets(data),
        "speed": f"{speed:.0f}",
        "size": f"{sum(_artefact(own).size_bytes for own in (NLI, EMBEDDING)) / 1e6:.0f}",
    }
    for own in (NLI, EMBEDDING):
        folder = _artefact(own).folder
        text = Template((_HERE / own.card).read_text("utf-8")).substitute(values)
        (folder / "README.md").write_text(text, "utf-8")
        write_manifest(folder, read_artefact(folder).manifest)


def _artefact(own: BuiltIn) -> Artefact:
    return read_artefact(BUILTIN_FOLDER / own.model_id)


def _pairs_per_s(classify: Any) -> float:
    """64 short texts against 10 labels, median of five."""
    texts = [f"Order {number} has not arrived, and nobody answers my messages about it." for number in range(64)]
    labels = [f"topic {number}" for number in range(10)]
    rates = []
    for _ in range(5):
        started_s = time.perf_counter()
        classify(texts, labels, False)
        rates.append(len(texts) * len(labels) / (time.perf_counter() - started_s))
    return statistics.median(rates)


def _figures(accuracy: dict[str, Any]) -> str:
    models = [name for name in accuracy if isinstance(accuracy[name], dict) and "ag_news" in accuracy[name]]
    rows = []
    for key, shown in _SET_NAMES.items():
        metric = "weighted_f1" if key == "yin_situation" else "macro_f1"
        rows.append((shown, *(_interval(accuracy[name][key][metric]) for name in models)))
    rows.append(
        ("mean of the first three", *(f"{accuracy[name]['mean macro-F1 of the first three']:.3f}" for name in models))
    )
    return _table(("set (labels)", *(_MODEL_NAMES[name] for name in models)), rows)


def _sets(data: Path) -> str:
    """Every set that is trained on or chosen by, with its licence as the index of the data states it."""
    labelled = json.loads((data / "cls" / "LABELS.json").read_text("utf-8"))
    nli = {
        cells[0]: cells[5]
        for line in (data / "INDEX.md").read_text("utf-8").splitlines()
        if len(cells := [cell.strip() for cell in line.strip("|").split("|")]) >= 6 and cells[0] in NLI_ROWS
    }
    rows = [(name, "NLI", nli[name]) for name in NLI_ROWS]
    rows += [(name, "labelled texts", labelled[name]["license"]) for name in LABELLED_ROWS]
    rows += [(name, "to choose by", labelled[name]["license"]) for name in CHOICE_SETS]
    rows.append(("WordNet 3.0", "definitions, for the NLI model", "WordNet 3.0 licence (any use)"))
    return _table(("set", "use", "licence as stated"), rows)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "/") for cell in line) + " |" for line in lines)


def _interval(values: Sequence[float]) -> str:
    return f"{values[0]:.3f} ({values[1]:.3f} to {values[2]:.3f})"


def _short(text: str) -> str:
    return text if len(text) < 80 else f"{text[:40]} ... {text[-45:]} ({len(text.split())} words)"
