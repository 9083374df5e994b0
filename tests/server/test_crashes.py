"""What users see when processes die, are killed or are told to stop. Real processes, real signals."""

import json
import os
import signal
import threading
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from tests.load import BODY, Load
from tests.processes import ServerProcess, broken_artefact, children_of, is_running, wait_for


def test_killing_one_of_two_instances_under_load_loses_nothing(server: ServerProcess) -> None:
    server.deploy("pair", instances=2)
    load = Load(server, "pair", callers=8)
    wait_for(lambda: len(load.outcomes) > 100)
    victim = children_of(server.pid)[0]
    os.kill(victim, signal.SIGKILL)
    wait_for(lambda: victim not in children_of(server.pid) and server.ready_instances("pair") == 2)
    seen = len(load.outcomes)
    wait_for(lambda: len(load.outcomes) > seen + 100)
    outcomes = load.stop()
    assert {status for status, _ in outcomes} == {200}
    assert server.status("pair") == "InService"


def test_killing_the_only_instance_answers_5xx_at_once_and_replaces_it(server: ServerProcess) -> None:
    server.deploy("single")
    load = Load(server, "single", callers=8)
    wait_for(lambda: len(load.outcomes) > 50)
    (victim,) = children_of(server.pid)
    os.kill(victim, signal.SIGKILL)
    wait_for(lambda: any(status != 200 for status, _ in list(load.outcomes)))
    wait_for(lambda: server.ready_instances("single") == 1 and children_of(server.pid) != [victim])
    seen = len(load.outcomes)
    wait_for(lambda: any(status == 200 for status, _ in list(load.outcomes[seen:])))
    outcomes = load.stop()
    assert {status for status, _ in outcomes} == {200, 503}
    assert max(duration for status, duration in outcomes if status == 503) < 2
    assert len(children_of(server.pid)) == 1


def test_boto3s_own_retries_hide_the_loss_of_the_only_instance(server: ServerProcess) -> None:
    server.deploy("single")
    load = Load(server, "single", callers=4, attempts=10)
    wait_for(lambda: len(load.outcomes) > 50)
    (victim,) = children_of(server.pid)
    os.kill(victim, signal.SIGKILL)
    wait_for(lambda: server.ready_instances("single") == 1 and children_of(server.pid) != [victim])
    assert {status for status, _ in load.stop()} == {200}


def test_a_frozen_instance_is_replaced(server: ServerProcess) -> None:
    server.deploy("frozen", instances=2)
    victim = children_of(server.pid)[0]
    os.kill(victim, signal.SIGSTOP)
    wait_for(lambda: victim not in children_of(server.pid), timeout_s=60)
    wait_for(lambda: server.ready_instances("frozen") == 2)
    assert server.invoke("frozen", json.loads(BODY))["labels"]


def test_a_killed_server_leaves_no_process_and_its_endpoints_come_back(home: Path) -> None:
    first = ServerProcess(home, ZEROSTART_ENGINE="fake")
    first.deploy("phoenix", instances=2)
    instances = children_of(first.pid)
    assert len(instances) == 2
    first.kill()
    wait_for(lambda: not any(is_running(pid) for pid in instances), timeout_s=10)
    with ServerProcess(home, ZEROSTART_ENGINE="fake") as second:
        assert second.keys == first.keys
        second.wait_in_service("phoenix")
        assert second.ready_instances("phoenix") == 2
        assert second.invoke("phoenix", json.loads(BODY))["labels"]
        assert len(children_of(second.pid)) == 2
    first.stop()


def test_a_second_server_on_the_same_home_is_refused(server: ServerProcess) -> None:
    with pytest.raises(AssertionError, match=f"Another server \\(process {server.pid}\\) runs on"):
        ServerProcess(server.home, ZEROSTART_ENGINE="fake")


@pytest.mark.slow
def test_sigterm_finishes_requests_in_flight_and_refuses_new_ones(home: Path) -> None:
    server = ServerProcess(home)
    server.deploy("drained")
    instances = children_of(server.pid)
    texts = [f"Text number {n} tells of a long journey through the mountains to the sea." for n in range(300)]
    document = {"inputs": texts, "candidate_labels": ["travel", "cooking", "finance"]}
    finished: list[object] = []
    caller = threading.Thread(target=lambda: finished.append(server.invoke("drained", document)))
    caller.start()
    wait_for(lambda: server.queued_pairs() > 0)
    server.terminate()
    refused = wait_for(lambda: _refusal(server))
    assert refused == (503, "ServiceUnavailable")
    assert not finished, "the request ended before the drain could be seen"
    caller.join(60)
    assert len(finished) == 1
    assert isinstance(finished[0], list)
    assert len(finished[0]) == 300
    assert server.process.wait(60) == 0
    server.stop()
    assert not any(is_running(pid) for pid in instances)


def _refusal(server: ServerProcess) -> tuple[int, str] | None:
    try:
        server.runtime().invoke_endpoint(EndpointName="drained", Body=BODY)
    except ClientError as error:
        return error.response["ResponseMetadata"]["HTTPStatusCode"], error.response["Error"]["Code"]
    return None


def test_a_model_that_cannot_start_fails_its_endpoint_with_the_reason(home: Path) -> None:
    with ServerProcess(home, ZEROSTART_ENGINE="fake", ZEROSTART_PRECISION="fp32") as server:
        broken_artefact(home)
        client = server.sagemaker()
        with pytest.raises(Exception, match="Failed"):
            server.deploy("hopeless", model_id="broken")
        described = client.describe_endpoint(EndpointName="hopeless")
        assert described["EndpointStatus"] == "Failed"
        assert "tokenizer.json was altered" in described["FailureReason"]
        assert children_of(server.pid) == []
