"""POST / with X-Amz-Target: AWS's JSON 1.1 protocol.

It is that of SageMaker's control plane, of Application Auto Scaling, and of CloudWatch Logs.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from botocore import xform_name
from starlette.responses import Response

from zerostart.credentials import AccessKey
from zerostart.errors import InvalidInput, shortened
from zerostart.server.aws.autoscaling import AutoscalingOperations
from zerostart.server.aws.endpoint import EndpointOperations
from zerostart.server.aws.endpoint_config import EndpointConfigOperations
from zerostart.server.aws.errors import coded_response
from zerostart.server.aws.logs import LogOperations
from zerostart.server.aws.model import ModelOperations
from zerostart.server.aws.service_model import check_input, service_model, shape_output
from zerostart.server.aws.tag import TagOperations
from zerostart.server.aws.transform_job import TransformJobOperations
from zerostart.services.arn import Arns
from zerostart.services.authorisation import authorise, operation_resource
from zerostart.services.autoscaling import AutoscalingService
from zerostart.services.endpoint import EndpointService
from zerostart.services.endpoint_config import EndpointConfigService
from zerostart.services.logs import LogService
from zerostart.services.model import ModelService
from zerostart.services.tag import TagService
from zerostart.services.transform_job import TransformJobService

OPERATIONS = (
    *("CreateModel", "DescribeModel", "ListModels", "DeleteModel"),
    *("CreateEndpointConfig", "DescribeEndpointConfig", "ListEndpointConfigs", "DeleteEndpointConfig"),
    *("CreateEndpoint", "DescribeEndpoint", "ListEndpoints", "DeleteEndpoint"),
    *("UpdateEndpoint", "UpdateEndpointWeightsAndCapacities"),
    *("CreateTransformJob", "DescribeTransformJob", "ListTransformJobs", "StopTransformJob"),
    *("ListTags", "AddTags", "DeleteTags"),
)
LOGS_TARGET = "Logs_20140328"
LOG_OPERATIONS = ("DescribeLogGroups", "DescribeLogStreams", "GetLogEvents", "FilterLogEvents")
AUTOSCALING_TARGET = "AnyScaleFrontendService"
AUTOSCALING_OPERATIONS = (
    *("RegisterScalableTarget", "DescribeScalableTargets", "DeregisterScalableTarget"),
    *("PutScalingPolicy", "DescribeScalingPolicies", "DeleteScalingPolicy", "DescribeScalingActivities"),
)
Handler = Callable[[Mapping[str, Any]], dict[str, Any] | None]


class ControlPlane:
    """Dispatches operations by name: CreateEndpoint is the method create_endpoint of the endpoint operations."""

    def __init__(
        self,
        models: ModelService,
        endpoint_configs: EndpointConfigService,
        endpoints: EndpointService,
        autoscaling: AutoscalingService,
        transform_jobs: TransformJobService,
        tags: TagService,
        logs: LogService,
        arns: Arns,
    ) -> None:
        groups = (
            ModelOperations(models, arns),
            EndpointConfigOperations(endpoint_configs, arns),
            EndpointOperations(endpoints, arns),
            TransformJobOperations(transform_jobs, arns),
            TagOperations(tags),
        )
        self._arns = arns
        self._services = {
            "SageMaker": ("sagemaker", _handlers(OPERATIONS, groups)),
            AUTOSCALING_TARGET: (
                "application-autoscaling",
                _handlers(AUTOSCALING_OPERATIONS, (AutoscalingOperations(autoscaling, arns),)),
            ),
            LOGS_TARGET: ("logs", _handlers(LOG_OPERATIONS, (LogOperations(logs, arns.region),))),
        }

    def answer(self, target: str, body: bytes, caller: AccessKey, request_id: str) -> Response:
        """The answer to one operation. Raises AccessDenied, and what the service raises."""
        prefix, _, name = target.partition(".")
        service, handlers = self._services.get(prefix, self._services["SageMaker"])
        handler = handlers.get(name) if prefix in self._services else None
        if handler is None:
            known = ", ".join(handlers)
            message = f"Operation {target!r} is not supported by Zerostart. It has: {known}."
            return coded_response("UnknownOperationException", 400, {"message": message}, request_id)
        document = _document(body)
        authorise(caller, f"{service}:{name}", operation_resource(name, document, self._arns))
        operation = service_model(service).operation_model(name)
        result = handler(check_input(operation, document))
        content = b"" if operation.output_shape is None else json.dumps(shape_output(operation, result or {})).encode()
        return Response(content, headers={"x-amzn-RequestId": request_id}, media_type="application/x-amz-json-1.1")


def checked_input(name: str, body: bytes) -> Mapping[str, Any]:
    """The input of one of SageMaker's operations. Raises InvalidInput."""
    return check_input(service_model("sagemaker").operation_model(name), _document(body))


def _handlers(names: Sequence[str], groups: Sequence[object]) -> dict[str, Handler]:
    methods = {name: xform_name(name) for name in names}
    return {
        name: next(getattr(group, method) for group in groups if hasattr(group, method))
        for name, method in methods.items()
    }


def _document(body: bytes) -> Mapping[str, Any]:
    try:
        document = json.loads(body or b"{}")
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"The body is not valid JSON: {error}") from error
    if not isinstance(document, dict):
        raise InvalidInput(f"The body is not a JSON object but {shortened(document)}.")
    return document
