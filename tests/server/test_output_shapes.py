"""Every response on the wire, compared with the output that botocore's service models say AWS gives.

Clients drop what they do not know, so this looks at the bytes: no member that AWS has not, none missing that AWS always
sends, every value of its type, every enum value one of AWS's.
"""

import json
from collections.abc import Iterator
from typing import Any
from xml.etree import ElementTree as ET

import boto3
import pytest
from botocore import xform_name
from botocore.model import OperationModel

from tests.processes import BUILTIN, ROLE, ServerProcess, wait_for
from zerostart.server.aws.control_plane import AUTOSCALING_OPERATIONS, LOG_OPERATIONS, OPERATIONS
from zerostart.server.aws.query import OPERATIONS as QUERY_OPERATIONS
from zerostart.server.aws.s3.operations import S3Operations

NUMBERS = {"integer", "long", "float", "double"}
IRREGULAR = {"GetBucketLocation"}  # its root is its one member, as in no other answer
QUESTION = json.dumps({"inputs": "Pack the bags.", "candidate_labels": ["travel", "cooking"]}).encode()


class Recorder:
    """Clients whose every successful response is compared; `seen` are the operations."""

    def __init__(self, server: ServerProcess) -> None:
        self._server = server
        self.seen: set[str] = set()
        self.violations: list[str] = []

    def client(self, service: str) -> Any:
        key = self._server.keys
        session = boto3.session.Session(key.access_key_id, key.secret_access_key, region_name="us-east-1")
        client = session.client(service, endpoint_url=self._server.address)  # type: ignore[call-overload]
        client.meta.events.register("before-parse", self._compare)
        return client

    def _compare(self, operation_model: OperationModel, response_dict: Any, **_: Any) -> None:
        if response_dict["status_code"] < 300:
            self.seen.add(operation_model.name)
            self.violations += _violations(operation_model, response_dict["body"], response_dict["headers"])


def _violations(operation: OperationModel, body: bytes, headers: Any) -> Iterator[str]:
    shape: Any = operation.output_shape
    protocol = operation.service_model.metadata["protocol"]
    if shape is None:
        if protocol == "json" and body not in {b"", b"{}"}:
            yield f"{operation.name} answers nothing, and got {body!r}"
        return
    for name in shape.required_members:
        header = shape.members[name].serialization
        if header.get("location") == "header" and header["name"] not in headers:
            yield f"{operation.name}: header {header['name']} is missing"
    if protocol == "json":
        yield from json_violations(shape, json.loads(body), operation.name)
    elif protocol == "rest-json" and not operation.has_streaming_output:
        shown = {name for name, each in shape.members.items() if "location" not in each.serialization}
        yield from (f"{operation.name}.{name} is not of AWS's" for name in json.loads(body) if name not in shown)
    elif body and not operation.has_streaming_output and operation.name not in IRREGULAR:
        root = ET.fromstring(body)  # noqa: S314 - our own server's
        payload = shape.serialization.get("payload")
        if protocol == "query" and root[0].tag.rpartition("}")[2] != f"{operation.name}Result":
            yield f"{operation.name} has no {operation.name}Result"
        yield from xml_violations(
            shape.members[payload] if payload else shape, root[0] if protocol == "query" else root, operation.name
        )


def json_violations(shape: Any, value: Any, path: str) -> Iterator[str]:
    kind = shape.type_name
    if kind == "structure":
        yield from (f"{path}.{name} is not of AWS's" for name in value if name not in shape.members)
        yield from (f"{path}.{name} is missing" for name in shape.required_members if value.get(name) is None)
        for name, each in value.items():
            if name in shape.members:
                yield from json_violations(shape.members[name], each, f"{path}.{name}")
    elif kind == "list":
        for number, each in enumerate(value):
            yield from json_violations(shape.member, each, f"{path}[{number}]")
    elif kind == "map":
        for name, each in value.items():
            yield from json_violations(shape.value, each, f"{path}[{name}]")
    else:
        fits = {
            "string": isinstance(value, str) and value in (shape.enum or [value]) if kind == "string" else False,
            "boolean": isinstance(value, bool),
            "timestamp": isinstance(value, int | float) and not isinstance(value, bool),
        }.get(kind, isinstance(value, int | float) and not isinstance(value, bool) if kind in NUMBERS else False)
        if not fits:
            yield f"{path} is {value!r}, which is no {kind} of AWS's"


def xml_violations(shape: Any, element: ET.Element, path: str) -> Iterator[str]:
    kind, text = shape.type_name, element.text or ""
    if kind == "structure":
        yield from _xml_structure_violations(shape, element, path)
    elif kind == "list":
        for child in element:
            yield from xml_violations(shape.member, child, f"{path}[]")
    elif (
        (kind == "string" and shape.enum and text not in shape.enum)
        or (kind == "boolean" and text not in {"true", "false"})
        or (kind in NUMBERS and not text.lstrip("-").replace(".", "", 1).isdecimal())
    ):
        yield f"{path} is {text!r}, which is no {kind} of AWS's"


def _xml_structure_violations(shape: Any, element: ET.Element, path: str) -> Iterator[str]:
    members = {each.serialization.get("name", name): each for name, each in shape.members.items()}
    for child in element:
        tag = child.tag.rpartition("}")[2]
        member = members.get(tag)
        if member is None:
            yield f"{path}.{tag} is not of AWS's"
        else:
            flat = member.type_name == "list" and member.serialization.get("flattened")
            yield from xml_violations(member.member if flat else member, child, f"{path}.{tag}")
    there = {child.tag.rpartition("}")[2] for child in element}
    for name in shape.required_members:
        if shape.members[name].serialization.get("name", name) not in there:
            yield f"{path}.{name} is missing"


@pytest.fixture
def recorder(server: ServerProcess) -> Recorder:
    return Recorder(server)


def test_sagemaker_and_logs(server: ServerProcess, recorder: Recorder) -> None:
    client, s3 = recorder.client("sagemaker"), server.s3()
    s3.create_bucket(Bucket="texts")
    s3.put_object(Bucket="texts", Key="in", Body=QUESTION)
    container = {"Image": "1.dkr.ecr/x", "Environment": {"HF_MODEL_ID": BUILTIN}, "Mode": "SingleModel"}
    network = {"SecurityGroupIds": ["sg-1"], "Subnets": ["subnet-1"]}
    tags = [{"Key": "a", "Value": "b"}]
    client.create_model(ModelName="m", ExecutionRoleArn=ROLE, PrimaryContainer=container, VpcConfig=network, Tags=tags)
    variant = {"VariantName": "v", "ModelName": "m", "InitialInstanceCount": 1, "InstanceType": "ml.m5.large"}
    later = {"OutputConfig": {"S3OutputPath": "s3://texts/out"}}
    client.create_endpoint_config(
        EndpointConfigName="plain",
        ProductionVariants=[{**variant, "InitialVariantWeight": 2.0}],
        AsyncInferenceConfig=later,
    )
    serverless = {"MemorySizeInMB": 2048, "MaxConcurrency": 3}
    client.create_endpoint_config(
        EndpointConfigName="serverless",
        ProductionVariants=[{"VariantName": "v", "ModelName": "m", "ServerlessConfig": serverless}],
        Tags=tags,
    )
    arn = client.create_endpoint(EndpointName="e", EndpointConfigName="plain", Tags=tags)["EndpointArn"]
    client.describe_endpoint(EndpointName="e")
    client.get_waiter("endpoint_in_service").wait(EndpointName="e", WaiterConfig={"Delay": 1})
    client.describe_endpoint(EndpointName="e")
    client.update_endpoint_weights_and_capacities(
        EndpointName="e", DesiredWeightsAndCapacities=[{"VariantName": "v", "DesiredInstanceCount": 2}]
    )
    client.get_waiter("endpoint_in_service").wait(EndpointName="e", WaiterConfig={"Delay": 1})
    runtime = recorder.client("sagemaker-runtime")
    runtime.invoke_endpoint(EndpointName="e", Body=QUESTION, ContentType="application/json")
    runtime.invoke_endpoint_async(EndpointName="e", InputLocation="s3://texts/in")
    client.update_endpoint(EndpointName="e", EndpointConfigName="serverless")
    client.describe_endpoint(EndpointName="e")
    client.get_waiter("endpoint_in_service").wait(EndpointName="e", WaiterConfig={"Delay": 1})
    client.describe_endpoint(EndpointName="e")
    for call in (client.list_models, client.list_endpoint_configs, client.list_endpoints):
        assert call()
        assert call(MaxResults=1)
    client.add_tags(ResourceArn=arn, Tags=tags)
    assert client.list_tags(ResourceArn=arn)["Tags"] == tags
    client.delete_tags(ResourceArn=arn, TagKeys=["a"])
    client.describe_model(ModelName="m")
    client.describe_endpoint_config(EndpointConfigName="plain")
    client.describe_endpoint_config(EndpointConfigName="serverless")

    logs = recorder.client("logs")
    group = wait_for(lambda: logs.describe_log_groups()["logGroups"])[0]["logGroupName"]
    stream = logs.describe_log_streams(logGroupName=group)["logStreams"][0]["logStreamName"]
    assert logs.get_log_events(logGroupName=group, logStreamName=stream, startFromHead=True)["events"]
    assert logs.filter_log_events(logGroupName=group)["events"]

    client.delete_endpoint(EndpointName="e")
    client.get_waiter("endpoint_deleted").wait(EndpointName="e", WaiterConfig={"Delay": 1})
    client.delete_endpoint_config(EndpointConfigName="plain")
    client.delete_model(ModelName="m")
    assert recorder.violations == []
    sagemaker = {name for name in OPERATIONS if "Transform" not in name}
    assert recorder.seen == {*sagemaker, *LOG_OPERATIONS, "InvokeEndpoint", "InvokeEndpointAsync"}


def test_application_auto_scaling(server: ServerProcess, recorder: Recorder) -> None:
    server.deploy("e")
    client = recorder.client("application-autoscaling")
    service = {"ServiceNamespace": "sagemaker"}
    named = {
        **service,
        "ResourceId": "endpoint/e/variant/AllTraffic",
        "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
    }
    client.register_scalable_target(**named, MinCapacity=2, MaxCapacity=3)
    metric = {"PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"}
    config = {"TargetValue": 60.0, "PredefinedMetricSpecification": metric, "ScaleInCooldown": 60}
    client.put_scaling_policy(
        **named, PolicyName="p", PolicyType="TargetTrackingScaling", TargetTrackingScalingPolicyConfiguration=config
    )
    assert client.describe_scalable_targets(**service)["ScalableTargets"]
    assert client.describe_scaling_policies(**service)["ScalingPolicies"]
    for ended in (False, True):
        wait_for(
            lambda: [
                each
                for each in client.describe_scaling_activities(**service)["ScalingActivities"]
                if ("EndTime" in each) is ended  # noqa: B023 - called at once
            ]
        )
    client.delete_scaling_policy(**named, PolicyName="p")
    client.deregister_scalable_target(**named)
    assert recorder.violations == []
    assert recorder.seen == set(AUTOSCALING_OPERATIONS)


def test_transform_jobs(server: ServerProcess, recorder: Recorder) -> None:
    client, s3, tags = recorder.client("sagemaker"), server.s3(), [{"Key": "a", "Value": "b"}]
    s3.create_bucket(Bucket="texts")
    s3.put_object(Bucket="texts", Key="in", Body=QUESTION)
    container: Any = {"Environment": {"HF_MODEL_ID": BUILTIN}}
    server.sagemaker().create_model(ModelName="m", ExecutionRoleArn=ROLE, PrimaryContainer=container)
    source = {"DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://texts/in"}}}
    client.create_transform_job(
        TransformJobName="t",
        ModelName="m",
        TransformInput={**source, "ContentType": "application/json", "SplitType": "Line"},
        TransformOutput={"S3OutputPath": "s3://texts/transformed", "AssembleWith": "Line"},
        TransformResources={"InstanceType": "ml.m5.large", "InstanceCount": 1},
        DataProcessing={"JoinSource": "Input"},
        Tags=tags,
    )
    client.describe_transform_job(TransformJobName="t")
    client.stop_transform_job(TransformJobName="t")
    assert client.list_transform_jobs()["TransformJobSummaries"]
    client.get_waiter("transform_job_completed_or_stopped").wait(TransformJobName="t", WaiterConfig={"Delay": 1})
    client.describe_transform_job(TransformJobName="t")
    assert recorder.violations == []
    assert recorder.seen == {name for name in OPERATIONS if "Transform" in name}


def test_sts_and_iam(recorder: Recorder) -> None:
    recorder.client("sts").get_caller_identity()
    iam = recorder.client("iam")
    iam.get_role(RoleName="any")
    iam.get_user()
    iam.get_user(UserName="somebody")
    iam.simulate_principal_policy(PolicySourceArn=ROLE, ActionNames=["s3:GetObject", "sagemaker:CreateModel"])
    assert recorder.violations == []
    assert recorder.seen == {name for names in QUERY_OPERATIONS.values() for name in names}


def test_s3(recorder: Recorder) -> None:
    s3 = recorder.client("s3")
    s3.create_bucket(Bucket="texts")
    s3.head_bucket(Bucket="texts")
    s3.list_buckets()
    s3.get_bucket_location(Bucket="texts")
    s3.get_bucket_encryption(Bucket="texts")
    s3.get_bucket_versioning(Bucket="texts")
    s3.put_bucket_versioning(Bucket="texts", VersioningConfiguration={"Status": "Suspended"})
    for key in ("a", "b/c", "b/d", "e"):
        s3.put_object(Bucket="texts", Key=key, Body=b"content", Metadata={"x": "y"})
    s3.get_object(Bucket="texts", Key="a")["Body"].read()
    s3.head_object(Bucket="texts", Key="a", ChecksumMode="ENABLED")
    s3.copy_object(Bucket="texts", Key="f", CopySource="texts/a")
    s3.get_object_tagging(Bucket="texts", Key="a")
    for options in ({}, {"Delimiter": "/"}, {"MaxKeys": 1}, {"EncodingType": "url", "Prefix": "b"}):
        assert s3.list_objects(Bucket="texts", **options)
        assert s3.list_objects_v2(Bucket="texts", FetchOwner=True, **options)
    upload = s3.create_multipart_upload(Bucket="texts", Key="big")["UploadId"]
    named = {"Bucket": "texts", "Key": "big", "UploadId": upload}
    first = s3.upload_part(**named, PartNumber=1, Body=b"x" * 5_242_880)["ETag"]
    second = s3.upload_part_copy(**named, PartNumber=2, CopySource="texts/a")["CopyPartResult"]["ETag"]
    s3.list_parts(**named)
    s3.list_multipart_uploads(Bucket="texts")
    parts = [{"PartNumber": 1, "ETag": first}, {"PartNumber": 2, "ETag": second}]
    s3.complete_multipart_upload(**named, MultipartUpload={"Parts": parts})
    dropped = s3.create_multipart_upload(Bucket="texts", Key="other")["UploadId"]
    s3.abort_multipart_upload(Bucket="texts", Key="other", UploadId=dropped)
    s3.delete_object(Bucket="texts", Key="a")
    keys = [each["Key"] for each in s3.list_objects_v2(Bucket="texts")["Contents"]]
    s3.delete_objects(Bucket="texts", Delete={"Objects": [{"Key": key} for key in keys]})
    s3.delete_bucket(Bucket="texts")
    assert recorder.violations == []
    methods = {name for name in vars(S3Operations) if not name.startswith("_") and name != "generates"}
    settings = {"get_bucket_setting", "put_bucket_setting"}
    snake = {xform_name(name) for name in recorder.seen}
    assert methods - settings == snake - {"get_bucket_encryption", "get_bucket_versioning", "put_bucket_versioning"}
