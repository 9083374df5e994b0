"""Zerostart against transformers' zero-shot pipeline: the same weights, the same texts, one process."""

import gzip
import json
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.texts import LABELS, mixed_texts
from zerostart import pipeline
from zerostart.pipelines import ZeroShotClassificationPipeline

_REPEATS = 5
_SEED_MODEL = Path(__file__).resolve().parents[2] / "shared" / "models" / "seed-nli"
_DATA = Path(__file__).resolve().parents[2] / "shared" / "data" / "cls"
# None of the held-out sets: a precision is chosen by this figure, and the choice must not have seen them.
_AGREEMENT_SETS = {"huffpost": 400, "clinc_domain": 400, "airline_tweets": 400, "trec": 400, "hwu64_scenario": 400}
Results = list[dict[str, Any]]


def against_the_pipeline() -> dict[str, Any]:
    """64 texts x 10 labels: pairs a second of each, interleaved, and how often the top labels are equal."""
    texts, source = mixed_texts()
    with _both_pipelines(("auto", "int8")) as (theirs, ours):
        runs: dict[str, Callable[[], Results]] = {
            "transformers, default": lambda: theirs(texts, candidate_labels=LABELS),
            "transformers, batch_size=16": lambda: theirs(texts, candidate_labels=LABELS, batch_size=16),
        }
        for precision in ours:
            runs[f"zerostart, {precision}"] = lambda classify=ours[precision]: classify(texts, LABELS)  # type: ignore[misc]
        seconds, answers = _interleaved(runs)
    pairs = len(texts) * len(LABELS)
    medians = {name: pairs / statistics.median(taken) for name, taken in seconds.items()}
    reference = [answer["labels"][0] for answer in answers["transformers, default"]]
    return {
        "texts": source,
        "pairs_per_s": {name: round(value, 1) for name, value in medians.items()},
        "range": {name: [round(pairs / max(t), 1), round(pairs / min(t), 1)] for name, t in seconds.items()},
        "times_default": {n: round(v / medians["transformers, default"], 2) for n, v in medians.items()},
        "times_batch_size_16": {n: round(v / medians["transformers, batch_size=16"], 2) for n, v in medians.items()},
        "top_label_equal": {name: _equal(reference, [a["labels"][0] for a in own]) for name, own in answers.items()},
    }


def _interleaved(runs: dict[str, Callable[[], Results]]) -> tuple[dict[str, list[float]], dict[str, Results]]:
    """Seconds of each repeat, by the names of `runs`, and their last answers."""
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    answers: dict[str, Results] = {}
    for repeat in range(_REPEATS + 1):
        for name, run in runs.items():
            started_s = time.perf_counter()
            answers[name] = run()
            if repeat:  # the first is the warm-up
                seconds[name].append(time.perf_counter() - started_s)
    return seconds, answers


def agreement() -> dict[str, Any]:
    """Top labels of each precision against fp32, on real test rows with each set's own labels and template."""
    described = json.loads((_DATA / "LABELS.json").read_text("utf-8"))
    models = {precision: pipeline(precision=precision) for precision in ("fp32", "bf16", "int8")}
    total = 0
    equal = dict.fromkeys(models, 0)
    largest = dict.fromkeys(models, 0.0)
    for name, rows in _AGREEMENT_SETS.items():
        with gzip.open(_DATA / f"{name}.test.jsonl.gz", "rt", encoding="utf-8") as file:
            every = [json.loads(line)["text"] for line in file]
        texts = random.Random(0).sample(every, rows)  # noqa: S311 - picks examples
        labels, template = described[name]["labels"], described[name]["template"]
        answers = {p: model(texts, labels, hypothesis_template=template) for p, model in models.items()}
        total += rows
        for precision, own in answers.items():
            for one, reference in zip(own, answers["fp32"], strict=True):
                equal[precision] += one["labels"][0] == reference["labels"][0]
                theirs = dict(zip(reference["labels"], reference["scores"], strict=True))
                gaps = (abs(s - theirs[label]) for label, s in zip(one["labels"], one["scores"], strict=True))
                largest[precision] = max(largest[precision], *gaps)
    for model in models.values():
        model.close()
    return {
        "texts": total,
        "sets": _AGREEMENT_SETS,
        "top_label_equal_to_fp32": {precision: round(count / total, 4) for precision, count in equal.items()},
        "largest_score_difference": {precision: round(value, 3) for precision, value in largest.items()},
    }


def _equal(reference: list[str], labels: list[str]) -> float:
    return round(sum(a == b for a, b in zip(reference, labels, strict=True)) / len(reference), 4)


@contextmanager
def _both_pipelines(precisions: Sequence[str]) -> Iterator[tuple[Any, dict[str, ZeroShotClassificationPipeline]]]:
    """The pipeline of transformers and ours, one for each precision, over the same weights."""
    import transformers

    from zerostart.models.conversion import convert

    transformers.logging.set_verbosity_error()
    if not _SEED_MODEL.is_dir():
        raise SystemExit(f"{_SEED_MODEL} is not there: both pipelines run its weights.")
    with tempfile.TemporaryDirectory() as folder:
        source, home = Path(folder) / "source", Path(folder) / "home"
        model = transformers.AutoModelForSequenceClassification.from_pretrained(_SEED_MODEL, dtype="float32")
        model.save_pretrained(source)
        transformers.AutoTokenizer.from_pretrained(_SEED_MODEL).save_pretrained(source)
        theirs = transformers.pipeline("zero-shot-classification", model=str(source), device="cpu")
        convert(source, home / "models", "seed")
        ours = {precision: pipeline(model="seed", home=home, precision=precision) for precision in precisions}
        yield theirs, ours
        for each in ours.values():
            each.close()
