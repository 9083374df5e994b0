"""What Ray costs and gives: a call through it against one on this machine, its start, and a job on two nodes."""

import http.client
import json
import shutil
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from tests.postgresql import PostgreSQL, postgresql_folder
from tests.processes import BUILTIN, ROLE, ServerProcess, clean_environment, wait_for
from tests.ray_nodes import RayNodes

from benchmarks.texts import LABELS, mixed_texts, short_texts

_LAUNCHERS = ("local", "ray")
_REPEATS = 3
_CLIENTS = 32
_JOB_TEXTS = 200


def calls() -> dict[str, Any]:
    """One text and three labels by one caller, ten labels by 32; both launchers in turns, in one run.

    With the built-in model, and with an engine that computes nothing, which shows the way alone.
    """
    return {"built-in model": _calls(), "no model": _calls(ZEROSTART_ENGINE="fake")}


def _calls(**settings: str) -> dict[str, Any]:
    texts, _ = mixed_texts()
    with _served("local", **settings) as local, _served("ray", **settings) as on_ray:
        servers = dict(zip(_LAUNCHERS, (local, on_ray), strict=True))
        for server in servers.values():
            server.deploy("bench")
            _times(server, texts[:20], 3)
        taken: dict[str, list[float]] = {name: [] for name in servers}
        rates: dict[str, list[float]] = {name: [] for name in servers}
        for _ in range(_REPEATS):
            for name, server in servers.items():
                taken[name] += _times(server, texts, 3)
            for name, server in servers.items():
                rates[name].append(_rate(server, texts))
    return {
        "p50_ms, one text, 3 labels": {name: round(statistics.median(each) * 1000, 1) for name, each in taken.items()},
        "added_ms, median of each text's difference": round(
            statistics.median(b - a for a, b in zip(taken["local"], taken["ray"], strict=True)) * 1000, 1
        ),
        f"texts_per_s, {_CLIENTS} clients, 10 labels": {
            name: round(statistics.median(each), 1) for name, each in rates.items()
        },
        "ratio": round(statistics.median(b / a for a, b in zip(rates["local"], rates["ray"], strict=True)), 3),
    }


def start() -> dict[str, Any]:
    """Seconds from the start of the server's process to its address, and from CreateEndpoint to the first answer."""
    found: dict[str, dict[str, list[float]]] = {name: {"server": [], "endpoint": []} for name in _LAUNCHERS}
    for _ in range(_REPEATS):
        for name in _LAUNCHERS:
            started_s = time.perf_counter()
            with _served(name) as server:
                found[name]["server"].append(time.perf_counter() - started_s)
                server.create_config("bench")
                started_s = time.perf_counter()
                server.sagemaker().create_endpoint(EndpointName="bench", EndpointConfigName="bench")
                wait_for(partial(server.ready_instances, "bench"), every_s=0.02)
                _times(server, ["One day I will see the world."], 3)
                found[name]["endpoint"].append(time.perf_counter() - started_s)
    return {
        name: {of: round(statistics.median(each), 1) for of, each in times.items()} for name, times in found.items()
    }


def job() -> dict[str, Any]:
    """Seconds of a job of 200 short texts x 10 labels, with a worker of one thread on one node, and on each of two.

    From its creation to its end. The nodes, the bucket service, PostgreSQL and the server share this machine.
    """
    texts, source = short_texts(_JOB_TEXTS)
    seconds: dict[int, list[float]] = {1: [], 2: []}
    with _cluster() as server:
        body = "".join(json.dumps({"inputs": text, "candidate_labels": LABELS}) + "\n" for text in texts)
        server.s3().create_bucket(Bucket="texts")
        server.s3().put_object(Bucket="texts", Key="in/texts.jsonl", Body=body.encode())
        container: Any = {"Environment": {"HF_MODEL_ID": BUILTIN}}
        server.sagemaker().create_model(ModelName="m", ExecutionRoleArn=ROLE, PrimaryContainer=container)
        _job_s(server, "warm-up", 2)
        for repeat in range(_REPEATS):
            for nodes, taken in seconds.items():
                taken.append(_job_s(server, f"j{repeat}-{nodes}", nodes))
    medians = {nodes: statistics.median(each) for nodes, each in seconds.items()}
    return {
        "texts": source,
        "seconds": {f"{nodes} nodes": round(each, 1) for nodes, each in medians.items()},
        "range_s": {f"{nodes} nodes": [round(min(each), 1), round(max(each), 1)] for nodes, each in seconds.items()},
        "times as quick": round(medians[1] / medians[2], 2),
    }


@contextmanager
def _served(launcher: str, **settings: str) -> Iterator[ServerProcess]:
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder,
        ServerProcess(Path(folder) / "home", ZEROSTART_LAUNCHER=launcher, **settings) as server,
    ):
        yield server


@contextmanager
def _cluster() -> Iterator[ServerProcess]:
    """A server on two nodes of one CPU, with a second Zerostart as its bucket service."""
    binaries = postgresql_folder()
    if binaries is None:
        raise SystemExit("PostgreSQL is not installed: apt-get install postgresql")
    folder, database = Path(tempfile.mkdtemp(prefix="nodes-")), PostgreSQL(binaries)
    try:
        with _served("local") as service:
            keys = service.keys
            credentials = {"AWS_ACCESS_KEY_ID": keys.access_key_id, "AWS_SECRET_ACCESS_KEY": keys.secret_access_key}
            with RayNodes(folder, {**clean_environment(folder / "nowhere"), **credentials}) as nodes:
                nodes.add("one", cpus=1)
                nodes.add("two", cpus=1)
                places = {
                    "ZEROSTART_RAY_ADDRESS": nodes.address,
                    "ZEROSTART_STORAGE": "s3",
                    "ZEROSTART_STORAGE_ENDPOINT_URL": service.address,
                    "ZEROSTART_DATABASE_URL": database.database(),
                    "ZEROSTART_THREADS": "1",
                }
                with _served("ray", **places, **credentials, **nodes.joining) as server:
                    yield server
    finally:
        database.stop()
        shutil.rmtree(folder, ignore_errors=True)


def _job_s(server: ServerProcess, name: str, workers: int) -> float:
    source: Any = {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://texts/in/"}}
    started_s = time.perf_counter()
    server.sagemaker().create_transform_job(
        TransformJobName=name,
        ModelName="m",
        TransformInput={"DataSource": source, "ContentType": "application/json", "SplitType": "Line"},
        TransformOutput={"S3OutputPath": f"s3://texts/{name}", "AssembleWith": "Line"},
        TransformResources={"InstanceType": "ml.m5.large", "InstanceCount": workers},
    )

    def status() -> str:
        return server.sagemaker().describe_transform_job(TransformJobName=name)["TransformJobStatus"]

    wait_for(lambda: status() != "InProgress", timeout_s=600)
    if status() != "Completed":
        raise SystemExit(f"The job {name} is {status()}.")
    return time.perf_counter() - started_s


def _times(server: ServerProcess, texts: list[str], labels: int) -> list[float]:
    """Seconds of each text, by one caller on one connection."""
    client = http.client.HTTPConnection(server.address.removeprefix("http://"))
    headers = {"Authorization": f"Bearer {server.keys.secret_access_key}", "Content-Type": "application/json"}
    taken = []
    for text in texts:
        body = json.dumps({"inputs": text, "candidate_labels": LABELS[:labels]})
        started_s = time.perf_counter()
        client.request("POST", "/endpoints/bench/invocations", body, headers)
        answer = client.getresponse()
        content = answer.read()
        if answer.status != 200:
            raise SystemExit(f"The endpoint answered {answer.status}: {content!r}")
        taken.append(time.perf_counter() - started_s)
    client.close()
    return taken


def _rate(server: ServerProcess, texts: list[str]) -> float:
    """Texts a second of many callers that share the texts."""
    parts = [texts[number::_CLIENTS] for number in range(_CLIENTS)]
    failures: list[BaseException] = []

    def run(part: list[str]) -> None:
        try:
            _times(server, part, len(LABELS))
        except BaseException as error:  # noqa: BLE001 - raised again below, in the main thread
            failures.append(error)

    threads = [threading.Thread(target=run, args=(part,)) for part in parts if part]
    started_s = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    return len(texts) / (time.perf_counter() - started_s)
