"""Updates of endpoints, other weights and counts, and serverless endpoints, under the load of real clients."""

import threading
from functools import partial
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from tests.load import BODY, Load
from tests.processes import ServerProcess, broken_artefact, children_of, wait_for

QUESTION = {"inputs": "Pack the bags.", "candidate_labels": ["travel", "cooking"]}


def serves(server: ServerProcess, name: str, config: str) -> bool:
    described = server.sagemaker().describe_endpoint(EndpointName=name)
    return described["EndpointStatus"] == "InService" and described.get("EndpointConfigName") == config


def test_an_update_loses_no_request_and_leaves_no_old_instance(server: ServerProcess) -> None:
    server.deploy("site")
    server.create_config("green", variant="Green", instances=2)
    before = set(children_of(server.pid))
    load = Load(server, "site", callers=6)
    wait_for(lambda: len(load.outcomes) > 50)
    server.sagemaker().update_endpoint(EndpointName="site", EndpointConfigName="green")
    assert server.status("site") == "Updating"
    wait_for(lambda: serves(server, "site", "green"))
    wait_for(lambda: not before & set(children_of(server.pid)))
    seen = len(load.outcomes)
    wait_for(lambda: len(load.outcomes) > seen + 50)
    outcomes = load.stop()
    assert {status for status, _ in outcomes} == {200}
    assert load.variants == {"AllTraffic", "Green"}
    assert server.ready_instances("site") == len(children_of(server.pid)) == 2


def test_an_update_that_cannot_start_is_given_up_and_the_endpoint_goes_on(home: Path) -> None:
    with ServerProcess(home, ZEROSTART_ENGINE="fake") as server:
        server.deploy("site")
        server.create_config("bad", model_id=broken_artefact(home))
        load = Load(server, "site", callers=2)
        server.sagemaker().update_endpoint(EndpointName="site", EndpointConfigName="bad")
        wait_for(lambda: server.status("site") == "InService")
        assert {status for status, _ in load.stop()} == {200}
        described = server.sagemaker().describe_endpoint(EndpointName="site")
        assert described["EndpointConfigName"] == "site"
        assert "tokenizer.json was altered" in described["FailureReason"]
        wait_for(lambda: len(children_of(server.pid)) == 1)


def test_an_update_survives_a_kill_of_the_server(home: Path) -> None:
    with ServerProcess(home, ZEROSTART_ENGINE="fake") as server:
        server.deploy("site")
        server.create_config("next", variant="Next")
        server.sagemaker().update_endpoint(EndpointName="site", EndpointConfigName="next")
        server.kill()
    with ServerProcess(home, ZEROSTART_ENGINE="fake") as server:
        wait_for(lambda: serves(server, "site", "next"))
        wait_for(lambda: len(children_of(server.pid)) == 1)
        assert server.invoke("site", QUESTION, TargetVariant="Next")["labels"]


def test_only_an_endpoint_in_service_can_be_updated(server: ServerProcess) -> None:
    server.create_config("site")
    client = server.sagemaker()
    client.create_endpoint(EndpointName="site", EndpointConfigName="site")
    with pytest.raises(ClientError, match=r"Cannot update endpoint .*site\" while it is Creating"):
        client.update_endpoint(EndpointName="site", EndpointConfigName="site")
    with pytest.raises(ClientError, match="Could not find endpoint"):
        client.update_endpoint(EndpointName="nowhere", EndpointConfigName="site")
    server.wait_in_service("site")
    with pytest.raises(ClientError, match="Could not find endpoint configuration"):
        client.update_endpoint(EndpointName="site", EndpointConfigName="nothing")
    assert server.status("site") == "InService"


def test_counts_and_weights_change_without_a_lost_request(server: ServerProcess) -> None:
    server.deploy("site")
    client = server.sagemaker()
    load = Load(server, "site", callers=4)
    for count in (3, 1):
        client.update_endpoint_weights_and_capacities(
            EndpointName="site",
            DesiredWeightsAndCapacities=[
                {"VariantName": "AllTraffic", "DesiredInstanceCount": count, "DesiredWeight": 2.5}
            ],
        )
        wait_for(lambda: server.status("site") == "InService")
        wait_for(partial(lambda n: len(children_of(server.pid)) == n == server.ready_instances("site"), count))
    assert {status for status, _ in load.stop()} == {200}
    (variant,) = client.describe_endpoint(EndpointName="site")["ProductionVariants"]
    assert variant["CurrentWeight"] == 2.5
    with pytest.raises(ClientError, match="Variant Other is not one of endpoint site: AllTraffic"):
        client.update_endpoint_weights_and_capacities(
            EndpointName="site", DesiredWeightsAndCapacities=[{"VariantName": "Other", "DesiredWeight": 1}]
        )
    # An update keeps them where it is asked to, and takes the config's where it is not.
    server.create_config("again")
    client.update_endpoint(EndpointName="site", EndpointConfigName="again", RetainAllVariantProperties=True)
    wait_for(lambda: serves(server, "site", "again"))
    (variant,) = client.describe_endpoint(EndpointName="site")["ProductionVariants"]
    assert variant["DesiredWeight"] == 2.5


def test_a_serverless_endpoint_ends_its_instance_when_idle_and_starts_it_for_a_request(home: Path) -> None:
    with ServerProcess(home, ZEROSTART_ENGINE="fake", ZEROSTART_SERVERLESS_IDLE_S="3") as server:
        server.create_config("now-and-then", MaxConcurrency=5)
        server.sagemaker().create_endpoint(EndpointName="now-and-then", EndpointConfigName="now-and-then")
        server.wait_in_service("now-and-then")
        wait_for(lambda: children_of(server.pid) == [])
        assert server.status("now-and-then") == "InService"
        answers: list[object] = []
        callers = [
            threading.Thread(target=lambda: answers.append(server.invoke("now-and-then", QUESTION)["labels"]))
            for _ in range(4)
        ]
        for each in callers:
            each.start()
        for each in callers:
            each.join()
        assert len(answers) == 4
        assert len(children_of(server.pid)) == 1
        (variant,) = server.sagemaker().describe_endpoint(EndpointName="now-and-then")["ProductionVariants"]
        assert variant["CurrentServerlessConfig"] == {"MemorySizeInMB": 2048, "MaxConcurrency": 5}


def test_more_invocations_than_a_serverless_endpoint_takes_at_once_are_throttled(server: ServerProcess) -> None:
    server.create_config("narrow", MaxConcurrency=1, ProvisionedConcurrency=1)
    server.sagemaker().create_endpoint(EndpointName="narrow", EndpointConfigName="narrow")
    server.wait_in_service("narrow")
    load = Load(server, "narrow", callers=6)
    wait_for(lambda: len({status for status, _ in load.outcomes}) == 2)
    assert {status for status, _ in load.stop()} == {200, 429}
    # boto3's own retries carry a caller through.
    answer = server.runtime(attempts=5).invoke_endpoint(EndpointName="narrow", Body=BODY)
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 200


def test_a_serverless_variant_stands_alone(server: ServerProcess) -> None:
    server.create_config("plain")
    with pytest.raises(ClientError, match="give one ProductionVariant"):
        server.sagemaker().create_endpoint_config(
            EndpointConfigName="two",
            ProductionVariants=[
                {
                    "VariantName": name,
                    "ModelName": "plain",
                    "ServerlessConfig": {"MemorySizeInMB": 2048, "MaxConcurrency": 1},
                }
                for name in ("a", "b")
            ],
        )
