"""Train the built-in NLI model: pairs of NLI sets, and labelled sets recast as pairs.

The model is a branch of the embedding model: its words and first layers are that one's as they are stored, which are
not trained, so that they are in the package but once. What follows are layers of its own, of all-mpnet-base-v2, whose
weights are rounded to what four bits hold in each step, with gradients as if they were not (Bengio et al. 2013,
https://arxiv.org/abs/1308.3432).

A pair's loss is its cross-entropy; where a set says only that the premise does not entail the hypothesis, that of
neutral and contradiction together. The pairs of one text are also weighed against each other, as they are when they are
served.
"""

import json
import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional
from torch.nn.utils import parametrize

from training.corpus import CLASSES, GENRES, NLI_ROWS, NOT_ENTAILMENT, WRITTEN, Pair, nli_pairs
from training.hard import hard_pairs
from training.loop import Schedule, precision, train
from training.stored import stored_weights
from training.wordnet import definition_pairs, definitions
from zerostart.models.rounding import INT4

LAYERS = 8
SHARED_LAYERS = 3  # and the words below them
_TOKENS = 4096
_MOST_TOKENS = 112
_WINDOW_UNITS = 4096
_DEFINITIONS = 2000
_SCHEDULE = Schedule(8e-5, average_steps=200)


@dataclass(frozen=True)
class NLIBatch:
    """Pairs of about one length."""

    pairs: tuple[Pair, ...]


def nli_batches(data: Path, tokenizer: Any, embedding: Path, out: Path, seed: int) -> list[NLIBatch]:
    """Batches of about 4,096 tokens: NLI pairs, texts with wrong labels near to them, and definitions.

    The pairs of a text stay together. Those that the embedding chooses are kept in `out`: embeddings may differ in the
    last bit from run to run, and training goes on with the batches that it began with.
    """
    kept = out / "hard-pairs.jsonl"
    chosen = random.Random(seed * 1000)  # noqa: S311 - picks examples
    general = nli_pairs(data, chosen, share=0.2, names=[name for name in NLI_ROWS if name not in WRITTEN])
    general += nli_pairs(data, chosen, names=WRITTEN)
    general += nli_pairs(data, chosen, names=GENRES)
    if kept.exists():
        hard = [Pair(**json.loads(line)) for line in kept.read_text("utf-8").splitlines()]
    else:
        hard = hard_pairs(data, embedding, random.Random(seed), wrong=3, share=1.0)  # noqa: S311 - picks examples
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


def train_nli(base: Path, embedding: Path, artefact: Path, data: Path, out: Path, *, seed: int, minutes: float) -> bool:
    """Train, and write the model to `out`; False if it was stopped before its end.

    The own layers begin as those of `base`; the others are of `artefact`, the embedding model as it is stored.
    `embedding` is the same model as a folder of transformers.
    """
    from transformers import AutoTokenizer

    torch.manual_seed(seed)
    tokenizer = AutoTokenizer.from_pretrained(base)
    batches = nli_batches(data, tokenizer, embedding, out, seed)
    model = _branch(base, artefact)
    for layer in four_bit_layers(model):
        parametrize.register_parametrization(layer, "weight", InFourBits())

    def loss_of(batch: NLIBatch) -> torch.Tensor:
        encoded = tokenizer(
            [pair.premise for pair in batch.pairs],
            [pair.hypothesis for pair in batch.pairs],
            padding=True,
            truncation="longest_first",
            max_length=_MOST_TOKENS,
            return_tensors="pt",
        )
        with precision(), parametrize.cached():
            logits = model(**encoded).logits
        return pair_loss(logits, batch)

    done = train(model, batches, loss_of, _SCHEDULE, out / "checkpoint.pt", minutes)
    for layer in four_bit_layers(model):
        parametrize.remove_parametrizations(layer, "weight")
    model.save_pretrained(out)
    tokenizer.save_pretrained(out)
    return done


def _branch(base: Path, artefact: Path) -> Any:
    """The model before it is trained."""
    from transformers import AutoModelForSequenceClassification

    names = dict(enumerate(CLASSES))
    model: Any = AutoModelForSequenceClassification.from_pretrained(
        base,
        dtype=torch.float32,
        num_hidden_layers=LAYERS,
        id2label=names,
        label2id={name: index for index, name in names.items()},
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )
    weights = model.mpnet.state_dict()
    stored = {name: value for name, value in stored_weights(artefact).items() if is_shared(name)}
    model.mpnet.load_state_dict(weights | stored)
    for name, parameter in model.mpnet.named_parameters():
        parameter.requires_grad = name not in stored
    return model


def is_shared(name: str) -> bool:
    """Whether a weight of the body is the embedding model's."""
    place = re.match(r"encoder\.layer\.(\d+)\.", name)
    return place is None or int(place[1]) < SHARED_LAYERS


def four_bit_layers(model: Any) -> Iterator[torch.nn.Module]:
    """The linear layers of its own, whose weights are stored in four bits."""
    for name, layer in model.named_modules():
        if (
            isinstance(layer, torch.nn.Linear)
            and name != "classifier.out_proj"
            and not (name.startswith("mpnet.") and is_shared(name.removeprefix("mpnet.")))
        ):
            yield layer


class InFourBits(torch.nn.Module):
    """A weight of shape (outputs, inputs) as it is stored: `zerostart.models.rounding` in torch, which is quicker."""

    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        rounded: torch.Tensor = _Rounded.apply(weight)  # type: ignore[no-untyped-call]
        return rounded


class _Rounded(torch.autograd.Function):
    @staticmethod
    def forward(_: Any, weight: torch.Tensor) -> torch.Tensor:
        groups = weight.view(len(weight), -1, INT4.group)
        low, high = groups.aminmax(dim=2, keepdim=True)
        least = -(2 ** (INT4.bits - 1))
        scales = (torch.where(-low >= high, low, high) / least).half().float()
        scales[scales == 0] = torch.finfo(torch.float16).smallest_normal
        rounded: torch.Tensor = (groups / scales).round_().clamp_(least, -least - 1).mul_(scales)
        return rounded.view_as(weight)

    @staticmethod
    def backward(_: Any, gradient: torch.Tensor) -> torch.Tensor:
        return gradient
