"""Trying a model on its page: by an endpoint that serves it, never within this process."""

from starlette.requests import Request

from zerostart.bootstrap.server import ServerParts
from zerostart.metrics import ControlPlaneMetrics
from zerostart.models.catalogue import CatalogueEntry, names_of
from zerostart.server.web.contexts import TryExample, TryIt
from zerostart.server.web.edge import Visit
from zerostart.server.web.examples import examples_for
from zerostart.server.web.links import Links
from zerostart.server.web.playground import PlayedModel, example_link, example_playground, played


async def tried(
    visit: Visit, entry: CatalogueEntry, parts: ServerParts, metrics: ControlPlaneMetrics, links: Links
) -> TryIt:
    """The examples of a model, and the scores of the one that the address names."""
    endpoint = _endpoint_of(entry.id, visit, parts)
    model = PlayedModel(entry.hypothesis_template, entry.languages)
    chosen = _chosen(visit.request)
    examples = [
        TryExample(
            number=number,
            title=each.title,
            text=each.text,
            labels=each.labels,
            link=links.try_example(entry.id, number) if endpoint else "",
            playground=example_link(links, endpoint, each, model) if endpoint else "",
            is_shown=bool(endpoint) and number == chosen,
        )
        for number, each in enumerate(examples_for(entry.languages), 1)
    ]
    if not any(each.is_shown for each in examples):
        return TryIt(endpoint, examples)
    asked = example_playground(endpoint, examples_for(entry.languages)[chosen - 1], model)
    result = await played(visit.request, asked, parts.invocations, metrics, links)
    return TryIt(endpoint, examples, result.results, result.latency, result.error)


def link_after_deploying(entry: CatalogueEntry, endpoint: str, number: str, links: Links) -> str:
    """The new endpoint's page; with an example filled in, if the form was sent by that example's button."""
    examples = examples_for(entry.languages)
    if not (number.isascii() and number.isdecimal() and 0 < int(number[:6]) <= len(examples)):
        return links.endpoint(endpoint)
    model = PlayedModel(entry.hypothesis_template, entry.languages)
    return example_link(links, endpoint, examples[int(number) - 1], model)


def _endpoint_of(model_id: str, visit: Visit, parts: ServerParts) -> str:
    """An endpoint that serves nothing but this model now, and that the visitor may ask; empty if there is none."""
    names = set(names_of(model_id))
    for endpoint, variants in sorted(parts.router.snapshot().items()):
        served = {each.spec.model_id for variant in variants for each in variant.instances}
        if served and served <= names and visit.may("sagemaker:InvokeEndpoint", parts.arns.of("endpoint", endpoint)):
            return endpoint
    return ""


def _chosen(request: Request) -> int:
    number = request.query_params.get("example", "")
    return int(number) if number.isascii() and number.isdecimal() and len(number) < 3 else 0
