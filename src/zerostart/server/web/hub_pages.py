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
from zerostart.models.catalogue import catalogue, language_names
from zerostart.server.web.contexts import AccuracyRow, Choice, DeployForm, HubChosen, HubPage, ModelCard, ModelPage
from zerostart.server.web.deploy_form import as_typed, deployment_of, instance_types
from zerostart.server.web.edge import Visit, WebEdge
from zerostart.server.web.errors import error_page
from zerostart.server.web.formats import bytes_shown, languages_shown, parameters_shown
from zerostart.server.web.markdown import card_html
from zerostart.server.web.snippets import model_snippets
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
_KIND_NAMES = {"nli": "Zero-shot text classification", "embedding": "Text embedding"}
# Shown on the landing page behind those of this machine: one for each thing that people look for first.
FEATURED = (
    "facebook/bart-large-mnli",
    "MoritzLaurer/deberta-v3-base-zeroshot-v2.0-c",
    "MoritzLaurer/mDeBERTa-v3-base-mnli-xnli",
    "cross-encoder/nli-deberta-v3-xsmall",
    "Recognai/zeroshot_selectra_small",
    "emrecan/convbert-base-turkish-mc4-cased-allnli_tr",
)


class HubPages:
    """Pages of the hub."""

    def __init__(self, edge: WebEdge, parts: ServerParts) -> None:
        self._edge = edge
        self._parts = parts

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
        cards = await run_in_threadpool(self._found, chosen)
        page = HubPage(
            chosen=chosen,
            languages=[Choice("", "Any language"), *_languages()],
            sizes=[Choice(*each) for each in _SIZES],
            licences=[Choice("", "Any licence"), *(Choice(each, each) for each in _licences())],
            kinds=[Choice(*each) for each in _KINDS],
            sorts=[Choice(*each) for each in _SORTS],
            cards=cards,
        )
        return self._edge.page(visit.request, page)

    async def _model(self, visit: Visit) -> Response:
        visit.require("sagemaker:DescribeHubContent")
        model_id = visit.request.path_params["model_id"]
        page = await run_in_threadpool(self._model_page, model_id, None)
        return self._edge.page(visit.request, page)

    async def _deploy(self, visit: Visit) -> Response:
        for action in ("CreateModel", "CreateEndpointConfig", "CreateEndpoint"):
            visit.require(f"sagemaker:{action}")
        model_id, form = visit.request.path_params["model_id"], visit.form
        try:
            deployment = deployment_of(model_id, form)
            await run_in_threadpool(self._make, deployment)
        except ZerostartError as error:
            page = await run_in_threadpool(self._model_page, model_id, as_typed(form, error))
            return self._edge.page(visit.request, page, error_page(error).status)
        return RedirectResponse(self._edge.renderer.links.endpoint(deployment.name), 303)

    def _make(self, deployment: Deployment) -> None:
        if deployment.output_uri:
            self._parts.store.bucket(parse_uri(deployment.output_uri)[0])
        self._parts.deployments.deploy(deployment)

    def _found(self, chosen: HubChosen) -> Sequence[ModelCard]:
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
        return [model_card(model) for model in found]

    def _model_page(self, model_id: str, form: DeployForm | None) -> ModelPage:
        model = self._parts.hub.model(model_id)
        name = form.name if form else self._parts.deployments.free_name(model.entry.id.rpartition("/")[2])
        form = form or DeployForm(name)
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
            not_isolated=self._parts.models.not_isolated,
            buckets=self._answer_folders(),
            cores=settings.threads or os.cpu_count() or 1,
            snippets=model_snippets(model.entry.id, snippet_name, "ml.m5.xlarge", settings.region),
            pull_command=f"zerostart models pull {model.entry.id}",
        )

    def _answer_folders(self) -> Sequence[str] | None:
        """A folder in each bucket; None where listing them would take a request to another service."""
        if self._parts.settings.storage != "local":
            return None
        return [f"s3://{bucket.name}/answers" for bucket in self._parts.store.buckets()]


def featured(models: Sequence[HubModel]) -> Sequence[ModelCard]:
    """The models for the landing page: those that can be deployed at once, then some of the catalogue."""
    here = [model for model in models if model.artefact is not None and model.entry.kind == "nli"]
    by_id = {model.entry.id: model for model in models}
    chosen = [*here[:3], *(by_id[each] for each in FEATURED if by_id[each] not in here[:3])]
    return [model_card(model) for model in chosen[:6]]


def model_card(model: HubModel) -> ModelCard:
    """A model as lists show it."""
    entry = model.entry
    return ModelCard(
        id=entry.id,
        name=entry.name,
        description=entry.description,
        languages=languages_shown(entry.languages),
        size=parameters_shown(entry.parameters_millions),
        licence=entry.licence,
        commercial=entry.commercial == "yes",
        kind=_KIND_NAMES[entry.kind],
        is_here=model.artefact is not None,
    )


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


def _sources(model: HubModel) -> Mapping[str, str]:
    found = {"Original model card": model.entry.card, "Paper": model.entry.paper or ""}
    return {name: address for name, address in found.items() if address.startswith("https://")}


def _accuracy(model: HubModel) -> Sequence[AccuracyRow]:
    rows = []
    for each in model.entry.accuracy:
        address = each.source if each.source.startswith("https://") else ""
        source = urlsplit(address).netloc or each.source
        rows.append(AccuracyRow(each.dataset, each.metric, f"{each.value:.3f}", source, address))
    return rows


def _languages() -> list[Choice]:
    used = {code for entry in catalogue() for code in entry.languages}
    names = {code: name for code, name in language_names().items() if code in used}
    return [Choice(code, name) for code, name in sorted(names.items(), key=lambda each: each[1])]


def _licences() -> list[str]:
    return sorted({entry.licence for entry in catalogue()}, key=str.lower)
