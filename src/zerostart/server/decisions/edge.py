"""The edge of the Decisions API: who is calling, how large the body is, what is told of a failure, one line of log."""

import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from zerostart import errors
from zerostart.credentials import AccessKey, bearer_key
from zerostart.metrics import ControlPlaneMetrics
from zerostart.server.decisions.encodings import decompressed
from zerostart.server.decisions.request import DecisionRequest, Form
from zerostart.server.request_log import RequestLog
from zerostart.services.access_key import KeyUses
from zerostart.services.authorisation import AccessDenied
from zerostart.services.decision import Decisions, DecisionService
from zerostart.serving.http import CALLER_LEFT, Gate, read_body, unless_caller_left
from zerostart.serving.strict_json import read_json, written_json

logger = logging.getLogger(__name__)
# What is larger is parsed in another thread, since everybody else would wait.
_SMALL_BODY_BYTES = 65536
_RETRY_AFTER_S = "1"


class InvalidKey(errors.ZerostartError):
    """The caller did not prove who they are."""


_STATUSES: Mapping[type[Exception], int] = {
    InvalidKey: 401,
    AccessDenied: 403,
    errors.NotFound: 404,
    errors.InvalidInput: 400,
    errors.Draining: 503,
    errors.Overloaded: 429,
    errors.NoInstance: 503,
    errors.InstanceLost: 503,
    errors.InvocationTimeout: 504,
}


class DecisionsEdge:
    """Answers requests in one form or the other. `keys` holds the keys that are valid now, by their ids."""

    def __init__(
        self,
        service: DecisionService,
        keys: Mapping[str, AccessKey],
        uses: KeyUses,
        gate: Gate,
        metrics: ControlPlaneMetrics,
        max_body_bytes: int,
    ) -> None:
        self._service = service
        self._keys = keys
        self._uses = uses
        self._gate = gate
        self._metrics = metrics
        self._max_body_bytes = max_body_bytes

    async def decide(self, request: Request, form: Form) -> Response:
        """The answers to one request, counted as an invocation of the endpoint that was asked."""
        log = RequestLog(request, operation=form.operation)

        async def answer() -> Mapping[str, Any] | None:
            started_s = time.monotonic()
            body = await read_body(request, self._max_body_bytes)
            caller = self._caller(request, log)
            body = decompressed(body, request.headers.get("content-encoding", ""), self._max_body_bytes)
            small = len(body) <= _SMALL_BODY_BYTES
            asked = _read(form, body) if small else await run_in_threadpool(_read, form, body)
            log.fields |= {"questions": len(asked.asked)}
            endpoint = await self._endpoint(asked.model, caller)
            log.fields |= {"endpoint": endpoint}
            found = await unless_caller_left(request, self._asked(endpoint, asked))
            if found is None:
                return None
            log.fields |= {"variant": found.variant, "input_tokens": found.input_tokens}
            self._metrics.record_answer(endpoint, found.variant, found.model_latency_s, time.monotonic() - started_s)
            return form.write(asked, found)

        response = await self._answered(answer, form, log)
        self._count(str(log.fields.get("endpoint", "")), response, str(log.fields.get("code", "")))
        return response

    async def show(
        self, request: Request, form: Form, answer: Callable[[AccessKey], Awaitable[Mapping[str, Any]]]
    ) -> Response:
        """What `answer` gives to a caller who is known."""
        log = RequestLog(request, operation="Models")

        async def known() -> Mapping[str, Any]:
            return await answer(self._caller(request, log))

        return await self._answered(known, form, log)

    async def _answered(
        self, answer: Callable[[], Awaitable[Mapping[str, Any] | None]], form: Form, log: RequestLog
    ) -> Response:
        """The answer, or in its place what is told of its failure; one line of log either way."""
        try:
            async with self._gate.passage():
                document = await answer()
            response = Response(status_code=CALLER_LEFT) if document is None else _written(200, document)
        except ClientDisconnect:
            response = Response(status_code=CALLER_LEFT)
        except Exception as error:
            if not isinstance(error, errors.ZerostartError):
                logger.exception("request %s failed", log.request_id)
            log.fields["code"] = type(error).__name__
            response = _refused(error, form, log.request_id)
        response.headers[form.request_id] = log.request_id
        return log.closed(response)

    def _caller(self, request: Request, log: RequestLog) -> AccessKey:
        header = request.headers.get("authorization", "")
        key = bearer_key(header, self._keys) if header.startswith("Bearer ") else None
        if key is None:
            raise InvalidKey(
                "The API key is missing or not valid: send 'Authorization: Bearer KEY' with the secret access key that "
                "'zerostart env' prints, or one that 'zerostart keys create' made."
            )
        log.fields["key"] = key.name
        self._uses.note(key)
        return key

    async def _endpoint(self, model: str, caller: AccessKey) -> str:
        if self._service.is_endpoint(model):
            return self._service.endpoint_of(model, caller)
        return await run_in_threadpool(self._service.endpoint_of, model, caller)

    async def _asked(self, endpoint: str, asked: DecisionRequest) -> Decisions:
        try:
            return await self._service.decide(endpoint, asked.text, asked.questions)
        except (errors.InvalidInput, errors.EngineFailure) as error:
            status = "400" if isinstance(error, errors.InvalidInput) else "500"
            self._metrics.model_errors.labels(endpoint, status).inc()
            raise

    def _count(self, endpoint: str, response: Response, code: str) -> None:
        """What never reached an endpoint is counted under no endpoint's name."""
        self._metrics.invocations.labels(endpoint).inc()
        if response.status_code == CALLER_LEFT:
            self._metrics.errors_4xx.labels(endpoint, "CallerLeft").inc()
        elif response.status_code >= 400:
            counter = self._metrics.errors_4xx if response.status_code < 500 else self._metrics.errors_5xx
            counter.labels(endpoint, code).inc()


def _read(form: Form, body: bytes) -> DecisionRequest:
    return form.read(read_json(body, "The body"))


def _refused(error: Exception, form: Form, request_id: str) -> Response:
    found = next((_STATUSES[kind] for kind in type(error).__mro__ if kind in _STATUSES), 500)
    known = isinstance(error, errors.ZerostartError)
    message = str(error) if known else f"Internal failure. The server's log has more under request {request_id}."
    response = _written(*form.refuse(error, found, message))
    if found in {429, 503}:
        response.headers["Retry-After"] = _RETRY_AFTER_S
    if found in {500, 504}:  # the same request would take as long again, or fail as it did
        response.headers["x-should-retry"] = "false"
    return response


def _written(status: int, document: Mapping[str, Any]) -> Response:
    return Response(written_json(document), status, media_type="application/json")
