"""Invocations by the pages: counted, and answered, as any client's are."""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from starlette.requests import ClientDisconnect, Request

from zerostart.errors import EngineFailure, InvalidInput
from zerostart.metrics import ControlPlaneMetrics
from zerostart.nli.question import Question
from zerostart.services.decision import Decisions, DecisionService
from zerostart.services.invocation import Invocation, InvocationService
from zerostart.serving.http import unless_caller_left

_JSON = "application/json"


@dataclass(frozen=True)
class Asked:
    """A text, or several, with labels for an endpoint. An empty `scorer` is the model's own choice."""

    endpoint: str
    texts: str | Sequence[str]
    labels: Sequence[str]
    hypothesis: str
    multi_label: bool
    scorer: str = ""


@dataclass(frozen=True)
class Answer:
    """The parsed answer, of several texts a list, and the time that the instance took."""

    document: Any
    latency_s: float


async def ask(request: Request, asked: Asked, service: InvocationService, metrics: ControlPlaneMetrics) -> Answer:
    """The answer. Raises InvalidInput with the model server's own words if it refused, and what invoking raises."""
    options = {
        "candidate_labels": asked.labels,
        "hypothesis_template": asked.hypothesis,
        "multi_label": asked.multi_label,
        **({"scorer": asked.scorer} if asked.scorer else {}),
    }
    body = json.dumps({"inputs": asked.texts, "parameters": options}).encode()
    started_s = time.monotonic()
    result = await unless_caller_left(request, service.invoke(Invocation(asked.endpoint, body, _JSON, _JSON)))
    if result is None:
        raise ClientDisconnect
    metrics.invocations.labels(asked.endpoint).inc()
    metrics.record_answer(asked.endpoint, result.variant, result.model_latency_s, time.monotonic() - started_s)
    document = json.loads(result.reply.body)
    if result.reply.status >= 400:
        metrics.model_errors.labels(asked.endpoint, str(result.reply.status)).inc()
        metrics.errors_4xx.labels(asked.endpoint, "ModelError").inc()
        raise InvalidInput(str(document.get("message", "The model refused the text.")))
    return Answer(document, result.model_latency_s)


async def decide(
    request: Request,
    endpoint: str,
    text: str,
    questions: Sequence[Question],
    service: DecisionService,
    metrics: ControlPlaneMetrics,
) -> Decisions:
    """The answers to questions. Raises InvalidInput with the model server's own words, and what invoking raises."""
    started_s = time.monotonic()
    try:
        found = await unless_caller_left(request, service.decide(endpoint, text, questions))
    except (InvalidInput, EngineFailure) as error:
        is_callers = isinstance(error, InvalidInput)
        metrics.invocations.labels(endpoint).inc()
        metrics.model_errors.labels(endpoint, "400" if is_callers else "500").inc()
        (metrics.errors_4xx if is_callers else metrics.errors_5xx).labels(endpoint, type(error).__name__).inc()
        raise
    if found is None:
        raise ClientDisconnect
    metrics.invocations.labels(endpoint).inc()
    metrics.record_answer(endpoint, found.variant, found.model_latency_s, time.monotonic() - started_s)
    return found
