"""What an endpoint adds to the classifier's own time, and what it sustains with many clients."""

import http.client
import json
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.processes import ServerProcess

from benchmarks.texts import LABELS, mixed_texts
from zerostart import pipeline

_FEW_LABELS = LABELS[:3]
_CLIENTS = 32
_ROUNDS = 6
_REPEATS = 3


def overhead_and_throughput() -> dict[str, Any]:
    """p50 of one text in process and through boto3; texts a second of 32 clients against the classifier's own."""
    texts, _ = mixed_texts()
    with tempfile.TemporaryDirectory() as home, ServerProcess(Path(home) / "home") as server, pipeline() as classify:
        server.deploy("bench")
        return {
            "p50_ms, one text, 3 labels": _latency(server, classify, texts),
            **{
                f"{_CLIENTS} clients, {len(labels)} labels": _throughput(server, classify, texts, labels)
                for labels in (LABELS, _FEW_LABELS)
            },
        }


def _latency(server: ServerProcess, classify: Any, texts: list[str]) -> dict[str, float]:
    """Medians; an overhead is the median of each text's own difference. The HTTP client sends a bearer key."""
    boto3_client = server.runtime()
    http_client = http.client.HTTPConnection(server.address.removeprefix("http://"))
    headers = {"Authorization": f"Bearer {server.keys.secret_access_key}", "Content-Type": "application/json"}

    def body(text: str) -> str:
        return json.dumps({"inputs": text, "candidate_labels": _FEW_LABELS})

    def through_http(text: str) -> None:
        http_client.request("POST", "/endpoints/bench/invocations", body(text), headers)
        answer = http_client.getresponse()
        if answer.status != 200:
            raise SystemExit(f"The endpoint answered {answer.status}: {answer.read()!r}")
        answer.read()

    def through_boto3(text: str) -> None:
        invoked = boto3_client.invoke_endpoint(EndpointName="bench", Body=body(text), ContentType="application/json")
        invoked["Body"].read()

    def in_process(text: str) -> None:
        classify(text, _FEW_LABELS)

    def run() -> list[tuple[float, ...]]:
        calls = (in_process, through_http, in_process, through_boto3)  # each after the same neighbour
        return [tuple(_seconds(call, text) for call in calls) for text in texts]

    run()
    taken = [times for _ in range(_REPEATS) for times in run()]
    medians = {
        "in process": statistics.median(times[0] for times in taken),
        "endpoint, HTTP client": statistics.median(times[1] for times in taken),
        "endpoint, boto3": statistics.median(times[3] for times in taken),
        "overhead, HTTP client": statistics.median(times[1] - times[0] for times in taken),
        "overhead, boto3": statistics.median(times[3] - times[2] for times in taken),
    }
    return {name: round(value * 1000, 2) for name, value in medians.items()}


def _seconds(call: Callable[[str], Any], text: str) -> float:
    started_s = time.perf_counter()
    call(text)
    return time.perf_counter() - started_s


def _throughput(server: ServerProcess, classify: Any, texts: list[str], labels: list[str]) -> dict[str, float]:
    own: list[float] = []
    many: list[float] = []
    latencies: list[float] = []
    for repeat in range(_REPEATS + 1):
        started_s = time.perf_counter()
        for _ in range(_ROUNDS):
            classify(texts, labels)
        alone = len(texts) * _ROUNDS / (time.perf_counter() - started_s)
        rate, taken = _many_clients(server, texts, labels)
        if repeat:  # the first is the warm-up
            own.append(alone)
            many.append(rate)
            latencies += taken
    latencies.sort()
    return {
        "texts_per_s": round(statistics.median(many), 1),
        "classifier_texts_per_s": round(statistics.median(own), 1),
        "ratio": round(statistics.median(a / b for a, b in zip(many, own, strict=True)), 3),
        "p50_ms": round(latencies[len(latencies) // 2] * 1000, 1),
        "p99_ms": round(latencies[int(len(latencies) * 0.99)] * 1000, 1),
        "errors": 0,  # an error ends the benchmark
    }


def _many_clients(server: ServerProcess, texts: list[str], labels: list[str]) -> tuple[float, list[float]]:
    """Texts a second, and the latency of each, of clients that share the texts."""
    work = iter(texts * _ROUNDS)
    lock = threading.Lock()
    latencies: list[float] = []
    failures: list[BaseException] = []
    client = server.runtime()

    def run() -> None:
        try:
            while True:
                with lock:
                    text = next(work, None)
                if text is None:
                    return
                body = json.dumps({"inputs": text, "candidate_labels": labels})
                started_s = time.perf_counter()
                client.invoke_endpoint(EndpointName="bench", Body=body, ContentType="application/json")["Body"].read()
                latencies.append(time.perf_counter() - started_s)
        except BaseException as error:  # noqa: BLE001 - raised again below, in the main thread
            failures.append(error)

    threads = [threading.Thread(target=run) for _ in range(_CLIENTS)]
    started_s = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    return len(texts) * _ROUNDS / (time.perf_counter() - started_s), latencies
