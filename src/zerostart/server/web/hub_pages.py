"""The hub: models found by words and filters, and a page for each with its card, its deploy form and code."""

from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

from markupsafe import Markup
from starlette.concurrency import run_in_threadpool
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from zerostart.bootstrap.server import ServerParts
from zerostart.errors import InvalidInput, ZerostartError
from zerostart.hosting.instance_type import resources_of
from zerostart.models.catalogue import catalogue, language_names
from zerostart.server.web.contexts import AccuracyRow, Choice, DeployForm, HubChosen, HubPage, ModelCard, ModelPage
from zerostart.server.web.edge import Visit, WebEdge
from zerostart.server.web.errors import error_page
from zerostart.server.web.formats import bytes_shown, languages_shown, parameters_shown
from zerostart.server.web.forms import whole_number
from zerostart.server.web.idle_times import idle_times
from zerostart.server.web.markdown import card_html
from zerostart.server.web.snippets import model_snippets
from zerostart.services.deployment import Deployment
from zerostart.services.hub import HubFilter, HubModel
from zerostart.services.idle import parse_idle_timeout

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
_INSTANCE_TYPES = ("ml.t3.medium", "ml.c5.large", "ml.m5.large", "ml.m5.xlarge", "ml.m5.2xlarge", "ml.r5.2xlarge")
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
            deployment = _deployment(model_id, form)
            await run_in_threadpool(self._parts.deployments.deploy, deployment)
        except ZerostartError as error:
            told = error_page(error)
            page = await run_in_threadpool(self._model_page, model_id, _as_typed(form, told.message))
            return self._edge.page(visit.request, page, told.status)
        return RedirectResponse(self._edge.renderer.links.endpoint(deployment.name), 303)

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
        snippet_name = name if form.error is None else self._parts.deployments.free_name(model.entry.name)
        settings = self._parts.settings
        return ModelPage(
            card=model_card(model),
            facts=_facts(model),
            sources=_sources(model),
            accuracy=_accuracy(model),
            card_html=card_html(self._parts.hub.card(model)) if model.artefact else Markup(),
            form=form,
            instance_types=_instance_types(form.instance_type),
            idle_times=idle_times(settings.idle_timeout_s, form.idle),
            not_isolated=self._parts.models.not_isolated,
            snippets=model_snippets(model.entry.id, snippet_name, "ml.m5.xlarge", settings.region),
            pull_command=f"zerostart models pull {model.entry.id}",
        )


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


def _instance_types(chosen: str) -> list[Choice]:
    names = [*_INSTANCE_TYPES, *([] if chosen in _INSTANCE_TYPES else [chosen])]
    return [Choice(name, f"{name}: {_resources_shown(name)}") for name in names]


def _resources_shown(instance_type: str) -> str:
    resources = resources_of(instance_type)
    return f"up to {resources.vcpus} threads, {resources.memory_bytes / 1024**3:g} GiB"


def _deployment(model_id: str, form: Mapping[str, str]) -> Deployment:
    return Deployment(
        name=form.get("endpoint_name", "").strip(),
        model_id=model_id,
        instance_count=whole_number(form, "instances", "The number of instances"),
        instance_type=form.get("instance_type", ""),
        network_isolation="isolation" in form,
        tags=_tags(form.get("tags", "")),
        idle_timeout_s=parse_idle_timeout(idle, "Stop when idle for") if (idle := form.get("idle", "")) else None,
    )


def _tags(text: str) -> dict[str, str]:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    for line in lines:
        if "=" not in line:
            raise InvalidInput(f"The tag {line[:60]!r} has no '=': write one a line, like team=search.")
    return {key.strip(): value.strip() for key, _, value in (line.partition("=") for line in lines)}


def _as_typed(form: Mapping[str, str], error: str) -> DeployForm:
    return DeployForm(
        name=form.get("endpoint_name", ""),
        instances=form.get("instances", ""),
        instance_type=form.get("instance_type", ""),
        isolation="isolation" in form,
        tags=form.get("tags", ""),
        idle=form.get("idle", ""),
        error=error,
    )
