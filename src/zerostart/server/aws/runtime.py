"""SageMaker Runtime: POST /endpoints/{name}/invocations and /endpoints/{name}/async-invocations."""

import time
from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from zerostart.credentials import AccessKey
from zerostart.errors import InvalidInput, InvocationTimeout
from zerostart.hosting.launcher import InstanceReply
from zerostart.metrics import ControlPlaneMetrics
from zerostart.server.aws.errors import coded_response
from zerostart.server.aws.service_model import check_input, service_model
from zerostart.server.aws.support import refuse_unsupported
from zerostart.services.arn import ACCOUNT_ID, Arns
from zerostart.services.async_invocation import AsyncInvocationService, AsyncSubmission
from zerostart.services.authorisation import authorise
from zerostart.services.invocation import Invocation, InvocationResult, InvocationService

_CUSTOM_ATTRIBUTES = "x-amzn-sagemaker-custom-attributes"
_INFERENCE_ID = "x-amzn-sagemaker-inference-id"
_UNSUPPORTED = ("TargetModel", "TargetContainerHostname", "EnableExplanations", "InferenceComponentName", "SessionId")
_TIMEOUT_MESSAGE = (
    "Your invocation timed out while waiting for a response from container primary. "
    "Review the latency metrics for each container in Amazon CloudWatch, resolve the issue, and try again."
)


class Runtime:
    """Passes bodies through; an error of the model server becomes a ModelError."""

    def __init__(
        self,
        service: InvocationService,
        asynchronous: AsyncInvocationService,
        metrics: ControlPlaneMetrics,
        arns: Arns,
    ) -> None:
        self._service = service
        self._asynchronous = asynchronous
        self._metrics = metrics
        self._arns = arns

    def authorise(self, caller: AccessKey, operation: str, endpoint: str) -> None:
        """Return if the caller may do this with the endpoint. Raises AccessDenied."""
        authorise(caller, f"sagemaker:{operation}", self._arns.of("endpoint", endpoint))

    async def answer(self, request: Request, body: bytes, request_id: str) -> Response:
        """The answer to one invocation. Raises what the service raises."""
        started_s = time.monotonic()
        invocation = _invocation(request, body)
        try:
            result = await self._service.invoke(invocation)
        except InvocationTimeout:
            return self._model_error(invocation.endpoint, 0, _TIMEOUT_MESSAGE, request_id)
        taken_s = time.monotonic() - started_s
        self._metrics.record_answer(invocation.endpoint, result.variant, result.model_latency_s, taken_s)
        if result.reply.status >= 400:
            return self._refused(invocation.endpoint, result, request_id)
        headers = {"x-Amzn-Invoked-Production-Variant": result.variant, "x-amzn-RequestId": request_id}
        if custom := request.headers.get(_CUSTOM_ATTRIBUTES):
            headers["X-Amzn-SageMaker-Custom-Attributes"] = custom
        return Response(result.reply.body, headers={**headers, "Content-Type": result.reply.content_type})

    async def answer_later(self, request: Request, body: bytes, request_id: str) -> Response:
        """InvokeEndpointAsync: taken, with the place where the answer will be. Raises what the service raises."""
        taken = await self._asynchronous.submit(_submission(request, body))
        headers = {
            "X-Amzn-SageMaker-OutputLocation": taken.request.output_uri,
            "X-Amzn-SageMaker-FailureLocation": taken.request.failure_uri,
            "x-amzn-RequestId": request_id,
        }
        inference_id = request.headers.get(_INFERENCE_ID) or taken.id
        return JSONResponse({"InferenceId": inference_id}, 202, headers)

    def _refused(self, endpoint: str, result: InvocationResult, request_id: str) -> Response:
        return self._model_error(endpoint, result.reply.status, _words(result.reply), request_id)

    def _model_error(self, endpoint: str, status: int, words: str, request_id: str) -> Response:
        self._metrics.model_errors.labels(endpoint, str(status)).inc()
        side = "client" if 400 <= status < 500 else "server"
        log = f"/aws/sagemaker/Endpoints/{endpoint}"
        message = (
            f'Received {side} error ({status}) from primary with message "{words}". '
            f"See {log} in account {ACCOUNT_ID} for more information."
        )
        members: Mapping[str, object] = {
            "message": message,
            "Message": message,
            "OriginalStatusCode": status,
            "OriginalMessage": words,
            "LogStreamArn": f"arn:aws:logs:{self._arns.region}:{ACCOUNT_ID}:log-group:{log}",
        }
        return coded_response("ModelError", 424, members, request_id)


def _invocation(request: Request, body: bytes) -> Invocation:
    checked = _checked(request, "InvokeEndpoint", {"Body": body})
    refuse_unsupported(checked, _UNSUPPORTED)
    return Invocation(
        endpoint=checked["EndpointName"],
        body=body,
        content_type=checked.get("ContentType") or "application/json",
        accept=checked.get("Accept") or "*/*",
        target_variant=checked.get("TargetVariant"),
    )


def _submission(request: Request, body: bytes) -> AsyncSubmission:
    checked = _checked(request, "InvokeEndpointAsync", {})
    refuse_unsupported(checked, ("S3OutputPathExtension", "Filename"))
    if body or not checked.get("InputLocation"):
        raise InvalidInput("InvokeEndpointAsync reads its input from InputLocation: store it there, and send no body.")
    return AsyncSubmission(
        endpoint=checked["EndpointName"],
        input_uri=checked["InputLocation"],
        content_type=checked.get("ContentType") or "application/json",
        accept=checked.get("Accept") or "*/*",
        timeout_s=checked.get("InvocationTimeoutSeconds", 900),
        time_to_live_s=checked.get("RequestTTLSeconds", 21600),
    )


def _checked(request: Request, name: str, more: Mapping[str, Any]) -> Mapping[str, Any]:
    """The parameters in path and headers, found by AWS's model of the operation and checked against it."""
    operation = service_model("sagemaker-runtime").operation_model(name)
    shape: Any = operation.input_shape
    given: dict[str, Any] = {"EndpointName": request.path_params["name"], **more}
    for parameter, member in shape.members.items():
        if member.serialization.get("location") == "header":
            value = request.headers.get(member.serialization["name"])
            if value is not None:
                number = member.type_name == "integer" and value.isdecimal()
                given[parameter] = int(value) if number else value
    return check_input(operation, given)


def _words(reply: InstanceReply) -> str:
    return reply.body.decode("utf-8", "replace")
