"""What is chosen after training, by the sets that nothing is trained on: the average of weights, and the blend."""

import random
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from training.corpus import CHOICE_SETS, LabelledSet, labelled_set
from training.embedding import Embedder, averaged, round_weights
from training.loop import precision
from zerostart.nli.head import NLIHead, find_nli_head
from zerostart.nli.hybrid import Blend
from zerostart.nli.scoring import label_scores, similarity_scores

Scores = NDArray[np.float64]
_ROWS = 300
_SHARES = (0.5, 0.75, 1.0)
_WEIGHTS = (0.25, 0.4, 0.6, 0.8, 1.0, 1.5, 2.0)


def choice_sets(data: Path) -> list[LabelledSet]:
    """300 texts of each, always the same."""
    found = []
    for name in CHOICE_SETS:
        whole = labelled_set(data, name, "test")
        texts = random.Random(0).sample(whole.texts, min(_ROWS, len(whole.texts)))  # noqa: S311 - picks examples
        found.append(LabelledSet(name, texts, whole.labels, whole.template))
    return found


def macro_f1(source: LabelledSet, scores: Scores) -> float:
    """Of the highest score of each text, over the labels that occur; shape of `scores` (texts, labels)."""
    found = [source.labels[best] for best in scores.argmax(1)]
    right = [next(iter(text.right)) for text in source.texts]
    values = []
    for label in set(right):
        hits = sum(a == b == label for a, b in zip(found, right, strict=True))
        values.append(2 * hits / (found.count(label) + right.count(label)))
    return float(np.mean(values))


def cosines(folder: Path, source: LabelledSet) -> Scores:
    """Of every text and label, shape (texts, labels)."""
    model = Embedder(folder).eval()
    with torch.inference_mode():
        texts = [text.text for text in source.texts]
        rows = torch.cat([model(texts[start : start + 32]) for start in range(0, len(texts), 32)])
        labels = model([source.template.format(label) for label in source.labels])
        return np.asarray((rows @ labels.T).numpy(), dtype=np.float64)


def entailment(folder: Path, source: LabelledSet) -> NDArray[np.float32]:
    """Logits of every text and label, shape (texts, labels, 3)."""
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.float32).eval()
    pairs = [(text.text, source.template.format(label)) for text in source.texts for label in source.labels]
    order = sorted(range(len(pairs)), key=lambda place: len(pairs[place][0]))
    logits = torch.empty(len(pairs), 3)
    with torch.inference_mode(), precision():
        for start in range(0, len(order), 64):
            own = order[start : start + 64]
            asked = tokenizer(
                [pairs[place][0] for place in own],
                [pairs[place][1] for place in own],
                padding=True,
                truncation="only_first",
                max_length=160,
                return_tensors="pt",
            )
            logits[own] = model(**asked).logits.float()
    return np.asarray(logits.reshape(len(source.texts), len(source.labels), 3).numpy())


def embedding_f1(folder: Path, data: Path) -> list[float]:
    """Macro-F1 of the cosines alone, of each of the sets to choose by."""
    return [round(macro_f1(each, cosines(folder, each)), 3) for each in choice_sets(data)]


def choose_average(base: Path, tuned: Path, out: Path, data: Path) -> dict[str, Any]:
    """The share of the tuned weights with the best mean macro-F1; written to `out`, in what four bits hold."""
    found: dict[float, list[float]] = {}
    for share in _SHARES:
        averaged(base, tuned, share, out)
        found[share] = embedding_f1(out, data)
    best = max(found, key=lambda share: sum(found[share]))
    averaged(base, tuned, best, out)
    round_weights(out)
    return {
        "sets": list(CHOICE_SETS),
        "macro_f1": found,
        "share": best,
        "macro_f1 in four bits": embedding_f1(out, data),
    }


def choose_blend(nli: Path, embedding: Path, embedding_model: str, data: Path) -> dict[str, Any]:
    """The weights with the best mean macro-F1, and for multi-label those with the least cross-entropy."""
    head = find_nli_head(("entailment", "neutral", "contradiction"))
    sets = choice_sets(data)
    views = [(entailment(nli, each), cosines(embedding, each)) for each in sets]

    def single(weights: tuple[float, float]) -> list[float]:
        blend = Blend(embedding_model, *weights, 1, 1, 0)
        return [macro_f1(each, _all(blend, *view)) for each, view in zip(sets, views, strict=True)]

    def _all(blend: Blend, logits: NDArray[np.float32], similar: Scores) -> Scores:
        rows = [_scores(blend, own, near, head) for own, near in zip(logits, similar, strict=True)]
        return np.stack(rows)

    ratios = {(0.0, 1.0): single((0.0, 1.0)), (1.0, 0.0): single((1.0, 0.0))}
    ratios |= {(weight, 1.0): single((weight, 1.0)) for weight in _WEIGHTS}
    best = max(ratios, key=lambda weights: sum(ratios[weights]))
    temperature = _temperature(best, sets, views, head, embedding_model)
    multi = _multi_label(sets, views, head)
    blend = Blend(embedding_model, round(best[0] * temperature, 3), round(best[1] * temperature, 3), *multi)
    return {
        "sets": [each.name for each in sets],
        "macro_f1": {f"{a:g} nli, {b:g} embedding": [round(v, 3) for v in values] for (a, b), values in ratios.items()},
        "blend": asdict(blend),
    }


def _scores(blend: Blend, logits: NDArray[np.float32], similar: Scores, head: NLIHead) -> Scores:
    """Of one text's labels."""
    entailed = label_scores(logits, head, multi_label=False)
    return blend.scores(entailed, similarity_scores(similar, multi_label=False), multi_label=False)


def _temperature(weights: tuple[float, float], sets: Any, views: Any, head: Any, embedding_model: str) -> float:
    """The factor for both weights that makes right labels most likely."""

    def loss(factor: float) -> float:
        blend = Blend(embedding_model, weights[0] * factor, weights[1] * factor, 1, 1, 0)
        values = []
        for source, (logits, similar) in zip(sets, views, strict=True):
            for text, own, near in zip(source.texts, logits, similar, strict=True):
                scores = _scores(blend, own, near, head)
                values.append(-np.log(max(scores[source.labels.index(next(iter(text.right)))], 1e-9)))
        return float(np.mean(values))

    factors = [round(0.2 * 1.15**step, 3) for step in range(22)]
    return min(factors, key=loss)


def _multi_label(sets: Any, views: Any, head: Any) -> tuple[float, float, float]:
    """Weights of both log-odds by a logistic regression, and the bias with which a score of 0.5 divides best.

    In the regression each set's right and wrong labels weigh the same; the bias has the best mean label-weighted F1.
    """
    rows, right, weight = [], [], []
    for source, (logits, similar) in zip(sets, views, strict=True):
        hits = np.array([[label in text.right for label in source.labels] for text in source.texts])
        for own, near, hit in zip(logits, similar, hits, strict=True):
            entailed = label_scores(own, head, multi_label=True).clip(1e-6, 1 - 1e-6)
            close = similarity_scores(near, multi_label=True).clip(1e-6, 1 - 1e-6)
            rows += list(zip(np.log(entailed / (1 - entailed)), np.log(close / (1 - close)), strict=True))
            right += list(hit)
        weight += list(np.where(hits, 0.5 / hits.mean(), 0.5 / (1 - hits.mean())).ravel() / hits.size)
    a, b = _regression(np.array(rows), np.array(right), np.array(weight))
    odds = np.array(rows) @ np.array([a, b])
    biases = [round(step / 10, 1) for step in range(-40, 41)]
    return a, b, max(biases, key=lambda bias: _mean_f1(sets, odds + bias > 0, np.array(right)))


def _mean_f1(sets: Any, found: NDArray[np.bool_], right: NDArray[np.bool_]) -> float:
    """The mean over the sets of the label-weighted F1; both arrays hold the labels of all texts of all sets."""
    values, start = [], 0
    for source in sets:
        shape = (len(source.texts), len(source.labels))
        own = slice(start, start + shape[0] * shape[1])
        a, b = found[own].reshape(shape), right[own].reshape(shape)
        f1 = 2 * (a & b).sum(0) / np.maximum(a.sum(0) + b.sum(0), 1)
        values.append(np.average(f1, weights=b.sum(0)))
        start = own.stop
    return float(np.mean(values))


def _regression(
    values: NDArray[np.float64], right: NDArray[np.bool_], weight: NDArray[np.float64]
) -> tuple[float, float]:
    """The weights of a logistic regression of `right` on two columns; its intercept is left out."""
    columns, target, weights = (torch.tensor(each, dtype=torch.float64) for each in (values, right, weight))
    parameters = torch.tensor([1.0, 1.0, 0.0], dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([parameters], max_iter=100)

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        odds = columns @ parameters[:2] + parameters[2]
        loss = torch.nn.functional.binary_cross_entropy_with_logits(odds, target, weights, reduction="sum")
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    optimizer.step(closure)  # type: ignore[no-untyped-call]
    a, b, _ = parameters.detach().tolist()
    return round(a, 3), round(b, 3)
