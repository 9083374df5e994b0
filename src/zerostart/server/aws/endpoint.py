"""SageMaker's operations on endpoints."""

from collections.abc import Mapping
from typing import Any

from zerostart.metadata.endpoint import DeployedVariant, Endpoint
from zerostart.server.aws.listing import page_request
from zerostart.server.aws.support import refuse_unsupported, tags_of
from zerostart.services.arn import Arns
from zerostart.services.endpoint import DesiredCapacity, EndpointService, EndpointState

# DataCaptureConfig can be retained or not: there is none.
_RETAINED = {"DesiredInstanceCount": "instance_count", "DesiredWeight": "weight"}


class EndpointOperations:
    """One method an operation: CreateEndpoint is create_endpoint."""

    def __init__(self, service: EndpointService, arns: Arns) -> None:
        self._service = service
        self._arns = arns

    def create_endpoint(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """CreateEndpoint."""
        refuse_unsupported(asked, ("DeploymentConfig",))
        arn = self._service.create_endpoint(asked["EndpointName"], asked["EndpointConfigName"], tags_of(asked))
        return {"EndpointArn": arn}

    def describe_endpoint(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """DescribeEndpoint; CurrentInstanceCount is how many instances take invocations now."""
        state = self._service.describe_endpoint(asked["EndpointName"])
        return {
            **self._summary(state.endpoint),
            "EndpointConfigName": state.endpoint.config_name,
            "FailureReason": state.endpoint.failure_reason,
            "ProductionVariants": _variants(state),
            "AsyncInferenceConfig": _asynchronous(state.endpoint),
        }

    def list_endpoints(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """ListEndpoints."""
        page = self._service.list_endpoints(page_request(asked))
        return {
            "Endpoints": [self._summary(endpoint) for endpoint in page.records],
            "NextToken": page.next_token,
        }

    def update_endpoint(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """UpdateEndpoint, all at once: the new instances are brought up, then take over, then the old ones drain."""
        refuse_unsupported(asked, ("DeploymentConfig", "RetainDeploymentConfig"))
        excluded = {each["VariantPropertyType"] for each in asked.get("ExcludeRetainedVariantProperties") or ()}
        retained = {field for key, field in _RETAINED.items() if key not in excluded}
        arn = self._service.update_endpoint(
            asked["EndpointName"],
            asked["EndpointConfigName"],
            retained if asked.get("RetainAllVariantProperties") else (),
        )
        return {"EndpointArn": arn}

    def update_endpoint_weights_and_capacities(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """UpdateEndpointWeightsAndCapacities."""
        desired = [_desired(each) for each in asked["DesiredWeightsAndCapacities"]]
        return {"EndpointArn": self._service.change_capacities(asked["EndpointName"], desired)}

    def delete_endpoint(self, asked: Mapping[str, Any]) -> None:
        """DeleteEndpoint."""
        self._service.delete_endpoint(asked["EndpointName"])

    def _summary(self, endpoint: Endpoint) -> dict[str, Any]:
        return {
            "EndpointName": endpoint.name,
            "EndpointArn": self._arns.of("endpoint", endpoint.name),
            "CreationTime": endpoint.created_at,
            "LastModifiedTime": endpoint.modified_at,
            "EndpointStatus": endpoint.status.value,
        }


def _desired(asked: Mapping[str, Any]) -> DesiredCapacity:
    serverless = asked.get("ServerlessUpdateConfig") or {}
    return DesiredCapacity(
        variant=asked["VariantName"],
        weight=asked.get("DesiredWeight"),
        instance_count=asked.get("DesiredInstanceCount"),
        max_concurrency=serverless.get("MaxConcurrency"),
        provisioned_concurrency=serverless.get("ProvisionedConcurrency"),
    )


def _variants(state: EndpointState) -> list[dict[str, Any]]:
    return [_variant(variant, state.ready_instances.get(variant.name, 0)) for variant in state.endpoint.variants]


def _variant(variant: DeployedVariant, ready: int) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "VariantName": variant.name,
        "CurrentWeight": variant.weight,
        "DesiredWeight": variant.weight,
    }
    if variant.serverless is None:
        return shown | {"CurrentInstanceCount": ready, "DesiredInstanceCount": variant.instance_count}
    serverless = {
        "MemorySizeInMB": variant.serverless.memory_mb,
        "MaxConcurrency": variant.serverless.max_concurrency,
        "ProvisionedConcurrency": variant.serverless.provisioned_concurrency,
    }
    return shown | {"CurrentServerlessConfig": serverless, "DesiredServerlessConfig": serverless}


def _asynchronous(endpoint: Endpoint) -> dict[str, Any] | None:
    if endpoint.asynchronous is None:
        return None
    return {
        "OutputConfig": {
            "S3OutputPath": endpoint.asynchronous.output_uri,
            "S3FailurePath": endpoint.asynchronous.failure_uri,
            "KmsKeyId": endpoint.asynchronous.kms_key_id,
        }
    }
