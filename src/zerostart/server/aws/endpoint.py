"""SageMaker's operations on endpoints."""

from collections.abc import Mapping
from typing import Any

from zerostart.metadata.endpoint import Endpoint
from zerostart.server.aws.listing import page_request
from zerostart.server.aws.support import refuse_unsupported, tags_of
from zerostart.services.arn import Arns
from zerostart.services.endpoint import EndpointService, EndpointState


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
        }

    def list_endpoints(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """ListEndpoints."""
        page = self._service.list_endpoints(page_request(asked))
        return {
            "Endpoints": [self._summary(endpoint) for endpoint in page.records],
            "NextToken": page.next_token,
        }

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


def _variants(state: EndpointState) -> list[dict[str, Any]]:
    return [
        {
            "VariantName": variant.name,
            "CurrentWeight": variant.weight,
            "DesiredWeight": variant.weight,
            "CurrentInstanceCount": state.ready_instances.get(variant.name, 0),
            "DesiredInstanceCount": variant.instance_count,
        }
        for variant in state.endpoint.variants
    ]
