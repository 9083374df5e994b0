"""Wrong labels that are hard to tell from the right one: those that the tuned embedding finds nearest to a text."""

import random
from collections.abc import Sequence
from pathlib import Path

import torch

from training.corpus import LABELLED_ROWS, NOT_ENTAILMENT, TEMPLATES, LabelledSet, LabelledText, Pair, labelled_set
from training.embedding import Embedder

# Sets that have several labels for one thing ("arts", "arts and culture"): labels whose hypotheses are nearer than this
# are not called wrong for each other.
_SAME_LABEL_COSINE = {"huffpost": 0.8}
_TEXTS_AT_A_TIME = 64


def hard_pairs(folder: Path, embedding: Path, chosen: random.Random, *, wrong: int, share: float) -> list[Pair]:
    """A share of the labelled texts as pairs: a right label of each, one other of its set, and hard ones."""
    model = Embedder(embedding).eval()
    pairs: list[Pair] = []
    group = 0
    for name, rows in LABELLED_ROWS.items():
        source = labelled_set(folder, name)
        texts = chosen.sample(source.texts, min(int(share * rows), len(source.texts)))
        for text, ranked in zip(texts, _ranked(model, source, texts), strict=True):
            picked = chosen.sample(ranked[: 2 * wrong], min(wrong - 1, len(ranked)))
            left = [label for label in ranked if label not in picked]
            picked += chosen.sample(left, min(1, len(left)))
            template = source.template if chosen.random() < 0.6 else chosen.choice(TEMPLATES)
            right = chosen.choice(sorted(text.right))
            pairs.append(Pair(text.text, template.format(right), 0, group))
            pairs += [Pair(text.text, template.format(label), NOT_ENTAILMENT, group) for label in picked]
            group += 1
    return pairs


def _ranked(model: Embedder, source: LabelledSet, texts: Sequence[LabelledText]) -> list[list[str]]:
    """The wrong labels of each text, nearest first."""
    with torch.inference_mode():
        labels = model([source.template.format(label) for label in source.labels])
        by_length = sorted(range(len(texts)), key=lambda place: len(texts[place].text))
        rows = torch.empty(len(texts), labels.shape[1])
        for start in range(0, len(texts), _TEXTS_AT_A_TIME):
            places = by_length[start : start + _TEXTS_AT_A_TIME]
            rows[places] = model([texts[place].text for place in places])
    same = labels @ labels.T >= _SAME_LABEL_COSINE.get(source.name, 2.0)
    order = (rows @ labels.T).argsort(dim=1, descending=True).tolist()
    found = []
    for text, places in zip(texts, order, strict=True):
        right = [source.labels.index(label) for label in text.right]
        closed = set(right) | {place for own in right for place in same[own].nonzero().flatten().tolist()}
        found.append([source.labels[place] for place in places if place not in closed])
    return found
