"""The hub: models found by words and filters, and a page for each with its card, its deploy form and code."""

import os
from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

from markupsafe import Markup
from starlette.concurrency import run_in_threadpool
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from zerostart.bootstrap.server import ServerParts
from zerostart.errors import ZerostartError
from zerostart.metrics import ControlPlaneMetrics
from zerostart.models.catalogue import catalogue, language_names
from zerostart.server.web.contexts import (
    AccuracyRow,
    Choice,
    DeployForm,
    HubChosen,
    HubPage,
    ModelPage,
    TryIt,
)
from zerostart.server.web.deploy_form import as_typed, deployment_of, instance_types
from zerostart.server.web.edge import Visit, WebEdge
from zerostart.server.web.errors import error_page
from zerostart.server.web.fetch_pages import fetch_state
from zerostart.server.web.formats import bytes_shown, parameters_shown
from zerostart.server.web.idle_times import idle_times
from zerostart.server.web.markdown import card_html
from zerostart.server.web.model_cards import model_card
from zerostart.server.web.snippets import model_snippets
from zerostart.server.web.try_it import link_after_deploying, tried
from zerostart.services.deployment import Deployment
from zerostart.services.hub import HubFilter, HubModel
from zerostart.storage.base import parse_uri

_SIZES = (
    ("", "Any size"),
    ("50", "Up to 50 M"),
    ("150", "Up to 150 M"),
    ("300", "Up to 300 M"),
    ("450", "Up to 450 M"),
)
_KINDS = (("", "Any kind"), ("nli", "NLI model"), ("embedding", "Embedding model"))
_SORTS = (("best", "Best match"), ("name", "Name"), ("small", "Smallest first"))
_CARDS_OF_A_PAGE = 30
_MOST_CARDS = 960


class HubPages:
    """Pages of the hub."""

    def __init__(self, edge: WebEdge, parts: ServerParts, metrics: ControlPlaneMetrics) -> None:
        self._edge = edge
        self._parts = parts
        self._metrics = metrics

    def routes(self) -> list[Route]:
        """The search, and the models. A model's page is also what its deploy form is sent to."""
        links = self._edge.renderer.links
        model = f"{links.hub}/models/{{model_id:path}}"
        return [
            Route(links.hub, self._edge.signed_in(self._search), methods=["GET"]),
            Route(model, self._edge.signed_in(self._model), methods=["GET"]),
            Route(model, self._edge.signed_in(self._deploy), methods=["POST"]),
        ]

    async def _search(self, visit: Visit) -> Response:
        visit.require("sagemaker:ListHubContents")
        asked = visit.request.query_params
        chosen = HubChosen(
            words=asked.get("words", "")[:200],
            **{name: asked.get(name, "")[:60] for name in ("language", "size", "licence", "kind")},
            sort=asked.get("sort", "best"),
            commercial="commercial" in asked,
            here="here" in asked,
        )
        found = await run_in_threadpool(self._found, chosen)
        shown = _shown(asked.get("shown", ""))
        page = HubPage(
            chosen=chosen,
            languages=[Choice("", "Any language"), *_languages()],
            sizes=[Choice(*each) for each in _SIZES],
            licences=[Choice("", "Any licence"), *(Choice(each, each) for each in _licences())],
            kinds=[Choice(*each) for each in _KINDS],
            sorts=[Choice(*each) for each in _SORTS],
            cards=[model_card(model) for model in found[:shown]],
            count=len(found),
            more_link=self._address(chosen, shown + _CARDS_OF_A_PAGE) if len(found) > shown else "",
            is_filtered=bool(_narrowing(chosen)),
        )
        response = self._edge.page(visit.request, page)
        if visit.is_fragment:
            response.headers["HX-Replace-Url"] = self._address(chosen, shown)  # without the fields that say nothing
        return response

    def _address(self, chosen: HubChosen, shown: int) -> str:
        """The hub as it is seen now."""
        parameters = _narrowing(chosen)
        if chosen.sort != HubChosen.sort:
            parameters["sort"] = chosen.sort
        if shown > _CARDS_OF_A_PAGE:
            parameters["shown"] = str(shown)
        return self._edge.renderer.links.hub_search(**parameters)

    async def _model(self, visit: Visit) -> Response:
        visit.require("sagemaker:DescribeHubContent")
        model = await run_in_threadpool(self._parts.hub.model, visit.request.path_params["model_id"])
        return await self._page(visit, model, None, profile=visit.request.query_params.get("profile", "")[:2000])

    async def _deploy(self, visit: Visit) -> Response:
        for action in ("CreateModel", "CreateEndpointConfig", "CreateEndpoint"):
            visit.require(f"sagemaker:{action}")
        form = visit.form
        model = await run_in_threadpool(self._parts.hub.model, visit.request.path_params["model_id"])
        try:
            deployment = deployment_of(model.entry.id, form)
            await run_in_threadpool(self._make, deployment)
        except ZerostartError as error:
            return await self._page(visit, model, as_typed(form, error), error_page(error).status)
        links = self._edge.renderer.links
        return RedirectResponse(link_after_deploying(model.entry, deployment.name, form.get("example", ""), links), 303)

    def _make(self, deployment: Deployment) -> None:
        if deployment.output_uri:
            self._parts.store.bucket(parse_uri(deployment.output_uri)[0])
        self._parts.deployments.deploy(deployment)

    async def _page(
        self, visit: Visit, model: HubModel, form: DeployForm | None, status: int = 200, profile: str = ""
    ) -> Response:
        try_it = TryIt()
        if model.artefact is not None:
            try_it = await tried(visit, model.entry, self._parts, self._metrics, self._edge.renderer.links)
        page = await run_in_threadpool(self._model_page, model, form, try_it, profile)
        return self._edge.page(visit.request, page, status)

    def _found(self, chosen: HubChosen) -> Sequence[HubModel]:
        wanted = HubFilter(
            language=chosen.language or None,
            kind=chosen.kind or None,
            licence=chosen.licence or None,
            max_parameters_millions=int(chosen.size) if chosen.size.isdecimal() else None,
            commercial=chosen.commercial,
            local=chosen.here,
        )
        found = self._parts.hub.search(chosen.words, wanted)
        if chosen.sort == "name":
            found = sorted(found, key=lambda model: model.entry.name.lower())
        if chosen.sort == "small":
            found = sorted(found, key=lambda model: model.entry.parameters_millions or 10**9)
        return found

    def _model_page(self, model: HubModel, form: DeployForm | None, try_it: TryIt, profile: str) -> ModelPage:
        name = form.name if form else self._parts.deployments.free_name(model.entry.id.rpartition("/")[2])
        form = form or DeployForm(name, profile=profile)
        is_wrong = form.error is not None or form.problems
        snippet_name = self._parts.deployments.free_name(model.entry.name) if is_wrong else name
        settings = self._parts.settings
        return ModelPage(
            card=model_card(model),
            facts=_facts(model),
            sources=_sources(model),
            accuracy=_accuracy(model),
            card_html=card_html(self._parts.hub.card(model)) if model.artefact else Markup(),
            form=form,
            instance_types=instance_types(form.instance_type),
            idle_times=idle_times(settings.idle_timeout_s, form.idle),
            not_isolated=self._parts.models.not_isolated,
            buckets=self._answer_folders(),
            cores=settings.threads or os.cpu_count() or 1,
            snippets=model_snippets(
                model.entry.id, _jumpstart_id(model), snippet_name, "ml.m5.xlarge", settings.region
            ),
            fetch=fetch_state(self._parts.fetches, model.entry.id),
            try_it=try_it,
        )

    def _answer_folders(self) -> Sequence[str] | None:
        """A folder in each bucket; None where listing them would take a request to another service."""
        if self._parts.settings.storage != "local":
            return None
        return [f"s3://{bucket.name}/answers" for bucket in self._parts.store.buckets()]


def _facts(model: HubModel) -> Mapping[str, str]:
    entry, artefact = model.entry, model.artefact
    facts = {
        "Model id": entry.id,
        "Languages": ", ".join(language_names().get(code, code) for code in entry.languages),
        "Size": parameters_shown(entry.parameters_millions),
        "Architecture": entry.architecture,
        "Longest input": f"{entry.max_tokens:,} tokens" if entry.max_tokens else "unknown",
        "Licence": entry.licence,
        "Commercial use": entry.commercial,
        "Hypothesis template": entry.hypothesis_template,
    }
    if artefact is not None:
        facts |= {"On disk": bytes_shown(artefact.size_bytes), "Revision": artefact.manifest.revision}
    if entry.jumpstart:
        facts["JumpStart id"] = ", ".join(name.id for name in entry.jumpstart)
    return facts


def _jumpstart_id(model: HubModel) -> str | None:
    return model.entry.jumpstart[0].id if model.entry.jumpstart else None


def _sources(model: HubModel) -> Mapping[str, str]:
    found = {"Original model card": model.entry.card, "Paper": model.entry.paper or ""}
    return {name: address for name, address in found.items() if address.startswith("https://")}


def _accuracy(model: HubModel) -> Sequence[AccuracyRow]:
    return [
        AccuracyRow(each.dataset, each.metric, f"{each.value:.3f}", urlsplit(each.source).netloc, each.source)
        for each in model.entry.accuracy
    ]


def _narrowing(chosen: HubChosen) -> dict[str, str]:
    """What was chosen that leaves models out."""
    words = {name: getattr(chosen, name) for name in ("words", "language", "size", "licence", "kind")}
    marks = {name: "on" for name in ("here", "commercial") if getattr(chosen, name)}
    return {name: value for name, value in words.items() if value} | marks


def _shown(number: str) -> int:
    """How many results the address asks for."""
    asked = int(number) if number.isascii() and number.isdecimal() and len(number) < 5 else 0
    return max(_CARDS_OF_A_PAGE, min(asked, _MOST_CARDS))


def _languages() -> list[Choice]:
    used = {code for entry in catalogue() for code in entry.languages}
    names = {code: name for code, name in language_names().items() if code in used}
    return [Choice(code, name) for code, name in sorted(names.items(), key=lambda each: each[1])]


def _licences() -> list[str]:
    return sorted({entry.licence for entry in catalogue()}, key=str.lower)
