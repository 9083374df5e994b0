"""Application Auto Scaling through unmodified boto3: its operations, and real load that has instances come and go."""

import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.load import Load
from tests.processes import ServerProcess, children_of, clean_environment, wait_for
from zerostart.credentials import Role, create_access_key
from zerostart.services.access_key import client_variables
from zerostart.settings import ServerAddress

QUESTION = {"inputs": "Pack the bags.", "candidate_labels": ["travel", "cooking"]}
DIMENSION = "sagemaker:variant:DesiredInstanceCount"
METRIC = "SageMakerVariantInvocationsPerInstance"


def named(endpoint: str, variant: str = "AllTraffic") -> dict[str, str]:
    return {
        "ServiceNamespace": "sagemaker",
        "ResourceId": f"endpoint/{endpoint}/variant/{variant}",
        "ScalableDimension": DIMENSION,
    }


def tracking(value: float, **options: Any) -> dict[str, Any]:
    return {"TargetValue": value, "PredefinedMetricSpecification": {"PredefinedMetricType": METRIC}, **options}


def client_of(server: ServerProcess) -> Any:
    return server.client("application-autoscaling", server.keys)


def scale(server: ServerProcess, endpoint: str, low: int, high: int, config: dict[str, Any] | None = None) -> None:
    client_of(server).register_scalable_target(**named(endpoint), MinCapacity=low, MaxCapacity=high)
    if config:
        client_of(server).put_scaling_policy(
            **named(endpoint),
            PolicyName="by-load",
            PolicyType="TargetTrackingScaling",
            TargetTrackingScalingPolicyConfiguration=config,
        )


def activities(server: ServerProcess, endpoint: str) -> list[dict[str, Any]]:
    """Oldest first."""
    found = client_of(server).describe_scaling_activities(
        ServiceNamespace="sagemaker", ResourceId=named(endpoint)["ResourceId"]
    )
    return list(reversed(found["ScalingActivities"]))


def counts(server: ServerProcess, endpoint: str) -> tuple[int, int]:
    """Current and desired."""
    (variant,) = server.sagemaker().describe_endpoint(EndpointName=endpoint)["ProductionVariants"]
    return variant["CurrentInstanceCount"], variant["DesiredInstanceCount"]


def refused(call: Callable[[], object]) -> tuple[str, str]:
    with pytest.raises(ClientError) as caught:
        call()
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    home = tmp_path_factory.mktemp("autoscaling") / "home"
    with ServerProcess(home, ZEROSTART_ENGINE="fake", ZEROSTART_MAX_INSTANCES="6") as process:
        process.deploy("site")
        yield process


@pytest.fixture
def client(server: ServerProcess) -> Iterator[Any]:
    """Leaves no target behind."""
    client = client_of(server)
    yield client
    for target in client.describe_scalable_targets(ServiceNamespace="sagemaker")["ScalableTargets"]:
        keys = ("ServiceNamespace", "ResourceId", "ScalableDimension")
        client.deregister_scalable_target(**{key: target[key] for key in keys})


def test_a_target_is_registered_changed_described_and_deregistered(server: ServerProcess, client: Any) -> None:
    arn = client.register_scalable_target(**named("site"), MinCapacity=0, MaxCapacity=3)["ScalableTargetARN"]
    again = client.register_scalable_target(
        **named("site"),
        MaxCapacity=4,
        RoleARN="arn:aws:iam::000000000000:role/mine",
        SuspendedState={"DynamicScalingInSuspended": True},
    )
    assert again["ScalableTargetARN"] == arn
    client.register_scalable_target(**named("site"), SuspendedState={"DynamicScalingOutSuspended": True})
    (target,) = client.describe_scalable_targets(
        ServiceNamespace="sagemaker", ResourceIds=["endpoint/site/variant/AllTraffic", "endpoint/no/variant/No"]
    )["ScalableTargets"]
    assert (target["MinCapacity"], target["MaxCapacity"]) == (0, 4)
    assert target["RoleARN"].endswith("role/mine")
    assert target["SuspendedState"] == {
        "DynamicScalingInSuspended": True,
        "DynamicScalingOutSuspended": True,
        "ScheduledScalingSuspended": False,
    }
    assert target["ScalableTargetARN"] == arn
    client.deregister_scalable_target(**named("site"))
    assert client.describe_scalable_targets(ServiceNamespace="sagemaker")["ScalableTargets"] == []
    code, message = refused(lambda: client.deregister_scalable_target(**named("site")))
    assert code == "ObjectNotFoundException"
    assert "No scalable target found for service namespace: sagemaker, resource ID: endpoint/site/" in message


def test_a_policy_is_put_changed_described_and_deleted(server: ServerProcess, client: Any) -> None:
    put = {**named("site"), "PolicyName": "by load ✓", "PolicyType": "TargetTrackingScaling"}
    code, message = refused(
        lambda: client.put_scaling_policy(**put, TargetTrackingScalingPolicyConfiguration=tracking(60.0))
    )
    assert (code, "call RegisterScalableTarget first" in message) == ("ObjectNotFoundException", True)
    client.register_scalable_target(**named("site"), MinCapacity=1, MaxCapacity=2)
    first = client.put_scaling_policy(**put, TargetTrackingScalingPolicyConfiguration=tracking(60.0))
    config = tracking(600.5, ScaleInCooldown=60, DisableScaleIn=True)
    again = client.put_scaling_policy(**put, TargetTrackingScalingPolicyConfiguration=config)
    assert first["PolicyARN"] == again["PolicyARN"]
    (policy,) = client.describe_scaling_policies(ServiceNamespace="sagemaker", PolicyNames=["by load ✓"])[
        "ScalingPolicies"
    ]
    assert policy["TargetTrackingScalingPolicyConfiguration"] == config
    assert policy["PolicyARN"] == first["PolicyARN"]
    assert client.describe_scaling_policies(**named("site"), PolicyNames=["other"])["ScalingPolicies"] == []
    code, message = refused(
        lambda: client.put_scaling_policy(
            **{**put, "PolicyName": "second"}, TargetTrackingScalingPolicyConfiguration=tracking(60.0)
        )
    )
    assert (code, "Only one TargetTrackingScaling policy" in message) == ("ValidationException", True)
    client.delete_scaling_policy(**named("site"), PolicyName="by load ✓")
    code, _ = refused(lambda: client.delete_scaling_policy(**named("site"), PolicyName="by load ✓"))
    assert code == "ObjectNotFoundException"
    client.put_scaling_policy(**put, TargetTrackingScalingPolicyConfiguration=tracking(60.0))
    client.deregister_scalable_target(**named("site"))
    assert client.describe_scaling_policies(ServiceNamespace="sagemaker")["ScalingPolicies"] == []


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"ServiceNamespace": "ecs"}, "ServiceNamespace ecs is not supported by Zerostart: it is sagemaker"),
        (
            {"ScalableDimension": "sagemaker:variant:DesiredProvisionedConcurrency"},
            f"is not supported by Zerostart: it is {DIMENSION}",
        ),
        ({"ResourceId": "site"}, "write endpoint/NAME/variant/NAME"),
        ({"ResourceId": "endpoint/nowhere/variant/A"}, "there is no endpoint nowhere"),
        ({"ResourceId": "endpoint/site/variant/A"}, "endpoint site has no such variant, but AllTraffic"),
        ({"MinCapacity": None}, "give MinCapacity and MaxCapacity"),
        ({"MinCapacity": 3}, "MinCapacity 3 and MaxCapacity 2 are no bounds"),
        ({"MinCapacity": -1}, "MinCapacity -1 and MaxCapacity 2 are no bounds"),
        ({"MinCapacity": 0, "MaxCapacity": 0}, "MaxCapacity 1 or more"),
        ({"Tags": {"a": "b"}}, "Parameter Tags is not supported by Zerostart"),
    ],
)
def test_what_cannot_be_scaled_is_refused(client: Any, changed: dict[str, Any], said: str) -> None:
    asked = {**named("site"), "MinCapacity": 1, "MaxCapacity": 2, **changed}
    code, message = refused(
        lambda: client.register_scalable_target(**{key: value for key, value in asked.items() if value is not None})
    )
    assert code == "ValidationException"
    assert said in message


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (
            {"PolicyType": "StepScaling", "StepScalingPolicyConfiguration": {"AdjustmentType": "ExactCapacity"}},
            "PolicyType StepScaling is not supported by Zerostart: it is TargetTrackingScaling",
        ),
        ({"TargetTrackingScalingPolicyConfiguration": None}, "Give a TargetTrackingScalingPolicyConfiguration"),
        (
            {
                "TargetTrackingScalingPolicyConfiguration": {
                    "TargetValue": 1.0,
                    "CustomizedMetricSpecification": {"MetricName": "m", "Namespace": "n", "Statistic": "Average"},
                }
            },
            f"CustomizedMetricSpecification is not supported by Zerostart: give a .* of {METRIC}",
        ),
        (
            {
                "TargetTrackingScalingPolicyConfiguration": {
                    "TargetValue": 1.0,
                    "PredefinedMetricSpecification": {"PredefinedMetricType": "ECSServiceAverageCPUUtilization"},
                }
            },
            f"PredefinedMetricType is ECSServiceAverageCPUUtilization, and Zerostart supports {METRIC} alone",
        ),
        ({"TargetTrackingScalingPolicyConfiguration": tracking(0.0)}, "TargetValue is 0: give how many invocations"),
        (
            {"TargetTrackingScalingPolicyConfiguration": tracking(1.0, ScaleInCooldown=-1)},
            "ScaleInCooldown is -1: give seconds",
        ),
    ],
)
def test_policies_of_other_kinds_are_refused(client: Any, changed: dict[str, Any], said: str) -> None:
    client.register_scalable_target(**named("site"), MinCapacity=1, MaxCapacity=2)
    asked = {
        **named("site"),
        "PolicyName": "p",
        "PolicyType": "TargetTrackingScaling",
        "TargetTrackingScalingPolicyConfiguration": tracking(1.0),
        **changed,
    }
    code, message = refused(
        lambda: client.put_scaling_policy(**{key: value for key, value in asked.items() if value is not None})
    )
    assert code == "ValidationException"
    assert re.search(said, message)


def test_other_operations_are_refused_and_limits_are_named(client: Any) -> None:
    code, message = refused(
        lambda: client.put_scheduled_action(**named("site"), ScheduledActionName="n", Schedule="rate(1 hour)")
    )
    assert code == "UnknownOperationException"
    assert "It has: RegisterScalableTarget, DescribeScalableTargets" in message
    code, message = refused(lambda: client.register_scalable_target(**named("site"), MinCapacity=7, MaxCapacity=9))
    assert (code, "the 6 instances that may run" in message) == ("LimitExceededException", True)
    for call in (
        client.describe_scalable_targets,
        client.describe_scaling_policies,
        client.describe_scaling_activities,
    ):
        assert refused(lambda call=call: call(ServiceNamespace="sagemaker", NextToken="x"))[0] == (  # type: ignore[misc]
            "InvalidNextTokenException"
        )
        code, message = refused(lambda call=call: call(ServiceNamespace="sagemaker", MaxResults=51))  # type: ignore[misc]
        assert (code, message) == ("ValidationException", "MaxResults is 51: give 1 to 50.")


def test_serverless_variants_are_refused(server: ServerProcess, client: Any) -> None:
    server.create_config("less", MaxConcurrency=1)
    server.sagemaker().create_endpoint(EndpointName="less", EndpointConfigName="less")
    code, message = refused(lambda: client.register_scalable_target(**named("less"), MinCapacity=1, MaxCapacity=2))
    assert (code, "the variant is serverless" in message) == ("ValidationException", True)
    server.wait_in_service("less")
    server.delete("less")


def test_keys_of_role_deploy_scale_and_keys_of_role_invoke_do_not(server: ServerProcess, client: Any) -> None:
    path = server.home / "access-keys.json"
    may = server.client("application-autoscaling", create_access_key(path, "scaler", Role.DEPLOY, ()))
    may_not = server.client("application-autoscaling", create_access_key(path, "caller", Role.INVOKE, ("site",)))
    may.register_scalable_target(**named("site"), MinCapacity=1, MaxCapacity=2)
    code, message = refused(lambda: may_not.describe_scalable_targets(ServiceNamespace="sagemaker"))
    assert code == "AccessDeniedException"
    assert "is not authorized to perform: application-autoscaling:DescribeScalableTargets" in message


def test_bounds_and_the_limit_of_instances_act_at_once(server: ServerProcess, client: Any) -> None:
    scale(server, "site", 2, 3)
    assert wait_for(lambda: server.status("site") == "Updating", every_s=0.01)
    wait_for(lambda: counts(server, "site") == (2, 2) and server.status("site") == "InService")
    (activity,) = wait_for(lambda: [each for each in activities(server, "site") if each["StatusCode"] == "Successful"])
    assert activity["Description"] == "Setting desired instance count to 2."
    assert activity["Cause"] == "minimum capacity was set to 2"
    assert activity["EndTime"] >= activity["StartTime"]
    scale(server, "site", 0, 1)
    wait_for(lambda: counts(server, "site") == (1, 1))
    server.deploy("other", instances=3)
    scale(server, "site", 5, 5)  # 3 of the 6 that may run
    failed = wait_for(lambda: [each for each in activities(server, "site") if each["StatusCode"] == "Failed"])
    wait_for(lambda: counts(server, "site") == (3, 3))
    assert "max_instances allows 6 instances of all endpoints together" in failed[0]["StatusMessage"]
    assert "instead of 5 it has 3" in failed[0]["StatusMessage"]
    time.sleep(2.5)  # looked at again, and not said again
    assert len([each for each in activities(server, "site") if each["StatusCode"] == "Failed"]) == 1
    server.delete("other")
    wait_for(lambda: counts(server, "site") == (5, 5))
    scale(server, "site", 1, 1)
    wait_for(lambda: counts(server, "site") == (1, 1))
    wait_for(lambda: {each["StatusCode"] for each in activities(server, "site")} == {"Successful", "Failed"})


def test_lists_come_in_pages_and_an_update_keeps_the_targets_of_variants_that_stay(
    server: ServerProcess, client: Any
) -> None:
    server.create_config("blue", variant="Blue")
    model = {"ModelName": "blue", "InitialInstanceCount": 1, "InstanceType": "ml.m5.large"}
    three: Any = [{"VariantName": name, **model} for name in ("A", "B", "C")]
    two: Any = [{"VariantName": name, **model} for name in ("A", "D")]
    server.sagemaker().create_endpoint_config(EndpointConfigName="three", ProductionVariants=three)
    server.sagemaker().create_endpoint(EndpointName="three", EndpointConfigName="three")
    for name in ("A", "B", "C"):
        client.register_scalable_target(**named("three", name), MinCapacity=1, MaxCapacity=2)
        config = tracking(1.0)
        put = {"PolicyName": "p", "PolicyType": "TargetTrackingScaling"}
        client.put_scaling_policy(**named("three", name), **put, TargetTrackingScalingPolicyConfiguration=config)
    for operation, key in (
        ("describe_scalable_targets", "ScalableTargets"),
        ("describe_scaling_policies", "ScalingPolicies"),
    ):
        pages = client.get_paginator(operation).paginate(ServiceNamespace="sagemaker", PaginationConfig={"PageSize": 2})
        sizes, names = zip(
            *((len(page[key]), [each["ResourceId"] for each in page[key]]) for page in pages), strict=True
        )
        assert sizes == (2, 1)
        assert {each[-1] for page in names for each in page} == {"A", "B", "C"}
    server.wait_in_service("three")

    # an update keeps the targets of variants that stay, and removes the others
    server.sagemaker().create_endpoint_config(EndpointConfigName="two", ProductionVariants=two)
    server.sagemaker().update_endpoint(EndpointName="three", EndpointConfigName="two")
    server.wait_in_service("three")
    for found in (
        client.describe_scalable_targets(ServiceNamespace="sagemaker")["ScalableTargets"],
        client.describe_scaling_policies(ServiceNamespace="sagemaker")["ScalingPolicies"],
    ):
        assert [each["ResourceId"] for each in found] == ["endpoint/three/variant/A"]

    # a scaled variant can be given another count, within its bounds for as long as the load has no other wish
    server.sagemaker().update_endpoint_weights_and_capacities(
        EndpointName="three", DesiredWeightsAndCapacities=[{"VariantName": "A", "DesiredInstanceCount": 2}]
    )
    server.wait_in_service("three")
    time.sleep(1.5)
    assert server.ready_instances("three") == 3
    for name in ("three", "two"):
        server.sagemaker().delete_endpoint_config(EndpointConfigName=name)
    server.sagemaker().delete_endpoint(EndpointName="three")
    server.sagemaker().get_waiter("endpoint_deleted").wait(EndpointName="three", WaiterConfig={"Delay": 1})
    server.sagemaker().delete_endpoint_config(EndpointConfigName="blue")
    server.sagemaker().delete_model(ModelName="blue")
    assert client.describe_scalable_targets(ServiceNamespace="sagemaker")["ScalableTargets"] == []


def test_the_documents_example_runs(server: ServerProcess, client: Any) -> None:
    page = Path("docs/endpoints.md").read_text("utf-8")
    (code,) = [
        each for each in re.findall(r"```python\n(.*?)```", page, re.DOTALL) if "application-autoscaling" in each
    ]
    server.deploy("first")
    variables = client_variables(server.keys, ServerAddress(server.address), "us-east-1")
    environment = clean_environment(server.home) | variables
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (policy,) = client.describe_scaling_policies(ServiceNamespace="sagemaker")["ScalingPolicies"]
    assert policy["TargetTrackingScalingPolicyConfiguration"]["ScaleOutCooldown"] == 60
    server.delete("first")


@pytest.mark.slow
def test_load_scales_out_and_its_end_scales_in_without_a_lost_request(home: Path) -> None:
    with ServerProcess(home, ZEROSTART_ENGINE="fake") as server:
        server.deploy("busy")
        server.deploy("held")
        scale(server, "busy", 1, 2, tracking(60.0, ScaleInCooldown=1, ScaleOutCooldown=1))
        scale(server, "held", 1, 2, tracking(60.0, ScaleInCooldown=1, ScaleOutCooldown=1))
        client_of(server).register_scalable_target(**named("held"), SuspendedState={"DynamicScalingOutSuspended": True})
        loads = [Load(server, name, callers=1, pause_s=0.05) for name in ("busy", "held")]
        wait_for(lambda: counts(server, "busy") == (2, 2) and server.status("busy") == "InService", 60)
        assert counts(server, "held") == (1, 1)
        assert {status for load in loads for status, _ in load.stop()} == {200}
        server.invoke("busy", QUESTION)
        wait_for(lambda: counts(server, "busy") == (1, 1) and server.status("busy") == "InService")
        wait_for(lambda: [each["StatusCode"] for each in activities(server, "busy")] == ["Successful"] * 2)
        out, into = activities(server, "busy")
        assert [out["Description"], into["Description"]] == [
            "Setting desired instance count to 2.",
            "Setting desired instance count to 1.",
        ]
        assert "policy by-load: " in out["Cause"]
        assert "on 1 instance; TargetValue is 60" in out["Cause"]
        assert activities(server, "held") == []


def test_a_minimum_of_0_sleeps_and_wakes_and_outlives_the_server_and_goes_with_the_endpoint(home: Path) -> None:
    with ServerProcess(home, ZEROSTART_ENGINE="fake") as server:
        server.deploy("rare", instances=2)
        server.deploy("kept")
        scale(server, "rare", 0, 2, tracking(60.0, ScaleInCooldown=2))
        scale(server, "kept", 1, 2, tracking(60.0, ScaleInCooldown=2))
        wait_for(lambda: len(children_of(server.pid)) == 1)
        assert counts(server, "rare") == (0, 1)
        answers: list[Any] = []
        callers = [threading.Thread(target=lambda: answers.append(server.invoke("rare", QUESTION))) for _ in range(20)]
        for each in callers:
            each.start()
        for each in callers:
            each.join(60)
        assert len(answers) == 20
        assert counts(server, "rare")[0] == 1
        wait_for(lambda: [each["StatusCode"] for each in activities(server, "rare")][-2:] == ["Successful"] * 2)
        asleep, awake = activities(server, "rare")[-2:]
        assert asleep["Description"] == "Setting desired instance count to 0."
        assert (awake["Description"], awake["Cause"]) == ("Setting desired instance count to 1.", "It was called.")
        server.kill()
    with ServerProcess(home, ZEROSTART_ENGINE="fake") as server:
        found = client_of(server).describe_scalable_targets(ServiceNamespace="sagemaker")["ScalableTargets"]
        assert {each["ResourceId"] for each in found} == {named(name)["ResourceId"] for name in ("rare", "kept")}
        wait_for(lambda: counts(server, "rare")[0] == 0 and counts(server, "kept") == (1, 1))
        assert server.invoke("rare", QUESTION)["labels"]
        for name in ("rare", "kept"):
            server.delete(name)
        client = client_of(server)
        assert client.describe_scalable_targets(ServiceNamespace="sagemaker")["ScalableTargets"] == []
        assert client.describe_scaling_policies(ServiceNamespace="sagemaker")["ScalingPolicies"] == []
        assert client.describe_scaling_activities(ServiceNamespace="sagemaker")["ScalingActivities"] == []
