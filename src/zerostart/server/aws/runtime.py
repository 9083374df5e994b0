"""POST /endpoints/{name}/invocations: SageMaker Runtime's InvokeEndpoint."""

import time
from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import Response

from zerostart.errors import InvocationTimeout
from zerostart.hosting.launcher import InstanceReply
from zerostart.metrics import ControlPlaneMetrics
from zerostart.server.aws.errors import coded_response
from zerostart.server.aws.service_model import check_input, service_model
from zerostart.services.arn import ACCOUNT_ID
from zerostart.services.invocation import Invocation, InvocationResult, InvocationService

_HEADERS = {
    "ContentType": "content-type",
    "Accept": "accept",
    "CustomAttributes": "x-amzn-sagemaker-custom-attributes",
    "TargetVariant": "x-amzn-sagemaker-target-variant",
    "InferenceId": "x-amzn-sagemaker-inference-id",
}
_TIMEOUT_MESSAGE = (
    "Your invocation timed out while waiting for a response from container primary. "
    "Review the latency metrics for each container in Amazon CloudWatch, resolve the issue, and try again."
)


class Runtime:
    """Passes bodies through; an error of the model server becomes a ModelError."""

    def __init__(self, service: InvocationService, metrics: ControlPlaneMetrics, region: str) -> None:
        self._service = service
        self._metrics = metrics
        self._region = region

    async def answer(self, request: Request, body: bytes, request_id: str) -> Response:
        """The answer to one invocation. Raises what the service raises."""
        started_s = time.monotonic()
        invocation = _invocation(request, body)
        try:
            result = await self._service.invoke(invocation)
        except InvocationTimeout:
            return self._model_error(invocation.endpoint, 0, _TIMEOUT_MESSAGE, request_id)
        labels = (invocation.endpoint, result.variant)
        self._metrics.model_latency.labels(*labels).observe(result.model_latency_s)
        self._metrics.overhead_latency.labels(*labels).observe(
            max(0.0, time.monotonic() - started_s - result.model_latency_s)
        )
        if result.reply.status >= 400:
            return self._refused(invocation.endpoint, result, request_id)
        headers = {"x-Amzn-Invoked-Production-Variant": result.variant, "x-amzn-RequestId": request_id}
        if custom := request.headers.get(_HEADERS["CustomAttributes"]):
            headers["X-Amzn-SageMaker-Custom-Attributes"] = custom
        return Response(result.reply.body, headers={**headers, "Content-Type": result.reply.content_type})

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
            "LogStreamArn": f"arn:aws:logs:{self._region}:{ACCOUNT_ID}:log-group:{log}",
        }
        return coded_response("ModelError", 424, members, request_id)


def _invocation(request: Request, body: bytes) -> Invocation:
    """The parameters in path and headers, checked against AWS's model."""
    given = {name: value for name, header in _HEADERS.items() if (value := request.headers.get(header)) is not None}
    operation = service_model("sagemaker-runtime").operation_model("InvokeEndpoint")
    checked = check_input(operation, {"EndpointName": request.path_params["name"], "Body": body, **given})
    return Invocation(
        endpoint=checked["EndpointName"],
        body=body,
        content_type=checked.get("ContentType") or "application/json",
        accept=checked.get("Accept") or "*/*",
        target_variant=checked.get("TargetVariant"),
    )


def _words(reply: InstanceReply) -> str:
    return reply.body.decode("utf-8", "replace")
