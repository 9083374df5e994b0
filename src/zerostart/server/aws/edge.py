"""The AWS edge: who is calling, how large the body is, which face it is for, and one log line for each request."""

import logging
import time
import uuid
from collections.abc import Mapping
from http import HTTPStatus

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from zerostart.credentials import KeyPair
from zerostart.errors import ZerostartError
from zerostart.metrics import ControlPlaneMetrics
from zerostart.server.aws.control_plane import LOGS_TARGET, ControlPlane
from zerostart.server.aws.errors import CONTROL_PLANE, LOGS, RUNTIME, error_response
from zerostart.server.aws.query import QueryApi, queried_service, query_error_response
from zerostart.server.aws.runtime import Runtime
from zerostart.server.aws.sigv4 import AuthenticationError, SignedRequest, authenticate, authenticate_bearer
from zerostart.serving.http import CALLER_LEFT, Gate, read_body, unless_caller_left

logger = logging.getLogger(__name__)
_CONTROL_BODY_BYTES = 1024 * 1024


class AwsEdge:
    """Routes of the AWS face. `keys` maps access key ids to key pairs."""

    def __init__(
        self,
        control_plane: ControlPlane,
        runtime: Runtime,
        query_api: QueryApi,
        keys: Mapping[str, KeyPair],
        gate: Gate,
        metrics: ControlPlaneMetrics,
        max_body_bytes: int,
    ) -> None:
        self._control_plane = control_plane
        self._runtime = runtime
        self._query_api = query_api
        self._keys = keys
        self._gate = gate
        self._metrics = metrics
        self._max_body_bytes = max_body_bytes

    def routes(self) -> list[Route]:
        """One port serves every AWS service: they differ by path and by X-Amz-Target."""
        return [
            Route("/", self._operation, methods=["POST"]),
            Route("/endpoints/{name}/invocations", self._invocation, methods=["POST"]),
            Route("/endpoints/{name}/async-invocations", self._async_invocation, methods=["POST"]),
        ]

    def authenticate_reader(self, request: Request) -> None:
        """Let a GET without a body pass if it is signed or has a bearer key. Raises AuthenticationError."""
        _authenticated(request, b"", self._keys, bearer=True)

    async def _operation(self, request: Request) -> Response:
        if service := queried_service(request.headers):
            return await self._query(request, service)
        log = RequestLog(request)
        log.fields["operation"] = request.headers.get("x-amz-target", "")[:100]
        try:
            async with self._gate.passage():
                body = await read_body(request, _CONTROL_BODY_BYTES)
                _authenticated(request, body, self._keys, bearer=False)
                target = request.headers.get("x-amz-target", "")
                response = await run_in_threadpool(self._control_plane.answer, target, body, log.request_id)
        except ClientDisconnect:
            response = Response(status_code=CALLER_LEFT)
        except Exception as error:  # noqa: BLE001 - every failure gets an answer in AWS's form
            _log_if_unexpected(error, log.request_id)
            is_logs = request.headers.get("x-amz-target", "").startswith(LOGS_TARGET)
            response = error_response(error, LOGS if is_logs else CONTROL_PLANE, log.request_id)
        return log.closed(response)

    async def _query(self, request: Request, service: str) -> Response:
        log = RequestLog(request)
        log.fields["operation"] = service
        try:
            async with self._gate.passage():
                body = await read_body(request, _CONTROL_BODY_BYTES)
                caller = _authenticated(request, body, self._keys, bearer=False)
                response = await run_in_threadpool(self._query_api.answer, service, body, caller, log.request_id)
        except ClientDisconnect:
            response = Response(status_code=CALLER_LEFT)
        except Exception as error:  # noqa: BLE001 - every failure gets an answer in AWS's form
            _log_if_unexpected(error, log.request_id)
            response = query_error_response(error, log.request_id)
        return log.closed(response)

    async def _invocation(self, request: Request) -> Response:
        log = RequestLog(request)
        endpoint = str(request.path_params["name"])
        log.fields |= {"operation": "InvokeEndpoint", "endpoint": endpoint[:63]}
        try:
            async with self._gate.passage():
                body = await read_body(request, self._max_body_bytes)
                _authenticated(request, body, self._keys, bearer=True)
                answer = await unless_caller_left(request, self._runtime.answer(request, body, log.request_id))
                response = answer or Response(status_code=CALLER_LEFT)
        except ClientDisconnect:
            response = Response(status_code=CALLER_LEFT)
        except Exception as error:  # noqa: BLE001 - every failure gets an answer in AWS's form
            _log_if_unexpected(error, log.request_id)
            response = error_response(error, RUNTIME, log.request_id)
        self._count(endpoint, response)
        return log.closed(response)

    async def _async_invocation(self, request: Request) -> Response:
        log = RequestLog(request)
        log.fields |= {"operation": "InvokeEndpointAsync", "endpoint": str(request.path_params["name"])[:63]}
        try:
            async with self._gate.passage():
                body = await read_body(request, _CONTROL_BODY_BYTES)
                _authenticated(request, body, self._keys, bearer=True)
                response = await self._runtime.answer_later(request, body, log.request_id)
        except ClientDisconnect:
            response = Response(status_code=CALLER_LEFT)
        except Exception as error:  # noqa: BLE001 - every failure gets an answer in AWS's form
            _log_if_unexpected(error, log.request_id)
            response = error_response(error, RUNTIME, log.request_id)
        return log.closed(response)

    def _count(self, endpoint: str, response: Response) -> None:
        """Count an invocation; what never reached an endpoint is counted under no endpoint's name."""
        code = response.headers.get("x-amzn-ErrorType", "")
        name = (
            ""
            if code in {"ValidationError", "UnrecognizedClientException", "InternalFailure"}
            or response.status_code == 403
            else endpoint
        )
        self._metrics.invocations.labels(name).inc()
        if response.status_code == CALLER_LEFT:
            self._metrics.errors_4xx.labels(name, "CallerLeft").inc()
        elif response.status_code >= 400:
            counter = self._metrics.errors_4xx if response.status_code < 500 else self._metrics.errors_5xx
            counter.labels(name, code or HTTPStatus(response.status_code).phrase).inc()


class RequestLog:
    """One structured line a request, without its text."""

    def __init__(self, request: Request) -> None:
        self._started_s = time.monotonic()
        self.request_id = str(uuid.uuid4())
        self.fields: dict[str, object] = {"request_id": self.request_id, "path": request.url.path[:200]}

    def closed(self, response: Response) -> Response:
        """Write the line, and pass the response on."""
        self.fields["status"] = response.status_code
        self.fields["duration_ms"] = round((time.monotonic() - self._started_s) * 1000, 2)
        if code := response.headers.get("x-amzn-ErrorType"):
            self.fields["code"] = code
        if variant := response.headers.get("x-Amzn-Invoked-Production-Variant"):
            self.fields["variant"] = variant
        logger.info("request", extra={"fields": self.fields})
        return response


def _authenticated(request: Request, body: bytes, keys: Mapping[str, KeyPair], *, bearer: bool) -> KeyPair:
    header = request.headers.get("authorization", "")
    if bearer and header.startswith("Bearer "):
        return authenticate_bearer(header, keys)
    query = request.scope["query_string"].decode("ascii")
    return authenticate(SignedRequest(request.method, raw_path(request), query, header_map(request), body), keys)


def header_map(request: Request) -> dict[str, str]:
    """Headers by their names in lower case; one that came several times has its values in one."""
    headers: dict[str, str] = {}
    for name, value in request.headers.items():
        headers[name] = f"{headers[name]},{value}" if name in headers else value
    return headers


def raw_path(request: Request) -> str:
    """The path as on the wire, still percent-encoded."""
    return str(request.scope.get("raw_path", request.url.path.encode()).decode("latin-1").partition("?")[0])


def _log_if_unexpected(error: Exception, request_id: str) -> None:
    if not isinstance(error, ZerostartError | AuthenticationError):
        logger.error("request %s failed", request_id, exc_info=error)
