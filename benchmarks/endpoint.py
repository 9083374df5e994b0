"""What an endpoint adds to the classifier's own time, and what it sustains with many clients."""

import json
import statistics
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from tests.processes import ServerProcess

from benchmarks.texts import mixed_texts
from zerostart import pipeline

_LABELS = ["politics", "sport", "business"]
_CLIENTS = 32
_ROUNDS = 4


def overhead_and_throughput() -> dict[str, Any]:
    """p50 of one text in process and through boto3; pairs a second of 32 clients against the classifier's own."""
    texts, _ = mixed_texts()
    with tempfile.TemporaryDirectory() as home, ServerProcess(Path(home) / "home") as server:
        server.deploy("bench")
        client = server.runtime()

        def invoke(text: str) -> float:
            body = json.dumps({"inputs": text, "candidate_labels": _LABELS})
            started_s = time.perf_counter()
            client.invoke_endpoint(EndpointName="bench", Body=body, ContentType="application/json")["Body"].read()
            return time.perf_counter() - started_s

        with pipeline() as classify:

            def in_process(text: str) -> float:
                started_s = time.perf_counter()
                classify(text, _LABELS)
                return time.perf_counter() - started_s

            p50s = [_interleaved_p50s(invoke, in_process, texts) for _ in range(3)]
            own: list[float] = []
            many: list[tuple[float, list[float]]] = []
            for _ in range(3):
                started_s = time.perf_counter()
                for _ in range(_ROUNDS):
                    classify(texts, _LABELS)
                own.append(len(texts) * _ROUNDS / (time.perf_counter() - started_s))
                many.append(_many_clients(server, texts))
    latencies = sorted(latency for _, taken in many for latency in taken)
    ratio = statistics.median(rate for rate, _ in many) / statistics.median(own)
    return {
        "p50_ms": {
            "endpoint": round(statistics.median(a for a, _ in p50s) * 1000, 2),
            "in process": round(statistics.median(b for _, b in p50s) * 1000, 2),
            "overhead": round(statistics.median(a - b for a, b in p50s) * 1000, 2),
        },
        f"{_CLIENTS}_clients": {
            "texts_per_s": round(statistics.median(rate for rate, _ in many), 1),
            "classifier_texts_per_s": round(statistics.median(own), 1),
            "ratio": round(ratio, 3),
            "p50_ms": round(latencies[len(latencies) // 2] * 1000, 1),
            "p99_ms": round(latencies[int(len(latencies) * 0.99)] * 1000, 1),
            "errors": 0,  # an error ends the benchmark
        },
    }


def _interleaved_p50s(invoke: Any, in_process: Any, texts: list[str]) -> tuple[float, float]:
    taken = [(invoke(text), in_process(text)) for text in texts]
    return statistics.median(a for a, _ in taken), statistics.median(b for _, b in taken)


def _many_clients(server: ServerProcess, texts: list[str]) -> tuple[float, list[float]]:
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
                body = json.dumps({"inputs": text, "candidate_labels": _LABELS})
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
