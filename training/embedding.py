"""Train the built-in embedding model: a text beside its right label, away from the others of its set.

A step takes texts of one set and up to 64 of its labels; the loss is the cross-entropy of cosines over the labels
(divided by a temperature). Pairs of NLI keep the model general: a premise beside what it entails, away from the other
hypotheses of the batch and from what contradicts it (Reimers and Gurevych 2019; Gao et al. 2021,
https://arxiv.org/abs/2104.08821). The result is averaged with the weights that it began with (Wortsman et al. 2022,
https://arxiv.org/abs/2109.01903).
"""

import math
import random
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch.nn import functional

from training.corpus import LABELLED_ROWS, LabelledSet, labelled_set, nli_pairs
from training.loop import Schedule, precision, train
from zerostart.models.rounding import INT4, rounded

TEMPERATURE = 0.05
_TEXTS = 32
_MOST_LABELS = 64
_MOST_TOKENS = 128
_SCHEDULE = Schedule(3e-5, average_steps=100)


@dataclass(frozen=True)
class EmbeddingBatch:
    """Texts, hypotheses, and which of them belong together: shape (texts, hypotheses), rows sum to 1."""

    texts: list[str]
    hypotheses: list[str]
    target: torch.Tensor


def embedding_batches(folder: Path, seed: int, steps: int) -> list[EmbeddingBatch]:
    """Three of four steps are of labelled sets: as often as the root of what is taken of it, times its labels' bits."""
    chosen = random.Random(seed)  # noqa: S311 - picks examples
    sets = [labelled_set(folder, name) for name in LABELLED_ROWS]
    weights = [LABELLED_ROWS[each.name] ** 0.5 * math.log2(len(each.labels)) for each in sets]
    entailed: dict[str, list[tuple[str, int]]] = {}
    for pair in nli_pairs(folder, chosen):
        entailed.setdefault(pair.premise, []).append((pair.hypothesis, pair.label))
    premises = [premise for premise, found in entailed.items() if any(label == 0 for _, label in found)]
    batches = []
    for step in range(steps):
        if step % 4:
            batches.append(_labelled(chosen.choices(sets, weights)[0], chosen))
        else:
            batches.append(_nli(chosen.sample(premises, _TEXTS), entailed, chosen))
    return batches


def _labelled(source: LabelledSet, chosen: random.Random) -> EmbeddingBatch:
    texts = chosen.sample(source.texts, _TEXTS)
    right = sorted({label for text in texts for label in text.right})
    others = sorted(set(source.labels) - set(right))
    labels = right + chosen.sample(others, min(len(others), max(0, _MOST_LABELS - len(right))))
    target = torch.tensor([[float(label in text.right) for label in labels] for text in texts])
    template = source.template if chosen.random() < 0.5 else "{}"
    if chosen.random() < 0.4:
        hypotheses = [source.hypothesis(label, chosen) for label in labels]
    else:
        hypotheses = [template.format(label) for label in labels]
    return EmbeddingBatch([text.text for text in texts], hypotheses, target / target.sum(1, keepdim=True))


def _nli(premises: Sequence[str], found: dict[str, list[tuple[str, int]]], chosen: random.Random) -> EmbeddingBatch:
    entailed = [chosen.choice([text for text, label in found[premise] if label == 0]) for premise in premises]
    against = [text for premise in premises for text, label in found[premise] if label == 2]
    hypotheses = entailed + chosen.sample(against, min(len(against), _TEXTS))
    same = [[float(hypothesis == own) for hypothesis in hypotheses] for own in entailed]
    target = torch.tensor(same)
    return EmbeddingBatch(list(premises), hypotheses, target / target.sum(1, keepdim=True))


class Embedder(torch.nn.Module):
    """A body whose mean over the tokens is the embedding, of length 1."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        from transformers import AutoModel, AutoTokenizer

        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        self.body = AutoModel.from_pretrained(
            folder, dtype=torch.float32, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0
        )

    def forward(self, texts: list[str]) -> torch.Tensor:
        """Shape (texts, dimension), float32."""
        encoded = self.tokenizer(texts, padding=True, truncation=True, max_length=_MOST_TOKENS, return_tensors="pt")
        with precision():
            hidden = self.body(**encoded).last_hidden_state
        mask = encoded["attention_mask"].unsqueeze(-1).float()
        return functional.normalize((hidden.float() * mask).sum(1) / mask.sum(1), dim=-1)

    def sorted_forward(self, texts: list[str]) -> torch.Tensor:
        """The same in two batches by length, which pads less."""
        order = sorted(range(len(texts)), key=lambda place: len(texts[place]))
        half = len(order) // 2
        rows = torch.cat([self([texts[i] for i in order[:half]]), self([texts[i] for i in order[half:]])])
        back = torch.empty(len(order), dtype=torch.long)
        back[torch.tensor(order)] = torch.arange(len(order))
        return rows[back]


def train_embedding(base: Path, data: Path, out: Path, *, steps: int, seed: int, minutes: float) -> bool:
    """Train, and write the tuned body to `out`; False if it was stopped before its end."""
    torch.manual_seed(seed)
    model = Embedder(base)
    batches = embedding_batches(data, seed, steps)

    def loss_of(batch: EmbeddingBatch) -> torch.Tensor:
        cosines = model.sorted_forward(batch.texts) @ model(batch.hypotheses).T
        return -(batch.target * functional.log_softmax(cosines / TEMPERATURE, dim=1)).sum(1).mean()

    done = train(model, batches, loss_of, _SCHEDULE, out / "checkpoint.pt", minutes)
    model.body.save_pretrained(out)
    model.tokenizer.save_pretrained(out)
    return done


def round_weights(folder: Path) -> None:
    """Replace the weights of the linear layers in `folder` by what they are when they are stored in four bits."""
    from transformers import AutoModel

    body = AutoModel.from_pretrained(folder)
    for layer in body.encoder.modules():
        if isinstance(layer, torch.nn.Linear):
            weight = layer.weight.detach().numpy()
            scales, integers = rounded(weight, INT4, axis=1)
            layer.weight.data = torch.from_numpy(integers * scales.repeat(INT4.group, axis=1))
    body.save_pretrained(folder)


def averaged(base: Path, tuned: Path, share: float, out: Path) -> None:
    """Write `share` of the tuned weights and the rest of those of the base, as a sentence-transformers folder."""
    from transformers import AutoModel

    before, after = AutoModel.from_pretrained(base), AutoModel.from_pretrained(tuned)
    weights = after.state_dict()
    for name, each in before.state_dict().items():
        if each.is_floating_point():
            weights[name] = torch.lerp(each, weights[name], share)
    after.load_state_dict(weights)
    shutil.copytree(base, out, dirs_exist_ok=True)
    after.save_pretrained(out)
