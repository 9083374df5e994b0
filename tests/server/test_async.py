"""Asynchronous endpoints through unmodified boto3."""

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.processes import BUILTIN, ROLE, ServerProcess, wait_for

QUESTION = json.dumps({"inputs": "Pack the bags.", "candidate_labels": ["travel", "cooking"]}).encode()


def deploy(server: ServerProcess, name: str = "later") -> None:
    client = server.sagemaker()
    server.s3().create_bucket(Bucket="bucket")
    client.create_model(
        ModelName=name, ExecutionRoleArn=ROLE, PrimaryContainer={"Environment": {"HF_MODEL_ID": BUILTIN}}
    )
    client.create_endpoint_config(
        EndpointConfigName=name,
        ProductionVariants=[
            {"VariantName": "v", "ModelName": name, "InitialInstanceCount": 1, "InstanceType": "ml.m5.large"}
        ],
        AsyncInferenceConfig={
            "OutputConfig": {"S3OutputPath": "s3://bucket/out", "S3FailurePath": "s3://bucket/failed"},
            "ClientConfig": {"MaxConcurrentInvocationsPerInstance": 4},
        },
    )
    client.create_endpoint(EndpointName=name, EndpointConfigName=name)
    server.wait_in_service(name)


def ask(server: ServerProcess, key: str, content: bytes, name: str = "later") -> Any:
    server.s3().put_object(Bucket="bucket", Key=key, Body=content)
    return server.runtime().invoke_endpoint_async(
        EndpointName=name, InputLocation=f"s3://bucket/{key}", ContentType="application/json", InferenceId="mine"
    )


def stored(server: ServerProcess, uri: str) -> bytes | None:
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    try:
        return bytes(server.s3().get_object(Bucket=bucket, Key=key)["Body"].read())
    except ClientError:
        return None


def test_an_answer_is_stored_where_the_caller_was_told(server: ServerProcess) -> None:
    deploy(server)
    taken = ask(server, "in/1", QUESTION)
    assert (taken["ResponseMetadata"]["HTTPStatusCode"], taken["InferenceId"]) == (202, "mine")
    answer = json.loads(wait_for(lambda: stored(server, taken["OutputLocation"])))
    assert answer == server.invoke("later", json.loads(QUESTION))
    described = server.sagemaker().describe_endpoint(EndpointName="later")
    assert described["AsyncInferenceConfig"]["OutputConfig"]["S3OutputPath"] == "s3://bucket/out"


def test_a_failure_is_stored_with_its_reason(server: ServerProcess) -> None:
    deploy(server)
    refused = ask(server, "in/bad", b'{"inputs": "text"}')
    assert b"candidate_labels" in wait_for(lambda: stored(server, refused["FailureLocation"]))
    missing = server.runtime().invoke_endpoint_async(EndpointName="later", InputLocation="s3://bucket/in/nothing")
    assert b"does not exist" in wait_for(lambda: stored(server, missing["FailureLocation"]))
    assert stored(server, refused["OutputLocation"]) is None


def test_what_was_taken_is_answered_after_a_kill(home: Path) -> None:
    with ServerProcess(home, ZEROSTART_ENGINE="fake") as server:
        deploy(server)
        taken = [ask(server, f"in/{number}", QUESTION) for number in range(30)]
        server.kill()
    with ServerProcess(home, ZEROSTART_ENGINE="fake") as server:
        for each in taken:
            assert wait_for(partial(stored, server, each["OutputLocation"]))
            assert stored(server, each["FailureLocation"]) is None


def test_refusals(server: ServerProcess) -> None:
    server.deploy("plain")
    runtime = server.runtime()
    for name, words in (("plain", "not asynchronous"), ("nowhere", "not found")):
        with pytest.raises(ClientError, match=words) as caught:
            runtime.invoke_endpoint_async(EndpointName=name, InputLocation="s3://bucket/key")
        assert caught.value.response["Error"]["Code"] == "ValidationError"
