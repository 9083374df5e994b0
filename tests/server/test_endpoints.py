"""An endpoint's life through unmodified boto3, with the real engine."""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError

from tests.processes import BUILTIN, ROLE, ServerProcess, wait_for

if TYPE_CHECKING:
    from mypy_boto3_sagemaker.type_defs import ContainerDefinitionTypeDef, TagTypeDef

QUESTION = {"inputs": "One day I will see the world.", "parameters": {"candidate_labels": ["cooking", "travel"]}}


def test_deploy_invoke_and_delete(shared_server: ServerProcess) -> None:
    shared_server.deploy("life")
    described = shared_server.sagemaker().describe_endpoint(EndpointName="life")
    assert described["EndpointStatus"] == "InService"
    assert described["ProductionVariants"][0]["CurrentInstanceCount"] == 1
    assert abs(datetime.now(UTC) - described["CreationTime"]).total_seconds() < 120

    result = shared_server.invoke("life", QUESTION)
    assert result["sequence"] == QUESTION["inputs"]
    assert result["labels"] == ["travel", "cooking"]
    assert result["scores"][0] > 0.8
    assert sum(result["scores"]) == pytest.approx(1)

    shared_server.delete("life")
    with pytest.raises(ClientError) as caught:
        shared_server.sagemaker().describe_endpoint(EndpointName="life")
    assert caught.value.response["Error"]["Code"] == "ValidationException"
    assert "Could not find endpoint" in caught.value.response["Error"]["Message"]


def test_jumpstart_and_hugging_face_request_forms_agree(shared_server: ServerProcess) -> None:
    jumpstart = {"sequences": QUESTION["inputs"], "candidate_labels": ["cooking", "travel"], "multi_class": True}
    hugging_face = {
        "inputs": QUESTION["inputs"],
        "parameters": {"candidate_labels": "cooking,travel", "multi_label": True},
    }
    first, second = (shared_server.invoke("shared", body) for body in (jumpstart, hugging_face))
    assert first["labels"] == second["labels"]
    assert first["scores"] == pytest.approx(second["scores"], abs=1e-4)


def test_json_lines(shared_server: ServerProcess) -> None:
    lines = [QUESTION, {**QUESTION, "inputs": ["Whisk the eggs.", "Pack the bags."]}]
    answer = shared_server.runtime().invoke_endpoint(
        EndpointName="shared",
        Body="\n".join(json.dumps(line) for line in lines),
        ContentType="application/jsonlines",
    )
    assert answer["ContentType"].startswith("application/jsonlines")
    assert answer["InvokedProductionVariant"] == "AllTraffic"
    first, second = (json.loads(line) for line in answer["Body"].read().splitlines())
    assert first["labels"][0] == "travel"
    assert [each["labels"][0] for each in second] == ["cooking", "travel"]


def test_two_endpoints_at_once_answer_alike(shared_server: ServerProcess) -> None:
    shared_server.deploy("second")
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda n: shared_server.invoke(("shared", "second")[n % 2], QUESTION), range(16)))
    shared_server.delete("second")
    assert all(each["labels"] == ["travel", "cooking"] for each in results)


def test_an_endpoint_goes_on_without_its_model_and_config(shared_server: ServerProcess) -> None:
    shared_server.deploy("orphan")
    client = shared_server.sagemaker()
    client.delete_endpoint_config(EndpointConfigName="orphan")
    client.delete_model(ModelName="orphan")
    assert shared_server.invoke("orphan", QUESTION)["labels"][0] == "travel"
    client.delete_endpoint(EndpointName="orphan")
    client.get_waiter("endpoint_deleted").wait(EndpointName="orphan", WaiterConfig={"Delay": 1, "MaxAttempts": 60})


def test_of_identical_concurrent_creates_one_wins(server: ServerProcess) -> None:
    server.deploy("made")

    def create(_: int) -> str:
        try:
            server.sagemaker().create_endpoint(EndpointName="race", EndpointConfigName="made")
        except ClientError as error:
            return f"{error.response['Error']['Code']}: {error.response['Error']['Message']}"
        return "won"

    with ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(create, range(8)))
    assert outcomes.count("won") == 1
    losers = [outcome for outcome in outcomes if outcome != "won"]
    assert all("ValidationException: Cannot create already existing endpoint" in outcome for outcome in losers)


def test_lists_are_filtered_sorted_and_paged(server: ServerProcess) -> None:
    client = server.sagemaker()
    for n in range(5):
        client.create_model(
            ModelName=f"m{n}", ExecutionRoleArn=ROLE, PrimaryContainer={"Environment": {"HF_MODEL_ID": BUILTIN}}
        )
    names = [model["ModelName"] for model in client.list_models()["Models"]]
    assert names == ["m4", "m3", "m2", "m1", "m0"]
    pages = client.get_paginator("list_models").paginate(
        SortBy="Name", SortOrder="Ascending", PaginationConfig={"PageSize": 2}
    )
    assert [[model["ModelName"] for model in page["Models"]] for page in pages] == [["m0", "m1"], ["m2", "m3"], ["m4"]]
    assert [model["ModelName"] for model in client.list_models(NameContains="3")["Models"]] == ["m3"]
    assert client.list_models(CreationTimeBefore=datetime(2020, 1, 1, tzinfo=UTC))["Models"] == []


def test_describe_shows_what_was_asked(server: ServerProcess) -> None:
    client = server.sagemaker()
    container: ContainerDefinitionTypeDef = {
        "Environment": {"HF_MODEL_ID": BUILTIN, "OTHER": "kept"},
        "Image": "x/y:1",
    }
    tags: list[TagTypeDef] = [{"Key": "team", "Value": "search"}]
    arn = client.create_model(ModelName="asked", ExecutionRoleArn=ROLE, PrimaryContainer=container, Tags=tags)[
        "ModelArn"
    ]
    described = client.describe_model(ModelName="asked")
    assert described["PrimaryContainer"] == container
    assert described["ExecutionRoleArn"] == ROLE
    assert described["ModelArn"] == arn
    assert client.list_tags(ResourceArn=arn)["Tags"] == tags


def test_the_jumpstart_tag_names_the_model(server: ServerProcess) -> None:
    tags = [{"Key": "sagemaker-sdk:jumpstart-model-id", "Value": BUILTIN}]
    server.sagemaker().create_model(ModelName="tagged", ExecutionRoleArn=ROLE, Tags=tags, PrimaryContainer={})  # type: ignore[arg-type]
    assert server.sagemaker().describe_model(ModelName="tagged")["ModelName"] == "tagged"


def message_of(error: pytest.ExceptionInfo[ClientError], code: str) -> str:
    assert error.value.response["Error"]["Code"] == code
    return error.value.response["Error"]["Message"]


def test_an_unknown_model_id_is_refused_with_the_way_to_get_it(server: ServerProcess) -> None:
    container = {"Environment": {"HF_MODEL_ID": "facebook/bart-large-mnli"}, "Image": "evil/image:latest"}
    with pytest.raises(ClientError) as caught:
        server.sagemaker().create_model(ModelName="x", ExecutionRoleArn=ROLE, PrimaryContainer=container)  # type: ignore[arg-type]
    message = message_of(caught, "ValidationException")
    assert "'facebook/bart-large-mnli' is not on this machine" in message
    assert "zerostart models add facebook/bart-large-mnli PATH" in message


def test_inputs_are_checked_against_aws_own_model(server: ServerProcess) -> None:
    # boto3 itself checks little: patterns, lengths and enums come from the server.
    client = server.sagemaker()
    with pytest.raises(ClientError) as caught:
        client.create_model(ModelName="under_score", ExecutionRoleArn="x" * 20, PrimaryContainer={})
    message = message_of(caught, "ValidationException")
    assert message.startswith("2 validation errors detected")
    assert "Value 'under_score' at 'modelName' failed to satisfy constraint: Member must satisfy regular" in message
    with pytest.raises(ClientError) as caught:
        client.list_models(SortBy="Colour", MaxResults=1000)  # type: ignore[arg-type]
    message = message_of(caught, "ValidationException")
    assert "Member must satisfy enum value set: [Name, CreationTime]" in message
    assert "Value '1000' at 'maxResults'" in message


def test_what_is_not_supported_is_refused_not_ignored(server: ServerProcess) -> None:
    with pytest.raises(ClientError) as caught:
        server.sagemaker().create_endpoint_config(
            EndpointConfigName="c",
            ProductionVariants=[{"VariantName": "v", "ModelName": "m"}],
            DataCaptureConfig={
                "InitialSamplingPercentage": 1,
                "DestinationS3Uri": "s3://bucket/captured",
                "CaptureOptions": [{"CaptureMode": "Input"}],
            },
        )
    assert "DataCaptureConfig is not supported" in message_of(caught, "ValidationException")


def test_more_instances_than_the_limit_are_refused(home: str) -> None:
    from pathlib import Path

    with ServerProcess(Path(home), ZEROSTART_ENGINE="fake", ZEROSTART_MAX_INSTANCES="2") as server:
        server.deploy("two", instances=2)
        with pytest.raises(ClientError) as caught:
            server.sagemaker().create_endpoint(EndpointName="third", EndpointConfigName="two")
        assert "the limit is 2" in message_of(caught, "ResourceLimitExceeded")
        assert [each["EndpointName"] for each in server.sagemaker().list_endpoints()["Endpoints"]] == ["two"]


def test_invoking_what_is_not_there(shared_server: ServerProcess) -> None:
    with pytest.raises(ClientError) as caught:
        shared_server.invoke("nowhere", QUESTION)
    assert message_of(caught, "ValidationError") == "Endpoint nowhere of account 000000000000 not found."


def test_a_refused_request_is_a_model_error_that_names_the_key(shared_server: ServerProcess) -> None:
    with pytest.raises(ClientError) as caught:
        shared_server.invoke("shared", {"inputs": "a text", "parameters": {"candidate_labels": []}})
    message = message_of(caught, "ModelError")
    assert "Received client error (400) from primary with message" in message
    assert "'parameters.candidate_labels' is empty" in message
    assert caught.value.response["OriginalStatusCode"] == 400  # type: ignore[typeddict-item]
    assert "send at least one label" in caught.value.response["OriginalMessage"]  # type: ignore[typeddict-item]


def test_a_body_over_the_limit_is_refused_at_the_edge(shared_server: ServerProcess) -> None:
    with pytest.raises(ClientError) as caught:
        shared_server.invoke("shared", {"inputs": "x" * 7_000_000, "candidate_labels": ["a"]})
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 413
    assert "max_body_mb" in message_of(caught, "ValidationError")


def test_target_variant_and_weights(server: ServerProcess) -> None:
    client = server.sagemaker()
    client.create_model(
        ModelName="m", ExecutionRoleArn=ROLE, PrimaryContainer={"Environment": {"HF_MODEL_ID": BUILTIN}}
    )
    variants = [
        {
            "VariantName": name,
            "ModelName": "m",
            "InitialInstanceCount": 1,
            "InstanceType": "ml.m5.large",
            "InitialVariantWeight": weight,
        }
        for name, weight in (("blue", 1.0), ("green", 0.0))
    ]
    client.create_endpoint_config(EndpointConfigName="c", ProductionVariants=variants)  # type: ignore[arg-type]
    client.create_endpoint(EndpointName="e", EndpointConfigName="c")
    server.wait_in_service("e")
    body = json.dumps(QUESTION)
    runtime = server.runtime()

    def variant(**asked: str) -> str:
        answer = runtime.invoke_endpoint(EndpointName="e", Body=body, **asked)
        answer["Body"].read()
        return answer["InvokedProductionVariant"]

    assert {variant() for _ in range(10)} == {"blue"}
    assert variant(TargetVariant="green") == "green"
    with pytest.raises(ClientError) as caught:
        runtime.invoke_endpoint(EndpointName="e", Body=body, TargetVariant="red")
    assert "it has blue, green" in message_of(caught, "ValidationError")


def test_what_a_caller_of_an_endpoint_that_left_asked_for_is_dropped(shared_server: ServerProcess) -> None:
    text = "A long text about the sea and the mountains. " * 40
    document = {"inputs": [f"{n} {text}" for n in range(100)], "candidate_labels": [f"label {n}" for n in range(100)]}
    client = shared_server.runtime(timeout_s=2)
    with pytest.raises(ReadTimeoutError):
        client.invoke_endpoint(EndpointName="shared", Body=json.dumps(document), ContentType="application/json")
    wait_for(lambda: shared_server.queued_pairs() == 0, timeout_s=20)
    assert shared_server.invoke("shared", QUESTION)["labels"][0] == "travel"


@pytest.mark.parametrize(
    "asked",
    [
        {"TargetModel": "model.tar.gz"},
        {"TargetContainerHostname": "other"},
        {"EnableExplanations": "true"},
        {"InferenceComponentName": "component"},
        {"SessionId": "NEW_SESSION"},
    ],
    ids=lambda each: next(iter(each)),
)
def test_what_an_invocation_cannot_have_is_refused_by_name(shared_server: ServerProcess, asked: dict[str, str]) -> None:
    with pytest.raises(ClientError, match=f"Parameter {next(iter(asked))} is not supported") as caught:
        shared_server.runtime().invoke_endpoint(EndpointName="shared", Body=b"{}", **asked)
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
