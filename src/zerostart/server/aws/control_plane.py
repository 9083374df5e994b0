"""POST / with X-Amz-Target: SageMaker's control plane in AWS's JSON 1.1 protocol."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from botocore import xform_name
from starlette.responses import Response

from zerostart.errors import InvalidInput
from zerostart.server.aws.endpoint import EndpointOperations
from zerostart.server.aws.endpoint_config import EndpointConfigOperations
from zerostart.server.aws.errors import coded_response
from zerostart.server.aws.model import ModelOperations
from zerostart.server.aws.service_model import check_input, service_model, shape_output
from zerostart.server.aws.tag import TagOperations
from zerostart.services.arn import Arns
from zerostart.services.endpoint import EndpointService
from zerostart.services.endpoint_config import EndpointConfigService
from zerostart.services.model import ModelService
from zerostart.services.tag import TagService

OPERATIONS = (
    *("CreateModel", "DescribeModel", "ListModels", "DeleteModel"),
    *("CreateEndpointConfig", "DescribeEndpointConfig", "ListEndpointConfigs", "DeleteEndpointConfig"),
    *("CreateEndpoint", "DescribeEndpoint", "ListEndpoints", "DeleteEndpoint"),
    *("UpdateEndpoint", "UpdateEndpointWeightsAndCapacities"),
    *("ListTags", "AddTags", "DeleteTags"),
)
Handler = Callable[[Mapping[str, Any]], dict[str, Any] | None]


class ControlPlane:
    """Dispatches operations by name: CreateEndpoint is the method create_endpoint of the endpoint operations."""

    def __init__(
        self,
        models: ModelService,
        endpoint_configs: EndpointConfigService,
        endpoints: EndpointService,
        tags: TagService,
        arns: Arns,
    ) -> None:
        groups = (
            ModelOperations(models, arns),
            EndpointConfigOperations(endpoint_configs, arns),
            EndpointOperations(endpoints, arns),
            TagOperations(tags),
        )
        self._handlers: dict[str, Handler] = {}
        for name in OPERATIONS:
            method = xform_name(name)
            self._handlers[name] = next(getattr(group, method) for group in groups if hasattr(group, method))

    def answer(self, target: str, body: bytes, request_id: str) -> Response:
        """The answer to one operation. Raises what the service raises."""
        service, _, name = target.partition(".")
        handler = self._handlers.get(name) if service == "SageMaker" else None
        if handler is None:
            known = ", ".join(OPERATIONS)
            message = f"Operation {target!r} is not supported by Zerostart. It has: {known}."
            return coded_response("UnknownOperationException", 400, {"message": message}, request_id)
        operation = service_model("sagemaker").operation_model(name)
        result = handler(check_input(operation, _document(body)))
        content = b"" if operation.output_shape is None else json.dumps(shape_output(operation, result or {})).encode()
        return Response(content, headers={"x-amzn-RequestId": request_id}, media_type="application/x-amz-json-1.1")


def _document(body: bytes) -> Any:
    try:
        return json.loads(body or b"{}")
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"The body is not valid JSON: {error}") from error
