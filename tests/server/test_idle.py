"""Endpoints that nobody calls stop their instances, and the next call wakes them. Real processes, short times."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError, ConnectionClosedError

from tests.load import Load
from tests.processes import BUILTIN, ROLE, ServerProcess, children_of, is_running, wait_for

QUESTION = {"inputs": "Pack the bags.", "candidate_labels": ["travel", "cooking"]}
FAKE = {"ZEROSTART_ENGINE": "fake"}
VARIABLE = "ZEROSTART_IDLE_TIMEOUT_S"


@pytest.fixture(scope="module")
def sleepy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server whose endpoints sleep after a second."""
    home = tmp_path_factory.mktemp("sleepy") / "home"
    with ServerProcess(home, ZEROSTART_IDLE_TIMEOUT_S="1", ZEROSTART_MAX_INSTANCES="20", **FAKE) as server:
        yield server


@pytest.fixture
def endpoint(sleepy: ServerProcess, request: pytest.FixtureRequest) -> Iterator[Callable[..., str]]:
    """Makes endpoints that are gone at the end; `environment` is their model's."""
    made: list[str] = []

    def make(name: str, instances: int = 1, **environment: str) -> str:
        made.append(name)
        deploy(sleepy, name, instances, **environment)
        return name

    yield make
    for name in made:
        sleepy.delete(name)


def deploy(server: ServerProcess, name: str, instances: int = 1, model_id: str = BUILTIN, **environment: str) -> None:
    """As ServerProcess.deploy, with further variables for the model."""
    client = server.sagemaker()
    client.create_model(
        ModelName=name,
        ExecutionRoleArn=ROLE,
        PrimaryContainer={"Environment": {"HF_MODEL_ID": model_id, **environment}},
    )
    variant: Any = {"VariantName": "AllTraffic", "ModelName": name, "InitialInstanceCount": instances}
    variant["InstanceType"] = "ml.m5.xlarge"
    client.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant])
    client.create_endpoint(EndpointName=name, EndpointConfigName=name)
    server.wait_in_service(name)


def instances_of(server: ServerProcess, endpoint: str) -> set[int]:
    """Process ids of an endpoint's instances: each writes a log under the endpoint's name."""
    found = set()
    for pid in children_of(server.pid):
        log = Path(f"/proc/{pid}/fd/1")
        if f"/logs/endpoints/{endpoint}/" in str(log.readlink() if log.is_symlink() else ""):
            found.add(pid)
    return found


def lose_an_answer(server: ServerProcess, endpoint: str) -> None:
    with pytest.raises(ConnectionClosedError):
        server.invoke(endpoint, QUESTION)


def test_an_idle_endpoint_ends_its_instances_and_the_next_call_is_answered(
    sleepy: ServerProcess, endpoint: Callable[..., str]
) -> None:
    name = endpoint("one", instances=2)
    before = instances_of(sleepy, name)
    assert len(before) == 2
    wait_for(lambda: not any(is_running(pid) for pid in before))
    described = sleepy.sagemaker().describe_endpoint(EndpointName=name)
    assert described["EndpointStatus"] == "InService"
    assert described["ProductionVariants"][0]["CurrentInstanceCount"] == 0
    assert described["ProductionVariants"][0]["DesiredInstanceCount"] == 2
    assert sleepy.invoke(name, QUESTION)["labels"]
    wait_for(lambda: len(instances_of(sleepy, name)) == 2)
    assert not instances_of(sleepy, name) & before


def test_many_first_calls_wake_one_set_of_instances(sleepy: ServerProcess, endpoint: Callable[..., str]) -> None:
    name = endpoint("herd")
    wait_for(lambda: not instances_of(sleepy, name))
    seen: set[int] = set()
    answers: list[Any] = []
    watching = threading.Event()

    def watch() -> None:
        while not watching.is_set():
            seen.update(instances_of(sleepy, name))

    callers = [threading.Thread(target=lambda: answers.append(sleepy.invoke(name, QUESTION))) for _ in range(20)]
    watcher = threading.Thread(target=watch)
    for each in (watcher, *callers):
        each.start()
    for each in callers:
        each.join(120)
    watching.set()
    watcher.join()
    assert len(answers) == 20
    assert len({json.dumps(each) for each in answers}) == 1
    assert len(seen) == 1


def test_calls_that_come_as_an_endpoint_falls_asleep_are_answered(
    sleepy: ServerProcess, endpoint: Callable[..., str]
) -> None:
    """A call each time about when the idle time is over: some meet the instance, some the moment, some nothing."""
    name = endpoint("edge", **{VARIABLE: "0.3"})
    for step in range(6):
        assert sleepy.invoke(name, QUESTION)["labels"]
        time.sleep(0.29 + step * 0.02)


def test_a_call_that_takes_longer_than_the_idle_time_is_not_cut(home: Path) -> None:
    with ServerProcess(home, ZEROSTART_IDLE_TIMEOUT_S="0.2") as server:
        server.deploy("slow")
        texts = ["a long text about many things and places " * 60] * 40
        answered = server.invoke("slow", {"inputs": texts, "candidate_labels": ["a", "b"]})
        assert len(answered) == 40
        wait_for(lambda: children_of(server.pid) == [])


def test_an_endpoint_sleeps_by_its_models_own_time_and_never_by_zero(
    sleepy: ServerProcess, endpoint: Callable[..., str]
) -> None:
    never, later = endpoint("never", **{VARIABLE: "0"}), endpoint("later", **{VARIABLE: "3600"})
    usual = endpoint("usual")
    kept = instances_of(sleepy, never) | instances_of(sleepy, later)
    wait_for(lambda: not instances_of(sleepy, usual))
    assert len(kept) == 2
    assert all(is_running(pid) for pid in kept)
    for wrong in ("soon", "-1", "nan", "1e99"):
        with pytest.raises(ClientError, match=r"ZEROSTART_IDLE_TIMEOUT_S is .*: give seconds, such as 600, or 0"):
            sleepy.sagemaker().create_model(
                ModelName="wrong",
                ExecutionRoleArn=ROLE,
                PrimaryContainer={"Environment": {"HF_MODEL_ID": BUILTIN, VARIABLE: wrong}},
            )


def test_a_sleeping_endpoint_can_be_updated_scaled_and_deleted(
    sleepy: ServerProcess, endpoint: Callable[..., str]
) -> None:
    name = endpoint("site")
    client = sleepy.sagemaker()
    wait_for(lambda: not instances_of(sleepy, name))
    client.update_endpoint_weights_and_capacities(
        EndpointName=name, DesiredWeightsAndCapacities=[{"VariantName": "AllTraffic", "DesiredInstanceCount": 2}]
    )
    wait_for(lambda: sleepy.status(name) == "InService")
    assert not instances_of(sleepy, name)
    sleepy.invoke(name, QUESTION)
    wait_for(lambda: sleepy.ready_instances(name) == 2)
    wait_for(lambda: not instances_of(sleepy, name))
    sleepy.create_config("site-next", variant="Next")
    client.update_endpoint(EndpointName=name, EndpointConfigName="site-next")
    wait_for(lambda: sleepy.status(name) == "InService")
    assert client.describe_endpoint(EndpointName=name)["ProductionVariants"][0]["VariantName"] == "Next"
    wait_for(lambda: not instances_of(sleepy, name))  # it slept before, and sleeps on
    assert sleepy.invoke(name, QUESTION, TargetVariant="Next")["labels"]
    client.delete_endpoint_config(EndpointConfigName="site-next")
    client.delete_model(ModelName="site-next")
    wait_for(lambda: not instances_of(sleepy, name))


def test_a_wake_that_fails_says_so_and_the_next_call_tries_again(home: Path) -> None:
    copy = home / "models" / "mine"
    copy.mkdir(parents=True)
    for each in Path("src/zerostart/models/builtin/zerostart-zstc-small").iterdir():
        (copy / each.name).write_bytes(each.read_bytes())
    manifest, tokenizer = copy / "zerostart.json", copy / "tokenizer.json"
    manifest.write_text(manifest.read_text().replace("zerostart-zstc-small", "mine"))
    good = tokenizer.read_text()
    with ServerProcess(home, ZEROSTART_IDLE_TIMEOUT_S="1", **FAKE) as server:
        server.deploy("frail", model_id="mine")
        wait_for(lambda: children_of(server.pid) == [])
        tokenizer.write_text(good + " ")
        with pytest.raises(ClientError, match="frail was asleep, and its instances could not be started") as caught:
            server.invoke("frail", QUESTION)
        assert caught.value.response["Error"]["Code"] == "ServiceUnavailable"
        described = server.sagemaker().describe_endpoint(EndpointName="frail")
        assert described["EndpointStatus"] == "InService"
        assert "could not be woken" in described["FailureReason"]
        assert "tokenizer.json was altered" in described["FailureReason"]
        assert children_of(server.pid) == []
        tokenizer.write_text(good)
        assert server.invoke("frail", QUESTION)["labels"]
        assert "FailureReason" not in server.sagemaker().describe_endpoint(EndpointName="frail")


def test_who_sleeps_sleeps_on_after_a_kill_of_the_server_and_who_was_being_woken_is_up(home: Path) -> None:
    settings = {"ZEROSTART_IDLE_TIMEOUT_S": "2", **FAKE}
    with ServerProcess(home, **settings) as server:
        server.deploy("sleeper")
        deploy(server, "waker", 1, BUILTIN, **{VARIABLE: "600"})
        wait_for(lambda: not instances_of(server, "sleeper"))
        (awake,) = instances_of(server, "waker")
        server.kill()
        wait_for(lambda: not is_running(awake))
    with ServerProcess(home, **settings) as server:
        wait_for(lambda: server.ready_instances("waker") == 1)
        assert server.status("sleeper") == "InService"
        assert not instances_of(server, "sleeper")
        caller = threading.Thread(target=lose_an_answer, args=(server, "sleeper"))
        caller.start()
        wait_for(lambda: instances_of(server, "sleeper"), every_s=0.01)
        server.kill()
        caller.join(60)
    with ServerProcess(home, **settings) as server:
        wait_for(lambda: server.ready_instances("sleeper") == 1)
        assert server.invoke("sleeper", QUESTION)["labels"]
        assert len(children_of(server.pid)) == 2


def test_an_asynchronous_invocation_wakes_its_endpoint(sleepy: ServerProcess) -> None:
    sleepy.s3().create_bucket(Bucket="later")
    sleepy.s3().put_object(Bucket="later", Key="in", Body=json.dumps(QUESTION))
    client = sleepy.sagemaker()
    client.create_model(
        ModelName="later", ExecutionRoleArn=ROLE, PrimaryContainer={"Environment": {"HF_MODEL_ID": BUILTIN}}
    )
    variant: Any = {"VariantName": "A", "ModelName": "later", "InitialInstanceCount": 1, "InstanceType": "ml.m5.large"}
    client.create_endpoint_config(
        EndpointConfigName="later",
        ProductionVariants=[variant],
        AsyncInferenceConfig={"OutputConfig": {"S3OutputPath": "s3://later/out"}},
    )
    client.create_endpoint(EndpointName="later", EndpointConfigName="later")
    sleepy.wait_in_service("later")
    wait_for(lambda: not instances_of(sleepy, "later"))
    taken = sleepy.runtime().invoke_endpoint_async(EndpointName="later", InputLocation="s3://later/in")
    key = taken["OutputLocation"].removeprefix("s3://later/")
    wait_for(lambda: any(each["Key"] == key for each in sleepy.s3().list_objects_v2(Bucket="later")["Contents"]), 60)
    assert b"travel" in sleepy.s3().get_object(Bucket="later", Key=key)["Body"].read()
    sleepy.delete("later")


def test_an_endpoint_under_load_does_not_sleep(sleepy: ServerProcess, endpoint: Callable[..., str]) -> None:
    name = endpoint("busy")
    before = instances_of(sleepy, name)
    load = Load(sleepy, name, callers=3)
    time.sleep(2.5)  # more than twice its idle time
    assert {status for status, _ in load.stop()} == {200}
    assert instances_of(sleepy, name) == before
