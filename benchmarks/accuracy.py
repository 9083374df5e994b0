"""How right the built-in models are: held-out labelled sets, and the NLI sets' own test rows, with 95 % intervals.

The NLI model with its embedding and by itself, the embedding by itself, and embeddings of label hypotheses by those of
all-MiniLM-L6-v2 and all-mpnet-base-v2 that are on this machine (`zerostart models add`), all on the same rows.
"""

import gzip
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zerostart.bootstrap.classifier import build_bulk_classifier, build_classifier, build_scorer
from zerostart.errors import UnknownModel, ZerostartError
from zerostart.models.local_artefacts import BUILTIN_MODEL_ID
from zerostart.nli.classification import Classification, ClassificationRequest, ScorerName
from zerostart.nli.labels import labels_per_text
from zerostart.nli.template import HypothesisTemplate
from zerostart.serving.tokenizer import EncodedPair
from zerostart.settings import load_settings

_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
_SETS = ("new_years_resolutions", "ag_news", "banking77", "yin_situation")
_RIVALS = ("sentence-transformers/all-MiniLM-L6-v2", "sentence-transformers/all-mpnet-base-v2")
_NLI_SETS = ("mnli.dev_matched", "snli.test")
_RESAMPLES = 500
_PAIRS_AT_A_TIME = 512
Statistic = Callable[[NDArray[np.intp]], float]


@dataclass(frozen=True)
class _Set:
    name: str
    texts: tuple[str, ...]
    right: tuple[frozenset[str], ...]
    labels: tuple[str, ...]
    template: str
    multi_label: bool


def accuracy(most_rows: int | None = None) -> dict[str, Any]:
    """Figures of every set and model; `[figure, low, high]`. Of whole sets, or of `most_rows` of each."""
    found: dict[str, Any] = {}
    candidates: list[tuple[str, tuple[ScorerName | None, ...]]] = [(BUILTIN_MODEL_ID, (None, "nli"))]
    candidates += [(model_id, (None,)) for model_id in (load_settings().shortlist_model, *_RIVALS)]
    sets = [_sampled(_read(name), most_rows) for name in _SETS]
    for model_id, scorers in candidates:
        try:
            measured = {each.name: _measured(model_id, scorers, each) for each in sets}
        except UnknownModel as error:
            print(f"{model_id} is left out: {error}", file=sys.stderr)
            continue
        for scorer in scorers:
            name = model_id if scorer is None else f"{model_id}, scorer={scorer}"
            found[name] = {each: figures[scorer] for each, figures in measured.items()}
            three = [found[name][each]["macro_f1"][0] for each in _SETS[:3]]
            found[name]["mean macro-F1 of the first three"] = round(float(np.mean(three)), 3)
            print(f"{name}: {json.dumps(found[name])}", file=sys.stderr, flush=True)
    found["nli"] = {name: _nli_accuracy(name) for name in _NLI_SETS}
    return found


def _read(name: str) -> _Set:
    described = json.loads((_DATA / "cls" / "LABELS.json").read_text("utf-8"))[name]
    with gzip.open(_DATA / "cls" / f"{name}.test.jsonl.gz", "rt", encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    return _Set(
        name,
        tuple(row["text"] for row in rows),
        tuple(frozenset(row.get("labels") or [row["label"]]) for row in rows),
        tuple(described["labels"]),
        described["template"],
        described["multi_label"],
    )


def _sampled(source: _Set, most_rows: int | None) -> _Set:
    if most_rows is None or len(source.texts) <= most_rows:
        return source
    chosen = np.random.default_rng(0).choice(len(source.texts), most_rows, replace=False)
    return replace(
        source, texts=tuple(source.texts[row] for row in chosen), right=tuple(source.right[row] for row in chosen)
    )


def _measured(
    model_id: str, scorers: Sequence[ScorerName | None], source: _Set
) -> dict[ScorerName | None, dict[str, Any]]:
    """By each scorer. Each text is asked for by all of them in turn, so that its pairs are computed once."""
    classifier = build_bulk_classifier(load_settings(), model_id)
    answers: list[Classification] = []
    for answer in classifier.classify_each(_requests(source, scorers)):
        if isinstance(answer, ZerostartError):
            raise answer
        answers += answer
    classifier.close()
    return {
        scorer: _figures(_scores(answers[place :: len(scorers)], source.labels), source)
        for place, scorer in enumerate(scorers)
    }


def _scores(answers: Sequence[Classification], labels: Sequence[str]) -> NDArray[np.float64]:
    """Shape (texts, labels)."""
    scores = np.zeros((len(answers), len(labels)))
    for row, each in zip(scores, answers, strict=True):
        by_label = dict(zip(each.labels, each.scores, strict=True))
        row[:] = [by_label[label] for label in labels]
    return scores


def _requests(source: _Set, scorers: Sequence[ScorerName | None]) -> Iterator[ClassificationRequest]:
    labels = labels_per_text(list(source.labels), 1)
    template = HypothesisTemplate(source.template)
    for text in source.texts:
        for scorer in scorers:
            yield ClassificationRequest((text,), labels, template, source.multi_label, scorer=scorer)


def _figures(scores: NDArray[np.float64], source: _Set) -> dict[str, Any]:
    right = np.array([[label in own for label in source.labels] for own in source.right])
    if source.multi_label:
        found = scores >= 0.5
        return {
            "rows": len(scores),
            "weighted_f1": _interval(lambda rows: _f1(found[rows], right[rows], weighted=True), len(scores)),
            "labels_a_text": round(float(found.sum(1).mean()), 2),
        }
    best = np.eye(scores.shape[1], dtype=bool)[scores.argmax(1)]
    return {
        "rows": len(scores),
        "accuracy": _interval(lambda rows: float((best[rows] & right[rows]).any(1).mean()), len(scores)),
        "macro_f1": _interval(lambda rows: _f1(best[rows], right[rows], weighted=False), len(scores)),
    }


def _f1(found: NDArray[np.bool_], right: NDArray[np.bool_], *, weighted: bool) -> float:
    """Over the labels that occur in `right`: the mean, or weighted by how often they do."""
    support = right.sum(0)
    values = 2 * (found & right).sum(0) / np.maximum(found.sum(0) + support, 1)
    occurs = support > 0
    return float(np.average(values[occurs], weights=support[occurs] if weighted else None))


def _interval(statistic: Statistic, rows: int) -> list[float]:
    """The figure, and the 2.5 and 97.5 % points of 500 bootstrap resamples."""
    generator = np.random.default_rng(0)
    resampled = [statistic(generator.integers(0, rows, rows)) for _ in range(_RESAMPLES)]
    low, high = np.quantile(resampled, [0.025, 0.975])
    return [round(statistic(np.arange(rows)), 3), round(float(low), 3), round(float(high), 3)]


def _nli_accuracy(name: str) -> dict[str, Any]:
    """Of the three classes, by the logits."""
    with gzip.open(_DATA / "nli" / f"{name}.jsonl.gz", "rt", encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    classifier = build_classifier(load_settings(), BUILTIN_MODEL_ID)
    tokenizer = build_scorer(classifier.artefact).tokenizer
    classes = classifier.artefact.manifest.classes
    right = np.array([classes.index(row["label"]) for row in rows])
    found = []
    for start in range(0, len(rows), _PAIRS_AT_A_TIME):
        own = rows[start : start + _PAIRS_AT_A_TIME]
        pairs = [EncodedPair(tokenizer.premise(row["premise"]), tokenizer.hypothesis(row["hypothesis"])) for row in own]
        found.append(classifier.batcher.submit(pairs).result().argmax(1))
    classifier.close()
    hits = np.concatenate(found) == right
    return {"rows": len(rows), "accuracy": _interval(lambda chosen: float(hits[chosen].mean()), len(rows))}
