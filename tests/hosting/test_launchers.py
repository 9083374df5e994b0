"""One contract for every launcher: what users of endpoints and jobs see, whichever starts their instances."""

import json
import os
import signal
import threading
import time
import urllib.request
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.load import BODY, Load
from tests.processes import BUILTIN, ROLE, ServerProcess, broken_artefact, is_running, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.alone]
LAUNCHERS = ("local", "ray")
QUESTION = {"inputs": "Pack the bags.", "candidate_labels": ["travel", "cooking"]}
FAKE = {"ZEROSTART_ENGINE": "fake", "ZEROSTART_MAX_INSTANCES": "8"}


@pytest.fixture(scope="module", params=LAUNCHERS)
def launcher(request: pytest.FixtureRequest) -> str:
    chosen: str = request.param
    return chosen


@pytest.fixture(scope="module")
def server(launcher: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server whose launcher is the asked one; tests leave no endpoint behind."""
    home = tmp_path_factory.mktemp(launcher) / "home"
    broken_artefact(home)
    with ServerProcess(home, ZEROSTART_LAUNCHER=launcher, **FAKE) as process:
        yield process


@pytest.fixture
def endpoint(server: ServerProcess) -> Iterator[str]:
    """An endpoint of two instances, which is gone at the end."""
    server.deploy("site", instances=2)
    yield "site"
    server.delete("site")


def programs(home: Path, *words: str) -> dict[int, str]:
    """Processes of a home by id, with the first of the words that their command line has."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_bytes().decode("utf-8", "replace")
            environment = (folder / "environ").read_bytes()
        except OSError:
            continue
        word = next((each for each in words if each in command), None)
        if word and f"ZEROSTART_HOME={home}\0".encode() in environment:
            found[int(folder.name)] = word
    return found


def instances(server: ServerProcess) -> set[int]:
    """Process ids of model servers."""
    return set(programs(server.home, "model-server"))


def has(server: ServerProcess, endpoint: str, count: int) -> bool:
    """Whether so many instances run and all take invocations."""
    return server.ready_instances(endpoint) == len(instances(server)) == count


def calls(load: Load, count: int) -> None:
    """Wait until so many calls ended."""
    wait_for(lambda: len(load.outcomes) > count, timeout_s=60)


def put_to_sleep(server: ServerProcess, endpoint: str) -> None:
    headers = {"Authorization": f"Bearer {server.keys.secret_access_key}", "Content-Type": "application/json"}
    body = json.dumps({"endpoints": [endpoint]}).encode()
    urllib.request.urlopen(urllib.request.Request(f"{server.address}/zerostart/down", body, headers)).read()


def test_counts_answers_and_logs(server: ServerProcess, endpoint: str) -> None:
    assert server.ready_instances(endpoint) == len(instances(server)) == 2
    assert server.invoke(endpoint, QUESTION)["labels"]
    with pytest.raises(ClientError, match="candidate_labels") as refused:
        server.runtime().invoke_endpoint(EndpointName=endpoint, Body=b'{"inputs": "Pack the bags."}')
    assert "OriginalStatusCode': 400" in str(refused.value.response)
    logs = server.client("logs", server.keys)
    group = f"/aws/sagemaker/Endpoints/{endpoint}"
    streams = [each["logStreamName"] for each in logs.describe_log_streams(logGroupName=group)["logStreams"]]
    assert len(streams) == 2
    for stream in streams:

        def said(stream: str = stream) -> bool:
            events = logs.get_log_events(logGroupName=group, logStreamName=stream)["events"]
            return "takes invocations" in str(events)

        wait_for(said)


def test_metrics_are_those_of_each_instance(server: ServerProcess, endpoint: str) -> None:
    for _ in range(20):
        server.invoke(endpoint, QUESTION)
    headers = {"Authorization": f"Bearer {server.keys.secret_access_key}"}
    with urllib.request.urlopen(urllib.request.Request(f"{server.address}/metrics", headers=headers)) as reply:
        lines = reply.read().decode().splitlines()
    pairs = [line for line in lines if line.startswith("zerostart_batch_pairs_sum{")]
    assert len(pairs) == 2, pairs
    assert sum(float(line.split()[-1]) for line in pairs) >= 40


def test_a_large_body_passes(server: ServerProcess, endpoint: str) -> None:
    document = QUESTION | {"inputs": "Pack the bags. " * 30_000}
    assert server.invoke(endpoint, document)["labels"]


def test_killing_an_instance_under_load_loses_nothing(server: ServerProcess, endpoint: str) -> None:
    for word in ("model-server", "ray::NodeInstance"):
        victims = programs(server.home, word)
        if not victims:
            assert word == "ray::NodeInstance"
            continue
        load = Load(server, endpoint, callers=6)
        calls(load, 100)
        victim = min(victims)
        os.kill(victim, signal.SIGKILL)
        killed_s = time.monotonic()
        while not (set(programs(server.home, word)) - set(victims) and has(server, endpoint, 2)):
            assert time.monotonic() - killed_s < 30
            time.sleep(0.05)
        assert not is_running(victim)
        print(f"{word} replaced within {time.monotonic() - killed_s:.1f} s")  # noqa: T201
        calls(load, 1000)
        assert {status for status, _ in load.stop()} == {200}
    assert server.status(endpoint) == "InService"


def test_an_update_loses_no_request_and_leaves_no_old_instance(server: ServerProcess, endpoint: str) -> None:
    server.create_config("green", variant="Green")
    before = instances(server)
    load = Load(server, endpoint, callers=4)
    wait_for(lambda: len(load.outcomes) > 50)
    server.sagemaker().update_endpoint(EndpointName=endpoint, EndpointConfigName="green")
    wait_for(lambda: server.status(endpoint) == "InService" and "Green" in load.variants)
    wait_for(lambda: not before & instances(server))
    assert {status for status, _ in load.stop()} == {200}
    assert server.ready_instances(endpoint) == len(instances(server)) == 1


def test_counts_change_without_a_lost_request(server: ServerProcess, endpoint: str) -> None:
    load = Load(server, endpoint, callers=4)
    for count in (3, 1):
        server.sagemaker().update_endpoint_weights_and_capacities(
            EndpointName=endpoint,
            DesiredWeightsAndCapacities=[{"VariantName": "AllTraffic", "DesiredInstanceCount": count}],
        )
        wait_for(partial(has, server, endpoint, count))
        wait_for(lambda: server.status(endpoint) == "InService")
    assert {status for status, _ in load.stop()} == {200}


def test_the_autoscaler_keeps_it_within_its_bounds(server: ServerProcess, endpoint: str) -> None:
    scaling = server.client("application-autoscaling", server.keys)
    variant = {
        "ServiceNamespace": "sagemaker",
        "ResourceId": f"endpoint/{endpoint}/variant/AllTraffic",
        "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
    }
    load = Load(server, endpoint, callers=2)
    for count in (3, 1):
        scaling.register_scalable_target(**variant, MinCapacity=count, MaxCapacity=count)
        wait_for(partial(has, server, endpoint, count))
    assert {status for status, _ in load.stop()} == {200}

    def done() -> bool:
        found = scaling.describe_scaling_activities(ServiceNamespace="sagemaker")["ScalingActivities"]
        return [each["StatusCode"] for each in found] == ["Successful", "Successful"]

    wait_for(done)


def test_it_sleeps_without_a_process_and_a_call_wakes_it(server: ServerProcess, endpoint: str) -> None:
    put_to_sleep(server, endpoint)
    wait_for(lambda: not programs(server.home, "model-server", "ray::NodeInstance"))
    assert server.invoke(endpoint, QUESTION)["labels"]
    wait_for(lambda: server.ready_instances(endpoint) == 2)


def test_a_model_that_cannot_start_fails_its_endpoint_with_the_reason(server: ServerProcess) -> None:
    server.create_config("bad", model_id="broken")
    server.sagemaker().create_endpoint(EndpointName="bad", EndpointConfigName="bad")
    wait_for(lambda: server.status("bad") == "Failed", timeout_s=60)
    assert "tokenizer.json was altered" in server.sagemaker().describe_endpoint(EndpointName="bad")["FailureReason"]
    wait_for(lambda: not instances(server))
    server.delete("bad")


def test_a_job_has_the_same_output_as_on_one_machine_and_outlives_its_workers(
    server: ServerProcess, tmp_path_factory: pytest.TempPathFactory
) -> None:
    texts = [f"{number} boats and {number * 7} words" for number in range(3000)]
    body = "".join(json.dumps({"inputs": each, "candidate_labels": ["travel", "cooking"]}) + "\n" for each in texts)
    s3 = server.s3()
    s3.create_bucket(Bucket="texts")
    s3.put_object(Bucket="texts", Key="in/texts.jsonl", Body=body.encode())
    run_job(server, "job", kills=2)
    output = s3.get_object(Bucket="texts", Key="out/texts.jsonl.out")["Body"].read()
    assert output.count(b"\n") == len(texts)
    kept = tmp_path_factory.getbasetemp() / "output-of-a-launcher"
    if kept.exists():
        assert output == kept.read_bytes()
    kept.write_bytes(output)
    events = server.client("logs", server.keys).filter_log_events(logGroupName="/aws/sagemaker/TransformJobs")
    assert "shard" in str(events["events"])


def run_job(server: ServerProcess, name: str, kills: int) -> None:
    """A job over s3://texts/in/, with workers that are killed while it runs."""
    client = server.sagemaker()
    container: Any = {"Environment": {"HF_MODEL_ID": BUILTIN}}
    client.create_model(ModelName=name, ExecutionRoleArn=ROLE, PrimaryContainer=container)
    source: Any = {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://texts/in/"}}
    client.create_transform_job(
        TransformJobName=name,
        ModelName=name,
        TransformInput={"DataSource": source, "ContentType": "application/json", "SplitType": "Line"},
        TransformOutput={"S3OutputPath": "s3://texts/out", "AssembleWith": "Line"},
        TransformResources={"InstanceType": "ml.m5.large", "InstanceCount": 2},
    )
    killed: set[int] = set()
    while len(killed) < kills:
        fresh = wait_for(lambda: set(programs(server.home, "transform-worker")) - killed or ended(server, name))
        if fresh is True:
            break
        victim = max(fresh)
        time.sleep(0.5)
        os.kill(victim, signal.SIGKILL)
        killed.add(victim)
    wait_for(lambda: ended(server, name), timeout_s=120)
    described = client.describe_transform_job(TransformJobName=name)
    assert described["TransformJobStatus"] == "Completed", described.get("FailureReason")
    assert killed, "the job ended before a worker was killed"


def ended(server: ServerProcess, name: str) -> bool:
    status = server.sagemaker().describe_transform_job(TransformJobName=name)["TransformJobStatus"]
    return status not in {"InProgress", "Stopping"}


def test_a_stopped_server_drains_and_leaves_no_process(launcher: str, home: Path) -> None:
    with ServerProcess(home, ZEROSTART_LAUNCHER=launcher) as server:
        server.deploy("drained")
        texts = [f"Text number {n} tells of a long journey through the mountains to the sea." for n in range(300)]
        document = {"inputs": texts, "candidate_labels": ["travel", "cooking", "finance"]}
        finished: list[Any] = []
        caller = threading.Thread(target=lambda: finished.append(server.invoke("drained", document)))
        caller.start()
        wait_for(lambda: server.queued_pairs() > 0)
        server.terminate()
        caller.join(60)
        assert len(finished) == 1
        assert len(finished[0]) == 300
        assert server.process.wait(60) == 0
    wait_for(lambda: not programs(home, "model-server", "ray::", "raylet", "gcs_server"))


def test_a_killed_server_leaves_no_process_and_its_endpoints_come_back(launcher: str, home: Path) -> None:
    with ServerProcess(home, ZEROSTART_LAUNCHER=launcher, **FAKE) as server:
        server.deploy("site")
        server.kill()
    # A worker of Ray that is just starting looks for its cluster a while.
    wait_for(lambda: not programs(home, "model-server", "ray::", "raylet", "gcs_server"), timeout_s=90)
    with ServerProcess(home, ZEROSTART_LAUNCHER=launcher, **FAKE) as server:
        server.wait_in_service("site")
        assert server.runtime().invoke_endpoint(EndpointName="site", Body=BODY)["Body"].read()
