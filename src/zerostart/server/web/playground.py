"""The playground: a text and labels to an endpoint, as any client's invocation, and the scores as bars."""

import json
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from urllib.parse import urlencode

from starlette.requests import ClientDisconnect, Request

from zerostart.errors import InvalidInput, ZerostartError
from zerostart.metrics import ControlPlaneMetrics
from zerostart.nli.template import DEFAULT_HYPOTHESIS_TEMPLATE
from zerostart.server.web.endpoint_contexts import Example, Label, Playground
from zerostart.server.web.errors import error_page
from zerostart.server.web.formats import duration_shown
from zerostart.server.web.links import Links
from zerostart.services.invocation import Invocation, InvocationResult, InvocationService
from zerostart.serving.http import unless_caller_left

_JSON = "application/json"
_MOST_LABELS = 200
_LONGEST_LINK = 4000
_EXAMPLES = (
    ("A support message", "My card was charged twice for the same hotel night.", "billing, booking, complaint, praise"),
    ("A headline", "The central bank raised interest rates by a quarter of a point.", "economy, sport, travel, health"),
    ("A resolution", "I want to quit smoking and sleep eight hours a night.", "health, career, travel, money"),
)


def typed(name: str, form: Mapping[str, str]) -> Playground:
    """The playground as a form, or a shared link, filled it."""
    return Playground(
        name,
        text=form.get("text", ""),
        labels=form.get("labels", ""),
        hypothesis=form.get("template", "").strip() or DEFAULT_HYPOTHESIS_TEMPLATE,
        multi_label="multi" in form,
        chips=labels_of(form.get("labels", "")),
    )


def labels_of(text: str) -> list[str]:
    """Labels, one a line; on a single line they are separated by commas. Each once, in order."""
    lines = text.strip().splitlines()
    parts: Sequence[str] = lines if len(lines) > 1 else re.split(r"[,;]", text)
    return list(dict.fromkeys(part.strip() for part in parts if part.strip()))


def examples(links: Links, name: str) -> Sequence[Example]:
    """Texts to try."""
    return [Example(title, _link(links, Playground(name, text, labels))) for title, text, labels in _EXAMPLES]


async def played(
    request: Request, asked: Playground, service: InvocationService, metrics: ControlPlaneMetrics, links: Links
) -> Playground:
    """The playground with its results, or with what was wrong; as it was if there is nothing to ask yet."""
    if not asked.text.strip() or not asked.chips:
        return asked
    try:
        if len(asked.chips) > _MOST_LABELS:
            raise InvalidInput(f"{len(asked.chips)} labels are too many to play with: give at most {_MOST_LABELS}.")
        result = await _invoke(request, asked, service, metrics)
        document = _answer(result)
    except ZerostartError as error:
        return replace(asked, error=error_page(error).message)
    link = _link(links, asked)
    return replace(
        asked,
        results=_bars(document, multi_label=asked.multi_label),
        latency=duration_shown(result.model_latency_s),
        note=_note(document),
        link=link if len(link) <= _LONGEST_LINK else "",
    )


async def _invoke(
    request: Request,
    asked: Playground,
    service: InvocationService,
    metrics: ControlPlaneMetrics,
) -> InvocationResult:
    options = {
        "candidate_labels": asked.chips,
        "hypothesis_template": asked.hypothesis,
        "multi_label": asked.multi_label,
    }
    body = json.dumps({"inputs": asked.text, "parameters": options}).encode()
    started_s = time.monotonic()
    result = await unless_caller_left(request, service.invoke(Invocation(asked.name, body, _JSON, _JSON)))
    if result is None:
        raise ClientDisconnect
    overhead_s = max(0.0, time.monotonic() - started_s - result.model_latency_s)
    metrics.invocations.labels(asked.name).inc()
    metrics.model_latency.labels(asked.name, result.variant).observe(result.model_latency_s)
    metrics.overhead_latency.labels(asked.name, result.variant).observe(overhead_s)
    if result.reply.status >= 400:
        metrics.model_errors.labels(asked.name, str(result.reply.status)).inc()
        metrics.errors_4xx.labels(asked.name, "ModelError").inc()
    return result


def _answer(result: InvocationResult) -> Mapping[str, object]:
    """The parsed answer. Raises InvalidInput with the model server's own words if it refused."""
    document: Mapping[str, object] = json.loads(result.reply.body)
    if result.reply.status >= 400:
        raise InvalidInput(str(document.get("message", "The model refused the text.")))
    return document


def _bars(document: Mapping[str, object], *, multi_label: bool) -> Sequence[Label]:
    labels, scores = document["labels"], document["scores"]
    assert isinstance(labels, list)  # noqa: S101 - the model server's form
    assert isinstance(scores, list)  # noqa: S101
    return [
        Label(str(label), f"{score:.1%}", f"{100 * score:.2f}", score >= 0.5 if multi_label else number == 0)
        for number, (label, score) in enumerate(zip(labels, scores, strict=True))
    ]


def _note(document: Mapping[str, object]) -> str:
    report = document.get("long_text")
    if isinstance(report, Mapping) and report.get("dropped_tokens"):
        return f"The text is longer than the model reads: its last {report['dropped_tokens']} tokens were left out."
    return ""


def _link(links: Links, asked: Playground) -> str:
    query = {"text": asked.text, "labels": asked.labels}
    if asked.hypothesis not in {"", DEFAULT_HYPOTHESIS_TEMPLATE}:
        query["template"] = asked.hypothesis
    if asked.multi_label:
        query["multi"] = "on"
    return f"{links.endpoint(asked.name)}?{urlencode(query)}"
