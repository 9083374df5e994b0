"""Train the built-in NLI model: pairs of NLI sets, and labelled sets recast as pairs.

A pair's loss is its cross-entropy; where a set says only that the premise does not entail the hypothesis, that of
neutral and contradiction together. The pairs of one text are also weighed against each other, as they are when they are
served.
"""

import json
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional

from training.corpus import CLASSES, NOT_ENTAILMENT, WRITTEN, Pair, labelled_pairs, nli_pairs
from training.hard import hard_pairs
from training.loop import Schedule, precision, train
from training.wordnet import definition_pairs, definitions

_TOKENS = 2048
_MOST_TOKENS = 112
_WINDOW_UNITS = 2048
_DEFINITIONS = 4000


@dataclass(frozen=True)
class NLIBatch:
    """Pairs of about one length."""

    pairs: tuple[Pair, ...]


def nli_batches(data: Path, tokenizer: Any, seed: int, epochs: int) -> list[NLIBatch]:
    """Batches of about 2,048 tokens; the pairs of a text stay together."""
    batches: list[NLIBatch] = []
    for epoch in range(epochs):
        chosen = random.Random(seed * 1000 + epoch)  # noqa: S311 - picks examples
        general, labelled = nli_pairs(data, chosen), labelled_pairs(data, chosen, wrong=2, share=0.6)
        batches += _batches(general, labelled, tokenizer, chosen)
    return batches


def hard_batches(data: Path, tokenizer: Any, embedding: Path, out: Path, seed: int) -> list[NLIBatch]:
    """Batches of the NLI pairs that people wrote, of texts with wrong labels near to them, and of definitions.

    The pairs are kept in `out`: embeddings may differ in the last bit from run to run, and training goes on with the
    batches that it began with.
    """
    kept = out / "hard-pairs.jsonl"
    chosen = random.Random(seed * 1000 + 999)  # noqa: S311 - picks examples
    general = nli_pairs(data, chosen, share=0.2)
    for _ in range(2):
        general += nli_pairs(data, chosen, share=0.75, names=WRITTEN)
    if kept.exists():
        hard = [Pair(**json.loads(line)) for line in kept.read_text("utf-8").splitlines()]
    else:
        hard = hard_pairs(data, embedding, random.Random(seed), wrong=3, share=0.25)  # noqa: S311 - picks examples
        groups = 1 + max(pair.group for pair in hard)
        defined = random.Random(seed + 1)  # noqa: S311 - picks examples
        hard += definition_pairs(definitions(), defined, count=_DEFINITIONS, wrong=3, first=groups)
        out.mkdir(parents=True, exist_ok=True)
        kept.write_text("".join(json.dumps(asdict(pair)) + "\n" for pair in hard), "utf-8")
    return _batches(general, hard, tokenizer, chosen)


def _batches(
    general: Sequence[Pair], labelled: Sequence[Pair], tokenizer: Any, chosen: random.Random
) -> list[NLIBatch]:
    units: list[list[Pair]] = [[pair] for pair in general]
    units += list(_groups(labelled))
    lengths = _lengths(units, tokenizer)
    order = list(range(len(units)))
    chosen.shuffle(order)
    batches: list[NLIBatch] = []
    for start in range(0, len(order), _WINDOW_UNITS):
        window = sorted(order[start : start + _WINDOW_UNITS], key=lengths.__getitem__)
        batches += list(_packed([(units[place], lengths[place]) for place in window]))
    chosen.shuffle(batches)
    return batches


def _groups(pairs: Sequence[Pair]) -> Iterator[list[Pair]]:
    found: dict[int, list[Pair]] = {}
    for pair in pairs:
        found.setdefault(pair.group, []).append(pair)
    yield from found.values()


def _lengths(units: Sequence[Sequence[Pair]], tokenizer: Any) -> list[int]:
    """Tokens of the longest pair of each."""
    pairs = [pair for unit in units for pair in unit]
    encoded = tokenizer(
        [pair.premise for pair in pairs],
        [pair.hypothesis for pair in pairs],
        truncation="longest_first",
        max_length=_MOST_TOKENS,
        return_length=True,
        return_attention_mask=False,
        return_token_type_ids=False,
    )
    found = iter(encoded["length"])
    return [max(next(found) for _ in unit) for unit in units]


def _packed(units: Sequence[tuple[list[Pair], int]]) -> Iterator[NLIBatch]:
    """Units in the order of their lengths, as many together as fill a batch."""
    held: list[Pair] = []
    for unit, length in units:
        if held and (len(held) + len(unit)) * length > _TOKENS:
            yield NLIBatch(tuple(held))
            held = []
        held += unit
    yield NLIBatch(tuple(held))


def pair_loss(logits: torch.Tensor, batch: NLIBatch) -> torch.Tensor:
    """The loss of logits, shape (pairs, 3)."""
    log_p = functional.log_softmax(logits.float(), dim=1)
    not_entailed = torch.logsumexp(log_p[:, 1:], dim=1)
    labels = torch.tensor([pair.label for pair in batch.pairs])
    known = labels != NOT_ENTAILMENT
    picked = log_p.gather(1, labels.clamp(max=len(CLASSES) - 1).unsqueeze(1)).squeeze(1)
    loss = -torch.where(known, picked, not_entailed).mean()
    groups = torch.tensor([pair.group for pair in batch.pairs])
    own = groups >= 0
    if own.any():
        loss = loss + _label_loss(logits.float()[own], labels[own] == 0, groups[own])
    return loss


def _label_loss(logits: torch.Tensor, right: torch.Tensor, groups: torch.Tensor) -> torch.Tensor:
    """Of pairs that are one text's labels: by what scores are made of, as they are served.

    Single-label scores are a softmax of the entailment logits over the labels, multi-label ones of entailment against
    contradiction.
    """
    names, inside = groups.unique(return_inverse=True)  # type: ignore[no-untyped-call]
    table = logits.new_full((len(names), len(logits)), float("-inf"))
    table[inside, torch.arange(len(logits))] = logits[:, 0]
    place = right.nonzero().squeeze(1)
    order = torch.empty(len(names), dtype=torch.long)
    order[inside[place]] = place
    margin = logits[:, 0] - logits[:, 2]
    return 0.5 * functional.cross_entropy(table, order) + 0.3 * functional.binary_cross_entropy_with_logits(
        margin, right.float()
    )


def train_nli(base: Path, data: Path, out: Path, *, epochs: int, seed: int, minutes: float) -> bool:
    """Train, and write the model to `out`; False if it was stopped before its end."""
    return _train(base, lambda tokenizer: nli_batches(data, tokenizer, seed, epochs), out, 1e-4, seed, minutes)


def harden_nli(base: Path, embedding: Path, data: Path, out: Path, *, seed: int, minutes: float) -> bool:
    """Train the model of `train_nli` on with hard wrong labels; False if it was stopped before its end."""
    return _train(base, lambda tokenizer: hard_batches(data, tokenizer, embedding, out, seed), out, 1e-4, seed, minutes)


def _train(
    base: Path, make_batches: Callable[[Any], Sequence[NLIBatch]], out: Path, rate: float, seed: int, minutes: float
) -> bool:
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    torch.manual_seed(seed)
    tokenizer = AutoTokenizer.from_pretrained(base)
    batches = make_batches(tokenizer)
    names = dict(enumerate(CLASSES))
    model: Any = AutoModelForSequenceClassification.from_pretrained(
        base,
        dtype=torch.float32,
        id2label=names,
        label2id={name: index for index, name in names.items()},
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )

    def loss_of(batch: NLIBatch) -> torch.Tensor:
        encoded = tokenizer(
            [pair.premise for pair in batch.pairs],
            [pair.hypothesis for pair in batch.pairs],
            padding=True,
            truncation="longest_first",
            max_length=_MOST_TOKENS,
            return_tensors="pt",
        )
        with precision():
            logits = model(**encoded).logits
        return pair_loss(logits, batch)

    done = train(model, batches, loss_of, Schedule(rate, average_steps=400), out / "checkpoint.pt", minutes)
    model.save_pretrained(out)
    tokenizer.save_pretrained(out)
    return done
