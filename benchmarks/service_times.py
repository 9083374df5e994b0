"""What one instance with one thread takes for its batches, and a call for the rest: what the simulation is fed with."""

import asyncio
import json
import multiprocessing
import os
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from tests.processes import BUILTIN, ServerProcess

from benchmarks.open_loop import OpenLoop
from benchmarks.queueing import BatchTimes, Load, Service
from benchmarks.texts import LABELS, short_texts
from zerostart.bootstrap.classifier import build_classifier, build_scorer, ranking_model
from zerostart.models.local_artefacts import LocalArtefacts
from zerostart.nli.classification import ClassificationRequest
from zerostart.nli.labels import parse_labels
from zerostart.serving.batcher import Batcher
from zerostart.serving.tokenizer import EncodedPair
from zerostart.settings import Settings, load_settings

KEPT = Path(__file__).parent / "results" / "service_times.json"
ONE_THREAD = {"ZEROSTART_THREADS": "1", "ZEROSTART_IDLE_TIMEOUT_S": "0"}
_WIDTHS = (8, 12, 16, 20, 24, 32, 48, 64, 96, 128, 256)
_PAIRS = (1, 2, 4, 8, 16, 32)
_REPEATS = 5
_WARM_UPS = 2
_TEXTS = 200
_CALLERS = 8
_LEAST_MEASURED_S = 1.5
# Ratios that stand for all: what a batch took, to what the formula says.
_KEPT_RATIOS = 101


def service_times() -> dict[str, Any]:
    """Seconds of batches by pairs and width, of both models; what a busy neighbour costs; the rest of a call."""
    with tempfile.TemporaryDirectory() as home:
        settings = load_settings({"ZEROSTART_HOME": home}).with_values(threads=1)
        load, texts, source = asked(settings)
        scorer, ranker, fits, rates = _engines(settings)
    service = Service(scorer, ranker, *_rest_of_a_call(texts), rates)
    return {
        "texts": source,
        "formula_off_by": fits,
        "pairs_per_s_of_a_core": round(_pairs_per_s(service, load)),
        "calls_per_s_of_a_server": round(1 / service.server_s),
        "service": asdict(service),
        "load": asdict(load),
    }


def kept() -> tuple[Service, Load]:
    """What was measured last. Raises SystemExit if nothing was."""
    if not KEPT.exists():
        raise SystemExit(f"{KEPT} is not there: run python -m benchmarks service_times.")
    document = json.loads(KEPT.read_text("utf-8"))
    service, load = document["service"], document["load"]
    scorer, ranker = (_batch_times(service.pop(name)) for name in ("scorer", "ranker"))
    rates = tuple(service.pop("rates"))
    return Service(scorer, ranker, rates=rates, **service), Load(
        tuple(load.pop("text_tokens")), tuple(load.pop("label_tokens")), **load
    )


def _batch_times(found: dict[str, Any]) -> BatchTimes:
    return BatchTimes(**(found | {"ratios": tuple(found["ratios"])}))


def asked(settings: Settings) -> tuple[Load, list[str], str]:
    """Short texts and ten labels: how many tokens the models read of each."""
    texts, source = short_texts(_TEXTS)
    artefacts = LocalArtefacts(settings.models_folder)
    tokenizer = build_scorer(artefacts.find(BUILTIN)).tokenizer
    request = ClassificationRequest((texts[0],), (parse_labels(LABELS),))
    hypotheses = [request.template.fill(label.description) for label in request.labels[0]]
    return (
        Load(
            tuple(len(tokenizer.premise(text)) for text in texts),
            tuple(len(tokenizer.hypothesis(each)) for each in hypotheses),
            max_tokens=tokenizer.max_tokens - tokenizer.template.special_tokens,
        ),
        texts,
        source,
    )


def _engines(settings: Settings) -> tuple[BatchTimes, BatchTimes, dict[str, float], tuple[float, ...]]:
    """Both models' batches, how far each formula is off in the median, and the speed of cores that are all busy."""
    classifier = build_classifier(settings, BUILTIN)
    try:
        batchers = classifier.batcher, classifier.loaded_ranker().batcher
        special_tokens = _special_tokens(settings)
        times, off = [], []
        for special, measured in zip(special_tokens, _batches(batchers, special_tokens, settings), strict=True):
            found, error = fitted(measured, special, settings.max_batch_tokens)
            times.append(found)
            off.append(error)
        alone_s = _typical_s(batchers[0])
        with _neighbours(settings.home, (os.cpu_count() or 1) - 1):
            beside_s = _typical_s(batchers[0])
    finally:
        classifier.close()
    cores = os.cpu_count() or 1
    slowest = min(1.0, alone_s / beside_s)
    rates = tuple(round(1 - (1 - slowest) * n / max(1, cores - 1), 3) for n in range(cores))
    return times[0], times[1], dict(zip(("scorer", "ranker"), off, strict=True)), rates


def _special_tokens(settings: Settings) -> list[int]:
    """What the NLI model and its embedding model add to a pair and to a text."""
    artefacts = LocalArtefacts(settings.models_folder)
    nli = artefacts.find(BUILTIN)
    both = nli, artefacts.find(ranking_model(settings, nli))
    return [build_scorer(each).tokenizer.template.special_tokens for each in both]


def fitted(
    measured: Sequence[tuple[int, int, float]], special_tokens: int, max_tokens: int
) -> tuple[BatchTimes, float]:
    """The formula of BatchTimes for batches (pairs, width, seconds), and its error in the median, as a share.

    Least squares of relative errors (each row divided by what was measured), none of the three factors below 0.
    """
    pairs, widths, seconds = (np.array(column, dtype=np.float64) for column in zip(*measured, strict=True))
    terms = np.stack([np.ones_like(pairs), pairs * widths, pairs * widths**2], axis=1) / seconds[:, None]
    used = [0, 1, 2]
    factors = np.zeros(3)
    while used:
        found = np.linalg.lstsq(terms[:, used], np.ones(len(seconds)), rcond=None)[0]
        if (found >= 0).all():
            factors[used] = found
            break
        used.pop(int(np.argmin(found)))
    predicted = terms @ factors  # as a share of what was measured
    ratios = np.quantile(1 / predicted, np.linspace(0, 1, _KEPT_RATIOS)).round(3)
    fixed_s, token_s, square_s = map(float, factors)
    times = BatchTimes(fixed_s, token_s, square_s, special_tokens, max_tokens, tuple(map(float, ratios)))
    return times, round(float(np.median(abs(predicted - 1))), 3)


def _batches(
    batchers: Sequence[Batcher], special_tokens: Sequence[int], settings: Settings
) -> list[list[tuple[int, int, float]]]:
    """Pairs, width and seconds of batches of every shape, by batcher: each some times after it was met.

    In any order, as they come to an instance: a batch like the one before, in the same model, takes less.
    """
    shapes = [
        (which, pairs, width)
        for which in range(len(batchers))
        for width in _WIDTHS
        for pairs in sorted({*_PAIRS, settings.max_batch_tokens // width})
        if pairs * width <= settings.max_batch_tokens
    ]
    chance = np.random.default_rng(0)
    found: list[list[tuple[int, int, float]]] = [[] for _ in batchers]
    for repeat in range(_REPEATS + _WARM_UPS):
        for place in chance.permutation(len(shapes)):
            which, pairs, width = shapes[place]
            request = [_made_pair(width - special_tokens[which], row) for row in range(pairs)]
            seconds = _seconds(batchers[which], request)
            if repeat >= _WARM_UPS:
                found[which].append((pairs, width, seconds))
    return found


def _made_pair(tokens: int, seed: int) -> EncodedPair:
    """One of so many tokens; what is computed does not depend on which."""
    ids = np.random.default_rng(seed).integers(1000, 5000, tokens)
    return EncodedPair(ids, np.empty(0, dtype=np.int64))


def _seconds(batcher: Batcher, request: Sequence[EncodedPair]) -> float:
    """Processor time, all of one thread: what else runs on the machine takes turns, and is not counted."""
    started_s = time.process_time()
    batcher.submit(request).result()
    return time.process_time() - started_s


def _typical_s(batcher: Batcher) -> float:
    request = [_made_pair(20, row) for row in range(10)]
    taken: list[float] = []
    while sum(taken) < _LEAST_MEASURED_S:
        taken.append(_seconds(batcher, request))
    return statistics.median(taken)


@contextmanager
def _neighbours(home: Path, count: int) -> Iterator[None]:
    """Other instances' engines, one a further core, that compute all the time."""
    context = multiprocessing.get_context("spawn")
    ready = context.Semaphore(0)
    processes = [context.Process(target=_compute, args=(str(home), ready), daemon=True) for _ in range(count)]
    for process in processes:
        process.start()
    try:
        for _ in processes:
            if not ready.acquire(timeout=60):
                raise SystemExit("A neighbour did not start.")
        yield
    finally:
        for process in processes:
            process.terminate()
            process.join()


def _compute(home: str, ready: Any) -> None:
    classifier = build_classifier(load_settings({"ZEROSTART_HOME": home}).with_values(threads=1), BUILTIN)
    request = [_made_pair(20, row) for row in range(10)]
    _seconds(classifier.batcher, request)
    ready.release()
    while True:
        _seconds(classifier.batcher, request)


def _rest_of_a_call(texts: list[str]) -> tuple[float, float]:
    """Of a call to an endpoint whose engine computes nothing: the server's processor time, and what else it takes.

    The first from callers that keep the server busy, the second from one who does not.
    """
    settings = ONE_THREAD | {"ZEROSTART_ENGINE": "fake"}
    with tempfile.TemporaryDirectory() as home, ServerProcess(Path(home) / "home", **settings) as server:
        server.deploy("bench")
        callers = OpenLoop(server, "bench")
        alone = asyncio.run(callers.one_by_one(texts * 2))[len(texts) :]
        began_s = processor_s(server.pid)
        asyncio.run(callers.together(texts, _CALLERS))
        server_s = (processor_s(server.pid) - began_s) / (len(texts) * _CALLERS)
    return round(server_s, 5), round(max(0.0, statistics.median(alone) - server_s), 5)


def processor_s(pid: int) -> float:
    """Seconds that a process computed."""
    fields = Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _pairs_per_s(service: Service, load: Load) -> float:
    """Of one core that is always busy, its neighbours too, with full batches of this load's mean width."""
    width = round(statistics.fmean(load.text_tokens) + statistics.fmean(load.label_tokens))
    times = service.scorer
    pairs = times.max_tokens // (width + times.special_tokens)
    return pairs / times.mean_s(pairs, width + times.special_tokens) * service.rates[-1]
