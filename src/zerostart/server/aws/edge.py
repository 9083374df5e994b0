"""The AWS edge: who is calling, how large the body is, which face it is for, and one log line for each request."""

import logging
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from http import HTTPStatus

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from zerostart.credentials import AccessKey
from zerostart.errors import ZerostartError
from zerostart.metrics import ControlPlaneMetrics
from zerostart.server.aws.control_plane import AUTOSCALING_TARGET, LOGS_TARGET, ControlPlane
from zerostart.server.aws.errors import AUTOSCALING, CONTROL_PLANE, LOGS, RUNTIME, error_response
from zerostart.server.aws.query import QueryApi, queried_service, query_error_response
from zerostart.server.aws.runtime import Runtime
from zerostart.server.aws.sigv4 import AuthenticationError, SignedRequest, authenticate, authenticate_bearer
from zerostart.server.request_log import RequestLog
from zerostart.services.access_key import KeyUses
from zerostart.services.authorisation import authorise
from zerostart.serving.http import CALLER_LEFT, Gate, read_body, unless_caller_left

logger = logging.getLogger(__name__)
_CONTROL_BODY_BYTES = 1024 * 1024
_ERRORS = {LOGS_TARGET: LOGS, AUTOSCALING_TARGET: AUTOSCALING}


class AwsEdge:
    """Routes of the AWS face. `keys` holds the keys that are valid now, by their ids."""

    def __init__(
        self,
        control_plane: ControlPlane,
        runtime: Runtime,
        query_api: QueryApi,
        keys: Mapping[str, AccessKey],
        uses: KeyUses,
        gate: Gate,
        metrics: ControlPlaneMetrics,
        max_body_bytes: int,
    ) -> None:
        self._control_plane = control_plane
        self._runtime = runtime
        self._query_api = query_api
        self._keys = keys
        self._uses = uses
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

    def authorise_request(self, request: Request, action: str, body: bytes = b"") -> None:
        """Let a request for one of our own pages pass if its key may do this.

        Raises AuthenticationError and AccessDenied.
        """
        authorise(self._caller(request, body, RequestLog(request), bearer=True), action, "*")

    async def _operation(self, request: Request) -> Response:
        service = queried_service(request.headers)
        target = request.headers.get("x-amz-target", "")
        log = RequestLog(request, operation=service or target[:100])
        errors = _ERRORS.get(target.partition(".")[0], CONTROL_PLANE)

        async def answer() -> Response:
            body = await read_body(request, _CONTROL_BODY_BYTES)
            caller = self._caller(request, body, log, bearer=False)
            face, name = (self._query_api, service) if service else (self._control_plane, target)
            return await run_in_threadpool(face.answer, name, body, caller, log.request_id)

        def refusal(error: Exception) -> Response:
            refused = query_error_response if service else partial(error_response, table=errors)
            return refused(error, request_id=log.request_id)

        return await self._answered(answer, refusal, log)

    async def _invocation(self, request: Request) -> Response:
        endpoint = str(request.path_params["name"])
        log = RequestLog(request, operation="InvokeEndpoint", endpoint=endpoint[:63])

        async def answer() -> Response:
            body = await read_body(request, self._max_body_bytes)
            self._runtime.authorise(self._caller(request, body, log, bearer=True), "InvokeEndpoint", endpoint)
            given = await unless_caller_left(request, self._runtime.answer(request, body, log.request_id))
            return given or Response(status_code=CALLER_LEFT)

        response = await self._answered(answer, partial(error_response, table=RUNTIME, request_id=log.request_id), log)
        self._count(endpoint, response)
        return response

    async def _async_invocation(self, request: Request) -> Response:
        endpoint = str(request.path_params["name"])
        log = RequestLog(request, operation="InvokeEndpointAsync", endpoint=endpoint[:63])

        async def answer() -> Response:
            body = await read_body(request, _CONTROL_BODY_BYTES)
            self._runtime.authorise(self._caller(request, body, log, bearer=True), "InvokeEndpointAsync", endpoint)
            return await self._runtime.answer_later(request, body, log.request_id)

        return await self._answered(answer, partial(error_response, table=RUNTIME, request_id=log.request_id), log)

    async def _answered(
        self, answer: Callable[[], Awaitable[Response]], refusal: Callable[[Exception], Response], log: RequestLog
    ) -> Response:
        """The answer, or in its place what is told of its failure; one line of log either way."""
        try:
            async with self._gate.passage():
                response = await answer()
        except ClientDisconnect:
            response = Response(status_code=CALLER_LEFT)
        except Exception as error:
            if not isinstance(error, ZerostartError | AuthenticationError):
                logger.exception("request %s failed", log.request_id)
            response = refusal(error)
        return log.closed(response)

    def _caller(self, request: Request, body: bytes, log: RequestLog, *, bearer: bool) -> AccessKey:
        """Whose key it is, which the log tells too. Raises AuthenticationError."""
        header = request.headers.get("authorization", "")
        if bearer and header.startswith("Bearer "):
            key = authenticate_bearer(header, self._keys)
        else:
            query = request.scope["query_string"].decode("ascii")
            signed = SignedRequest(request.method, raw_path(request), query, header_map(request), body)
            key = authenticate(signed, self._keys)
        log.fields["key"] = key.name
        self._uses.note(key)
        return key

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


def header_map(request: Request) -> dict[str, str]:
    """Headers by their names in lower case; one that came several times has its values in one."""
    headers: dict[str, str] = {}
    for name, value in request.headers.items():
        headers[name] = f"{headers[name]},{value}" if name in headers else value
    return headers


def raw_path(request: Request) -> str:
    """The path as on the wire, still percent-encoded."""
    return str(request.scope.get("raw_path", request.url.path.encode()).decode("latin-1").partition("?")[0])
