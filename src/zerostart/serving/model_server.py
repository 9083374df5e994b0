"""The model server: SageMaker's serving container contract, GET /ping and POST /invocations, over one classifier.

https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-inference-code.html
"""

import asyncio
import json
import logging
from collections.abc import Mapping

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from zerostart import errors
from zerostart.metrics import TEXT_FORM, ModelServerMetrics
from zerostart.serving.classifier import Classifier, PendingClassification
from zerostart.serving.http import CALLER_LEFT, Gate, read_body, unless_caller_left
from zerostart.serving.payload import JSON, Payload, decode, encode
from zerostart.serving.questions import QUESTIONS, AskedQuestions, decode_questions, encode_answers

logger = logging.getLogger(__name__)
_STATUSES: Mapping[type[Exception], int] = {
    errors.BodyTooLarge: 413,
    errors.UnsupportedContentType: 415,
    errors.UnsupportedAccept: 406,
    errors.InvalidInput: 400,
    errors.Overloaded: 503,
    errors.EngineFailure: 500,
}
# A body this small is read and tokenised in less time than it takes to hand it to another thread and back.
_SMALL_BODY_BYTES = 8192


class ModelServer:
    """Requests of many callers, answered by one classifier."""

    def __init__(self, classifier: Classifier, metrics: ModelServerMetrics, gate: Gate, max_body_bytes: int) -> None:
        self._classifier = classifier
        self._metrics = metrics
        self._gate = gate
        self._max_body_bytes = max_body_bytes

    def app(self) -> Starlette:
        """The ASGI application."""
        return Starlette(
            routes=[
                Route("/ping", self._ping, methods=["GET"]),
                Route("/invocations", self._invocations, methods=["POST"]),
                Route("/metrics", self._expose, methods=["GET"]),
            ]
        )

    async def _ping(self, _request: Request) -> Response:
        """200 while the engine works; 503 once it failed, so that this instance is replaced."""
        failure = self._classifier.batcher.failure
        if failure is not None:
            return _error(503, "EngineFailure", str(failure))
        return Response(b"{}", media_type="application/json")

    async def _invocations(self, request: Request) -> Response:
        try:
            async with self._gate.passage():
                return await self._classify(request)
        except ClientDisconnect:
            return Response(status_code=CALLER_LEFT)
        except errors.ZerostartError as error:
            status = next((_STATUSES[kind] for kind in type(error).__mro__ if kind in _STATUSES), 500)
            if status == 500:
                logger.error("an invocation failed: %s", error)
            return _error(status, type(error).__name__, str(error))
        except Exception:
            logger.exception("an invocation failed")
            return _error(500, "InternalFailure", "Internal failure; the log of the instance says more.")

    async def _classify(self, request: Request) -> Response:
        body = await read_body(request, self._max_body_bytes)
        types = request.headers.get("content-type"), request.headers.get("accept")
        small = len(body) <= _SMALL_BODY_BYTES and b"shortlist" not in body  # the first of these loads a model
        payload, pending = self._submit(body, *types) if small else await run_in_threadpool(self._submit, body, *types)
        if not await _answered_or_left(request, pending):
            return Response(status_code=CALLER_LEFT)
        content = self._encoded(payload, pending) if small else await run_in_threadpool(self._encoded, payload, pending)
        return Response(content, media_type=payload.accept if isinstance(payload, Payload) else JSON)

    def _submit(
        self, body: bytes, content_type: str | None, accept: str | None
    ) -> tuple[Payload | AskedQuestions, list[PendingClassification]]:
        payload: Payload | AskedQuestions
        if content_type == QUESTIONS:
            payload = decode_questions(body, self._classifier.profile)
        else:
            payload = decode(body, content_type, accept, self._classifier.profile)
        self._classifier.batcher.check_size(sum(each.pairs for each in payload.requests))
        pending: list[PendingClassification] = []
        try:
            for each in payload.requests:
                pending.append(self._classifier.submit(each))
        except errors.ZerostartError:
            _cancel(pending)
            raise
        return payload, pending

    def _encoded(self, payload: Payload | AskedQuestions, pending: list[PendingClassification]) -> bytes:
        results = [each.result() for each in pending]
        if isinstance(payload, Payload):
            return encode(payload, results)
        tokens = sum(each.tokens for each in pending)
        return encode_answers(self._classifier.artefact.model_id, payload.answers(results), tokens)

    async def _expose(self, _request: Request) -> Response:
        self._metrics.queued_pairs.set(self._classifier.batcher.queued_pairs)
        return Response(self._metrics.exposition(), headers={"Content-Type": TEXT_FORM})


async def _answered_or_left(request: Request, pending: list[PendingClassification]) -> bool:
    """Wait for every answer; False, with the request dropped from the queue, when its caller closes the connection."""

    async def answers() -> bool:
        if pending:
            await asyncio.wait([asyncio.wrap_future(each.logits) for each in pending])
        return True

    try:
        return await unless_caller_left(request, answers()) is True
    finally:
        _cancel(pending)


def _cancel(pending: list[PendingClassification]) -> None:
    for each in pending:
        each.logits.cancel()


def _error(status: int, kind: str, message: str) -> Response:
    """An error in the form of the Hugging Face inference toolkit."""
    body = json.dumps({"code": status, "type": kind, "message": message}, ensure_ascii=False)
    return Response(body, status, media_type="application/json")
