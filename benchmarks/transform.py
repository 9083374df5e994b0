"""Transform jobs: throughput beside the classifier's own, an endpoint's latency beside a job, memory, first record."""

import json
import statistics
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from tests.processes import BUILTIN, ROLE, ServerProcess, children_of

from benchmarks.footprint import peak_mb
from benchmarks.texts import LABELS, short_texts
from zerostart import pipeline

_REPEATS = 3
_TEXTS = 20_000
_LARGE_BYTES = 1_000_000_000


def throughput() -> dict[str, Any]:
    """Pairs a second of 20,000 short texts x 10 labels: in process, and as a job with one worker and with two.

    A job's time is from its creation to its end, with the start of its workers and the writing of its output.
    """
    texts, source = short_texts(_TEXTS)
    pairs = len(texts) * len(LABELS)
    seconds: dict[str, list[float]] = {"in process": [], "1 worker": [], "2 workers": []}
    with _served() as server:
        _put(server, "in/a.jsonl", texts)
        for repeat in range(_REPEATS):
            for workers in (1, 2):
                seconds[f"{workers} worker" + "s" * (workers > 1)].append(_run(server, f"j{repeat}-{workers}", workers))
            with pipeline() as classify:
                classify(texts[:100], LABELS)
                started_s = time.perf_counter()
                classify(texts, LABELS)
                seconds["in process"].append(time.perf_counter() - started_s)
    medians = {name: statistics.median(taken) for name, taken in seconds.items()}
    return {
        "texts": source,
        "pairs_per_s": {name: round(pairs / taken) for name, taken in medians.items()},
        "range_s": {name: [round(min(taken), 1), round(max(taken), 1)] for name, taken in seconds.items()},
        "of_in_process": {name: round(medians["in process"] / taken, 3) for name, taken in medians.items()},
    }


def first_record() -> dict[str, Any]:
    """Seconds from the creation of a job to its first record done, on a server that has run one before."""
    texts, _ = short_texts(2000)
    taken = []
    with _served() as server:
        _put(server, "in/a.jsonl", texts)
        for repeat in range(6):
            name = f"first-{repeat}"
            started_s = time.perf_counter()
            _create(server, name, 1)
            while not server.progress(name)["records"]:
                time.sleep(0.02)
            taken.append(time.perf_counter() - started_s)
            server.sagemaker().stop_transform_job(TransformJobName=name)
            _ended(server, name)
    return {"first_s": round(taken[0], 2), "median_s": round(statistics.median(taken[1:]), 2)}


def beside() -> dict[str, Any]:
    """Milliseconds of an endpoint's answers (one text, three labels, one caller), alone and beside a job, in turns."""
    texts, _ = short_texts(_TEXTS)
    taken: dict[str, list[list[float]]] = {"alone": [], "beside a job": []}
    with _served() as server:
        _put(server, "in/a.jsonl", texts)
        server.deploy("bench")
        runtime = server.runtime()

        def answers(count: int = 600) -> list[float]:
            times = []
            for number in range(count):
                body = json.dumps({"inputs": texts[number], "candidate_labels": LABELS[:3]})
                started_s = time.perf_counter()
                runtime.invoke_endpoint(EndpointName="bench", Body=body, ContentType="application/json")
                times.append(1000 * (time.perf_counter() - started_s))
                time.sleep(0.01)
            return sorted(times)

        answers()
        for repeat in range(_REPEATS):
            taken["alone"].append(answers())
            name = f"beside-{repeat}"
            _create(server, name, 2)
            while not server.progress(name)["records"]:
                time.sleep(0.1)
            taken["beside a job"].append(answers())
            server.sagemaker().stop_transform_job(TransformJobName=name)
            _ended(server, name)
    percentiles = {
        name: {
            f"p{percent}_ms": round(statistics.median(run[len(run) * percent // 100] for run in runs), 1)
            for percent in (50, 99)
        }
        for name, runs in taken.items()
    }
    ratio = percentiles["beside a job"]["p99_ms"] / percentiles["alone"]["p99_ms"]
    return {**percentiles, "p99_times": round(ratio, 2)}


def memory() -> dict[str, Any]:
    """Peak resident memory of a worker that reads one object of 1 GB; its texts repeat, so that it ends today."""
    chosen, _ = short_texts(2000)
    with _served() as server:
        client = server.s3()
        with tempfile.TemporaryFile() as file:
            number = 0
            while file.tell() < _LARGE_BYTES:
                text = " ".join(chosen[(number + k) % len(chosen)] for k in range(20))
                file.write(json.dumps({"inputs": text, "candidate_labels": ["travel"]}).encode() + b"\n")
                number = (number + 1) % len(chosen)
            file.seek(0)
            client.upload_fileobj(file, "bench", "in/a.jsonl")
        peaks: list[int] = []
        done = threading.Event()
        watching = threading.Thread(target=_watch_memory, args=(server.pid, peaks, done))
        watching.start()
        seconds = _run(server, "memory", 1)
        done.set()
        watching.join()
        records = server.progress("memory")["records"]
    return {"input_mb": _LARGE_BYTES // 10**6, "records": records, "seconds": round(seconds), "peak_mb": max(peaks)}


def _watch_memory(server: int, peaks: list[int], done: threading.Event) -> None:
    while not done.wait(0.5):
        for worker in children_of(server):
            try:
                peaks.append(peak_mb(worker))
            except (OSError, StopIteration):
                continue


class _served:  # noqa: N801 - reads as a verb
    """A server with a bucket and the built-in model."""

    def __enter__(self) -> ServerProcess:
        self._folder = tempfile.TemporaryDirectory()
        self._server = ServerProcess(Path(self._folder.name) / "home")
        self._server.s3().create_bucket(Bucket="bench")
        container: Any = {"Environment": {"HF_MODEL_ID": BUILTIN, "HF_TASK": "zero-shot-classification"}}
        self._server.sagemaker().create_model(ModelName="for-jobs", ExecutionRoleArn=ROLE, PrimaryContainer=container)
        return self._server

    def __exit__(self, *exception: object) -> None:
        self._server.stop()
        self._folder.cleanup()


def _put(server: ServerProcess, key: str, texts: list[str]) -> None:
    lines = b"".join(json.dumps({"inputs": text, "candidate_labels": LABELS}).encode() + b"\n" for text in texts)
    server.s3().put_object(Bucket="bench", Key=key, Body=lines)


def _create(server: ServerProcess, name: str, workers: int) -> None:
    server.sagemaker().create_transform_job(
        TransformJobName=name,
        ModelName="for-jobs",
        TransformInput={
            "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://bench/in/"}},
            "ContentType": "application/jsonlines",
            "SplitType": "Line",
        },
        TransformOutput={"S3OutputPath": f"s3://bench/{name}", "AssembleWith": "Line"},
        TransformResources={"InstanceType": "ml.m5.large", "InstanceCount": workers},
    )


def _run(server: ServerProcess, name: str, workers: int) -> float:
    _create(server, name, workers)
    shown = _ended(server, name)
    if shown["TransformJobStatus"] != "Completed":
        raise SystemExit(f"The job is {shown['TransformJobStatus']}: {shown.get('FailureReason')}")
    taken: float = (shown["TransformEndTime"] - shown["CreationTime"]).total_seconds()
    return taken


def _ended(server: ServerProcess, name: str) -> dict[str, Any]:
    while True:
        shown: dict[str, Any] = dict(server.sagemaker().describe_transform_job(TransformJobName=name))
        if shown["TransformJobStatus"] in {"Completed", "Failed", "Stopped"}:
            return shown
        time.sleep(0.5)
