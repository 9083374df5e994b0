"""The playground: a text and labels to an endpoint, as any client's invocation, and the scores as bars."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from starlette.requests import Request

from zerostart.bootstrap.server import ServerParts
from zerostart.errors import InvalidInput, ZerostartError
from zerostart.metrics import ControlPlaneMetrics
from zerostart.models.catalogue import entry_of
from zerostart.nli.template import DEFAULT_HYPOTHESIS_TEMPLATE
from zerostart.server.web.asking import Asked, ask
from zerostart.server.web.contexts import Choice, Label
from zerostart.server.web.endpoint_contexts import Example, Playground
from zerostart.server.web.errors import error_page
from zerostart.server.web.examples import TextExample, examples_for
from zerostart.server.web.formats import duration_shown
from zerostart.server.web.links import Links
from zerostart.services.invocation import InvocationService

MOST_LABELS = 200
_LONGEST_LINK = 4000
_SCORER_NAMES = {"": "What suits the model", "nli": "NLI alone", "hybrid": "NLI and embedding"}


@dataclass(frozen=True)
class PlayedModel:
    """What the playground's form has to know of the model behind an endpoint."""

    hypothesis: str = DEFAULT_HYPOTHESIS_TEMPLATE
    languages: Sequence[str] = ("en",)
    scorers: Sequence[str] = ()


def played_model(parts: ServerParts, endpoint: str) -> PlayedModel:
    """The model of an endpoint's first variant. Waits for the database. Raises NotFound."""
    model_id = parts.endpoints.describe_endpoint(endpoint).endpoint.variants[0].model_id
    entry, scorers = entry_of(model_id), parts.hub.scorers(model_id)
    if entry is None:
        return PlayedModel(scorers=scorers)
    return PlayedModel(entry.hypothesis_template, entry.languages, scorers)


def typed(name: str, form: Mapping[str, str], model: PlayedModel) -> Playground:
    """The playground as a form, or a shared link, filled it; an empty one begins with the model's own hypothesis."""
    begun = DEFAULT_HYPOTHESIS_TEMPLATE if form.get("text") else model.hypothesis
    return Playground(
        name,
        text=form.get("text", ""),
        labels=form.get("labels", ""),
        hypothesis=form.get("template", "").strip() or begun,
        multi_label="multi" in form,
        scorer=form.get("scorer", "")[:20],
        chips=labels_of(form.get("labels", "")),
        scorers=[Choice(each, _SCORER_NAMES[each]) for each in ("", *model.scorers)] if model.scorers else (),
    )


def labels_of(text: str) -> list[str]:
    """Labels, one a line; on a single line they are separated by commas. Each once, in order.

    The script of the page reads them in the same way.
    """
    lines = text.strip().splitlines()
    parts: Sequence[str] = lines if len(lines) > 1 else re.split(r"[,;]", text)
    return list(dict.fromkeys(part.strip() for part in parts if part.strip()))


def examples(links: Links, name: str, model: PlayedModel) -> Sequence[Example]:
    """Texts to try."""
    return [Example(each.title, example_link(links, name, each, model)) for each in examples_for(model.languages)]


def example_playground(name: str, example: TextExample, model: PlayedModel) -> Playground:
    """The playground with an example filled in."""
    return Playground(
        name, example.text, ", ".join(example.labels), model.hypothesis, chips=tuple(example.labels), scorers=()
    )


def example_link(links: Links, name: str, example: TextExample, model: PlayedModel) -> str:
    """The address of the playground with an example filled in."""
    return _link(links, example_playground(name, example, model))


async def played(
    request: Request, asked: Playground, service: InvocationService, metrics: ControlPlaneMetrics, links: Links
) -> Playground:
    """The playground with its results, or with what was wrong; as it was if there is nothing to ask yet."""
    if not asked.text.strip() or not asked.chips:
        return asked
    try:
        if len(asked.chips) > MOST_LABELS:
            raise InvalidInput(f"{len(asked.chips)} labels are too many to play with: give at most {MOST_LABELS}.")
        question = Asked(asked.name, asked.text, asked.chips, asked.hypothesis, asked.multi_label, asked.scorer)
        answer = await ask(request, question, service, metrics)
    except ZerostartError as error:
        return replace(asked, error=error_page(error).message)
    link = _link(links, asked)
    return replace(
        asked,
        results=_bars(answer.document, multi_label=asked.multi_label),
        latency=duration_shown(answer.latency_s),
        note=_note(answer.document),
        link=link if len(link) <= _LONGEST_LINK else "",
    )


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
    if asked.scorer:
        query["scorer"] = asked.scorer
    return links.played(asked.name, query)
