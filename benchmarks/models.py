"""Zerostart against transformers' pipeline and torch in bf16, at several sizes, and the share of the machine's peak."""

import gc
import json
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.conversion import DEBERTA_V3
from benchmarks.texts import LABELS, labelled_texts, mixed_texts
from zerostart import pipeline
from zerostart.models.conversion import convert

_REPEATS = 3
_SEED_MODEL = Path(__file__).resolve().parents[2] / "shared" / "models" / "seed-nli"
_TOKENS_AT_ONCE = 2048
_NAMES = ("entailment", "neutral", "contradiction")
Results = list[dict[str, Any]]
# Random weights: what is computed does not depend on them. The vocabulary is that of the built-in model.
_CONFIGS: dict[str, tuple[str, dict[str, Any]]] = {
    "bart-large": (
        "BartConfig",
        {"eos_token_id": 102, "bos_token_id": 101, "pad_token_id": 0, "decoder_start_token_id": 102},
    ),
    "deberta-v3-base": (
        "DebertaV2Config",
        DEBERTA_V3
        | {"hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12, "intermediate_size": 3072},
    ),
}


@dataclass(frozen=True)
class _Peer:
    """A model in torch and the same one here."""

    model: Any
    tokenizer: Any
    theirs: Callable[..., Results]
    ours: Callable[..., Results]

    @property
    def flops_a_token(self) -> float:
        """Of the linear layers, two for each weight."""
        import torch

        body = self.model.base_model
        return 2.0 * sum(each.weight.numel() for each in body.modules() if isinstance(each, torch.nn.Linear))


def sizes() -> dict[str, Any]:
    """Pairs a second of each, interleaved, medians of three; `of_peak` is of the machine's bf16 matrix products."""
    peak = _peak_gflops()
    found: dict[str, Any] = {"peak_bf16_gflops": round(peak)}
    for name, count in (("built-in", 64), ("deberta-v3-base", 16), ("bart-large", 8)):
        with _peer(name) as peer:
            loads = {f"{count} texts": mixed_texts(count)[0], "400 tokens": [_long_text(peer.tokenizer, 400)]}
            for load, texts in loads.items():
                found[f"{name}, {load} x 10"] = _compared(peer, texts, peak)
                print(f"{name}, {load}: {json.dumps(found[f'{name}, {load} x 10'])}", file=sys.stderr, flush=True)
        gc.collect()
    return found


def many_labels() -> dict[str, Any]:
    """150 and 77 labels: accuracy and texts a second, every label scored and with shortlists.

    The pipeline is timed on the first 20 texts.
    """
    found: dict[str, Any] = {}
    with _peer("built-in") as peer:
        for name in ("clinc150", "banking77"):
            texts, right, labels, template = labelled_texts(name, 200)
            found[name] = _shortlists(peer, texts, right, labels, template)
    return found


def _shortlists(peer: _Peer, texts: list[str], right: list[str], labels: list[str], template: str) -> dict[str, Any]:
    asked = {"hypothesis_template": template}
    runs: dict[str, Callable[[], Results]] = {
        "transformers, default": lambda: peer.theirs(texts[:20], candidate_labels=labels, **asked),
        "every label": lambda: peer.ours(texts, labels, **asked),
    }
    for size in (3, 5, 10, 20):
        runs[f"shortlist {size}"] = lambda size=size: peer.ours(texts, labels, shortlist=size, **asked)  # type: ignore[misc]
    rates: dict[str, list[float]] = {name: [] for name in runs}
    accuracy: dict[str, float] = {}
    peer.ours(texts[:5], labels, shortlist=3, **asked)  # loads the ranking model
    for _ in range(_REPEATS):
        for name, run in runs.items():
            started_s = time.perf_counter()
            answers = run()
            rates[name].append(len(answers) / (time.perf_counter() - started_s))
            same = [answer["labels"][0] == label for answer, label in zip(answers, right, strict=False)]
            accuracy[name] = round(sum(same) / len(same), 3)
    medians = {name: statistics.median(taken) for name, taken in rates.items()}
    del accuracy["transformers, default"]  # of 20 texts
    return {
        "labels": len(labels),
        "texts_per_s": {name: round(rate, 2) for name, rate in medians.items()},
        "times_default": {name: round(rate / medians["transformers, default"], 1) for name, rate in medians.items()},
        "accuracy": accuracy,
    }


def _compared(peer: _Peer, texts: list[str], peak_gflops: float) -> dict[str, Any]:
    runs: dict[str, Callable[[], object]] = {
        "transformers, default": lambda: peer.theirs(texts, candidate_labels=LABELS),
        "transformers, batch_size=16": lambda: peer.theirs(texts, candidate_labels=LABELS, batch_size=16),
        "torch, bf16": _torch_bf16(peer, texts),
        "zerostart": lambda: peer.ours(texts, LABELS),
    }
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for repeat in range(_REPEATS + 1):
        for name, run in runs.items():
            started_s = time.perf_counter()
            run()
            if repeat:  # the first is the warm-up
                seconds[name].append(time.perf_counter() - started_s)
    pairs = len(texts) * len(LABELS)
    medians = {name: pairs / statistics.median(taken) for name, taken in seconds.items()}
    tokens = sum(len(ids) for ids in _encoded(peer, texts)) / pairs
    gflops = {name: rate * tokens * peer.flops_a_token / 1e9 for name, rate in medians.items()}
    return {
        "tokens_a_pair": round(tokens, 1),
        "pairs_per_s": {name: round(rate, 1) for name, rate in medians.items()},
        "times_default": round(medians["zerostart"] / medians["transformers, default"], 2),
        "times_batch_size_16": round(medians["zerostart"] / medians["transformers, batch_size=16"], 2),
        "times_torch_bf16": round(medians["zerostart"] / medians["torch, bf16"], 2),
        "of_peak": {name: round(value / peak_gflops, 3) for name, value in gflops.items()},
    }


def _encoded(peer: _Peer, texts: list[str]) -> list[list[int]]:
    longest = min(peer.tokenizer.model_max_length, 512)
    pairs = [(text, f"This example is {label}.") for text in texts for label in LABELS]
    encoded = peer.tokenizer(*zip(*pairs, strict=True), truncation="only_first", max_length=longest)
    ids: list[list[int]] = encoded["input_ids"]
    return ids


def _torch_bf16(peer: _Peer, texts: list[str]) -> Callable[[], None]:
    """What a careful user of torch would write: bf16 weights, batches sorted by length and cut by tokens."""
    import copy

    import torch

    model = copy.deepcopy(peer.model).to(torch.bfloat16)

    def run() -> None:
        rows = sorted(_encoded(peer, texts), key=len)
        with torch.inference_mode():
            while rows:
                count = max(1, _TOKENS_AT_ONCE // len(rows[-1]))
                batch, rows = rows[-count:], rows[:-count]
                model(**peer.tokenizer.pad({"input_ids": batch}, return_tensors="pt"))

    return run


@contextmanager
def _peer(name: str) -> Iterator[_Peer]:
    """The built-in model and its weights in torch, or a random model that was converted."""
    import transformers

    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    if not _SEED_MODEL.is_dir():
        raise SystemExit(f"{_SEED_MODEL} is not there: the pipeline needs its weights and its tokenizer.")
    tokenizer = transformers.AutoTokenizer.from_pretrained(_SEED_MODEL)
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        if name == "built-in":
            model = transformers.AutoModelForSequenceClassification.from_pretrained(_SEED_MODEL, dtype="float32")
            ours = pipeline()
        else:
            model = _random_model(name)
            model.save_pretrained(Path(folder) / "source")
            tokenizer.save_pretrained(Path(folder) / "source")
            convert(Path(folder) / "source", home / "models", name)
            ours = pipeline(model=name, home=home)
        theirs = transformers.pipeline("zero-shot-classification", model=model, tokenizer=tokenizer, device="cpu")
        with ours:
            yield _Peer(model.eval(), tokenizer, theirs, ours)


def _random_model(name: str) -> Any:
    import torch
    import transformers

    kind, values = _CONFIGS[name]
    labels = {"id2label": dict(enumerate(_NAMES)), "label2id": {each: i for i, each in enumerate(_NAMES)}}
    torch.manual_seed(0)
    config = getattr(transformers, kind)(vocab_size=30522, **values, **labels)
    return transformers.AutoModelForSequenceClassification.from_config(config)


def _long_text(tokenizer: Any, tokens: int) -> str:
    """Sentences of the mixed texts, of so many tokens together."""
    words = " ".join(mixed_texts()[0]).split()
    random.Random(0).shuffle(words)  # noqa: S311 - picks examples
    ids = tokenizer(" ".join(words[:tokens]), add_special_tokens=False)["input_ids"][:tokens]
    text: str = tokenizer.decode(ids)
    return text


def _peak_gflops() -> float:
    """What a large matrix product in bf16 reaches in torch; the best of ten, in GFLOP/s."""
    import torch

    size = 4096
    left, right = torch.ones(2048, size, dtype=torch.bfloat16), torch.ones(size, size, dtype=torch.bfloat16)
    best = np.inf
    with torch.inference_mode():
        for _ in range(10):
            started_s = time.perf_counter()
            left @ right
            best = min(best, time.perf_counter() - started_s)
    return 2.0 * 2048 * size * size / float(best) / 1e9
