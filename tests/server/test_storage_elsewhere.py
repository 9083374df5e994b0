"""A server whose buckets are in another S3 service: here that of a second Zerostart."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.processes import BUILTIN, ROLE, ServerProcess, wait_for

MIB = 1024 * 1024


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with ServerProcess(tmp_path_factory.mktemp("service") / "home", ZEROSTART_ENGINE="fake") as server:
        yield server


def beside(service: ServerProcess, home: Path, **settings: str) -> ServerProcess:
    """A server that keeps its objects in the service; AWS_ENDPOINT_URL of its environment must not matter."""
    credentials = {
        "AWS_ACCESS_KEY_ID": service.keys.access_key_id,
        "AWS_SECRET_ACCESS_KEY": service.keys.secret_access_key,
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
    }
    where = {"ZEROSTART_STORAGE": "s3", "ZEROSTART_STORAGE_ENDPOINT_URL": service.address}
    return ServerProcess(home, ZEROSTART_ENGINE="fake", **where, **credentials, **settings)


def test_the_gateway_passes_through_and_asynchronous_answers_arrive_there(service: ServerProcess, home: Path) -> None:
    with beside(service, home) as server:
        near, far = server.s3(), service.s3()
        near.create_bucket(Bucket="texts")
        content = b"0123456789" * 1_200_000
        near.upload_file(Filename=_file(home, content), Bucket="texts", Key="big")  # in parts, as boto3 does
        assert far.get_object(Bucket="texts", Key="big")["Body"].read() == content
        far.put_object(Bucket="texts", Key="in/a.json", Body=b"x", ContentType="text/plain", Metadata={"a": "b"})
        found = near.get_object(Bucket="texts", Key="in/a.json")
        assert (found["Body"].read(), found["ContentType"], found["Metadata"]) == (b"x", "text/plain", {"a": "b"})
        assert [each["Key"] for each in near.list_objects_v2(Bucket="texts")["Contents"]] == ["big", "in/a.json"]
        listed = near.list_objects_v2(Bucket="texts", Delimiter="/")
        assert [each["Prefix"] for each in listed["CommonPrefixes"]] == ["in/"]
        assert not (home / "buckets").exists()

        client = server.sagemaker()
        container: Any = {"Environment": {"HF_MODEL_ID": BUILTIN}}
        client.create_model(ModelName="m", ExecutionRoleArn=ROLE, PrimaryContainer=container)
        variant: Any = {"VariantName": "v", "ModelName": "m", "InitialInstanceCount": 1, "InstanceType": "ml.m5.large"}
        output: Any = {"OutputConfig": {"S3OutputPath": "s3://texts/out"}}
        client.create_endpoint_config(EndpointConfigName="c", ProductionVariants=[variant], AsyncInferenceConfig=output)
        client.create_endpoint(EndpointName="e", EndpointConfigName="c")
        client.get_waiter("endpoint_in_service").wait(EndpointName="e", WaiterConfig={"Delay": 1})
        question = json.dumps({"inputs": "Pack the bags.", "candidate_labels": ["travel", "cooking"]}).encode()
        far.put_object(Bucket="texts", Key="in/question", Body=question)
        answer = server.runtime().invoke_endpoint_async(
            EndpointName="e", InputLocation="s3://texts/in/question", ContentType="application/json"
        )
        key = answer["OutputLocation"].removeprefix("s3://texts/")
        wait_for(lambda: far.list_objects_v2(Bucket="texts", Prefix=key).get("Contents"))
        assert len(json.loads(far.get_object(Bucket="texts", Key=key)["Body"].read())["labels"]) == 2


def test_the_gateway_can_be_off_and_jumpstart_is_served_all_the_same(service: ServerProcess, home: Path) -> None:
    with beside(service, home, ZEROSTART_S3_GATEWAY="off") as server:
        with pytest.raises(ClientError, match="S3 is off here"):
            server.s3().list_buckets()
        with pytest.raises(ClientError, match="S3 is off here"):
            server.s3().put_object(Bucket="texts", Key="k", Body=b"")
        manifest = server.s3().get_object(Bucket="jumpstart-cache-prod-us-east-1", Key="models_manifest.json")
        assert len(json.loads(manifest["Body"].read())) >= 40


def test_a_storage_that_is_not_there_is_told_and_the_server_goes_on(home: Path) -> None:
    keys = {"AWS_ACCESS_KEY_ID": "AKIAANYTHING", "AWS_SECRET_ACCESS_KEY": "anything", "AWS_MAX_ATTEMPTS": "1"}
    where = {"ZEROSTART_STORAGE": "s3", "ZEROSTART_STORAGE_ENDPOINT_URL": "http://127.0.0.1:9"}
    with ServerProcess(home, ZEROSTART_ENGINE="fake", **where, **keys) as server:
        with pytest.raises(ClientError, match="The storage could not be used") as caught:
            server.s3().list_buckets()
        assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 503
        assert server.sagemaker().list_models()["Models"] == []


def _file(folder: Path, content: bytes) -> str:
    path = folder / "upload"
    path.write_bytes(content)
    return str(path)
