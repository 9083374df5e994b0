"""Updating an endpoint: other instances, another type, another model."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace

from starlette.concurrency import run_in_threadpool
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from zerostart.bootstrap.server import ServerParts
from zerostart.errors import InvalidField, LimitExceeded, UnknownModel, ZerostartError
from zerostart.metadata.endpoint import DeployedVariant, Endpoint, EndpointStatus
from zerostart.server.web.contexts import Choice
from zerostart.server.web.deploy_form import instance_types
from zerostart.server.web.edge import Visit, WebEdge
from zerostart.server.web.endpoint_contexts import UpdatePage, VariantForm
from zerostart.server.web.errors import error_page
from zerostart.server.web.forms import whole_number
from zerostart.services.redeployment import VariantChange

_FIELDS = {"instance_count": "instances", "instance_type": "type"}  # of the form, by what a change calls it
_FIELDS_OF_ERRORS: Mapping[type[ZerostartError], str] = {LimitExceeded: "instances-0", UnknownModel: "model-0"}


class UpdatePages:
    """The form, and what it does."""

    def __init__(self, edge: WebEdge, parts: ServerParts) -> None:
        self._edge = edge
        self._links = edge.renderer.links
        self._parts = parts

    def routes(self) -> list[Route]:
        """Both under the endpoint's address."""
        address = f"{self._links.endpoints}/{{name}}/update"
        return [
            Route(address, self._edge.signed_in(self._ask), methods=["GET"]),
            Route(address, self._edge.signed_in(self._update), methods=["POST"]),
        ]

    async def _ask(self, visit: Visit) -> Response:
        page = await run_in_threadpool(self._page, self._updatable(visit))
        return self._edge.page(visit.request, page)

    async def _update(self, visit: Visit) -> Response:
        name = self._updatable(visit)
        try:
            await run_in_threadpool(self._change, name, visit.form)
        except ZerostartError as error:
            page = await run_in_threadpool(self._page, name)
            return self._edge.page(visit.request, _as_typed(page, visit.form, error), error_page(error).status)
        return RedirectResponse(self._links.endpoint(name), 303)

    def _updatable(self, visit: Visit) -> str:
        name: str = visit.request.path_params["name"]
        arn = self._parts.arns.of("endpoint", name)
        for action, resource in (
            ("DescribeEndpoint", arn),
            ("UpdateEndpoint", arn),
            ("CreateModel", "*"),
            ("CreateEndpointConfig", "*"),
        ):
            visit.require(f"sagemaker:{action}", resource)
        return name

    def _change(self, name: str, form: Mapping[str, str]) -> None:
        endpoint = self._endpoint(name)
        changes = {each.name: _change_of(form, number, each) for number, each in enumerate(endpoint.variants)}
        self._parts.redeployments.update(name, form.get("config", ""), changes)

    def _endpoint(self, name: str) -> Endpoint:
        return self._parts.endpoints.describe_endpoint(name).endpoint

    def _page(self, name: str) -> UpdatePage:
        endpoint = self._endpoint(name)
        here = [model.entry for model in self._parts.hub.models() if model.artefact is not None]
        models = [Choice(entry.id, f"{entry.name} ({entry.id})") for entry in here]
        late = f"It is {endpoint.status} now: an update can begin once it is InService."
        settings = self._parts.settings
        return UpdatePage(
            name=name,
            config_name=endpoint.config_name,
            variants=[_variant_form(number, each, models) for number, each in enumerate(endpoint.variants)],
            not_isolated=self._parts.models.not_isolated,
            cores=settings.threads or os.cpu_count() or 1,
            error=None if endpoint.status is EndpointStatus.IN_SERVICE else late,
        )


def _variant_form(number: int, variant: DeployedVariant, models: Sequence[Choice]) -> VariantForm:
    model, serverless = variant.model_id, variant.serverless
    known = any(each.value == model for each in models)
    return VariantForm(
        number=number,
        name=variant.name,
        models=models if known else [*models, Choice(model, f"{model}, which is not on this machine any more")],
        model=model,
        instances=str(variant.instance_count),
        types=instance_types(variant.instance_type),
        instance_type=variant.instance_type,
        isolation=variant.network_isolation,
        serverless=f"{serverless.memory_mb} MB, {serverless.max_concurrency} at once" if serverless else "",
    )


def _change_of(form: Mapping[str, str], number: int, present: DeployedVariant) -> VariantChange:
    """What the form asks of a variant. Raises InvalidField with the name that the form has for it."""
    serverless = present.serverless is not None
    try:
        return VariantChange(
            model_id=form.get(f"model-{number}", ""),
            instance_count=present.instance_count
            if serverless
            else whole_number(form, f"instances-{number}", "The number of instances"),
            instance_type=present.instance_type if serverless else form.get(f"type-{number}", ""),
            network_isolation=f"isolation-{number}" in form,
        )
    except InvalidField as error:
        field = _FIELDS.get(error.field)
        raise InvalidField(f"{field}-{number}" if field else error.field, str(error)) from error


def _as_typed(page: UpdatePage, form: Mapping[str, str], error: ZerostartError) -> UpdatePage:
    """The form as it was filled in, with the error beside its field, or above the form where it is of none."""
    of_error = next((field for kind, field in _FIELDS_OF_ERRORS.items() if isinstance(error, kind)), None)
    field = error.field if isinstance(error, InvalidField) else of_error if len(page.variants) == 1 else None
    message = error_page(error).message
    return replace(
        page,
        variants=[_typed_variant(each, form) for each in page.variants],
        error=message if field is None else None,
        problems={} if field is None else {field: message},
    )


def _typed_variant(variant: VariantForm, form: Mapping[str, str]) -> VariantForm:
    number = variant.number
    instance_type = form.get(f"type-{number}", variant.instance_type)
    return replace(
        variant,
        model=form.get(f"model-{number}", variant.model),
        instances=form.get(f"instances-{number}", variant.instances),
        types=instance_types(instance_type),
        instance_type=instance_type,
        isolation=f"isolation-{number}" in form,
    )
