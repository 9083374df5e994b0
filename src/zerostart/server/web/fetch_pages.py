"""Fetching a model that is not on this machine: begun, followed and ended on the model's page."""

from starlette.concurrency import run_in_threadpool
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from zerostart.bootstrap.server import ServerParts
from zerostart.server.web.edge import Visit, WebEdge
from zerostart.server.web.fetch_contexts import FetchFragment, FetchState
from zerostart.server.web.formats import bytes_shown
from zerostart.services.model_fetch import ModelFetch, ModelFetchService


class FetchPages:
    """A fetch's address answers parts of the model's page; without JavaScript it leads back to that page."""

    def __init__(self, edge: WebEdge, parts: ServerParts) -> None:
        self._edge = edge
        self._links = edge.renderer.links
        self._parts = parts

    def routes(self) -> list[Route]:
        """One address a model."""
        path = f"{self._links.hub}/fetches/{{model_id:path}}"
        return [
            Route(path, self._edge.signed_in(self._show), methods=["GET"]),
            Route(path, self._edge.signed_in(self._change), methods=["POST"]),
        ]

    async def _show(self, visit: Visit) -> Response:
        visit.require("sagemaker:DescribeHubContent")
        model = await run_in_threadpool(self._parts.hub.model, visit.request.path_params["model_id"])
        fetch = self._parts.fetches.find(model.entry.id)
        page = self._links.model(model.entry.id)
        if not visit.is_fragment:
            return RedirectResponse(page, 303)
        if fetch is None and model.artefact is not None:
            return Response(headers={"HX-Redirect": page})  # where it can be deployed now
        return self._edge.page(visit.request, FetchFragment(fetch_state(self._parts.fetches, model.entry.id)))

    async def _change(self, visit: Visit) -> Response:
        visit.require("sagemaker:ImportHubContent")
        model = await run_in_threadpool(self._parts.hub.model, visit.request.path_params["model_id"])
        change = self._parts.fetches.stop if "cancel" in visit.form else self._parts.fetches.start
        await run_in_threadpool(change, model.entry.id)
        if not visit.is_fragment:
            return RedirectResponse(self._links.model(model.entry.id), 303)
        return self._edge.page(visit.request, FetchFragment(fetch_state(self._parts.fetches, model.entry.id)))


def fetch_state(fetches: ModelFetchService, model_id: str) -> FetchState:
    """A model's fetch as its page shows it."""
    fetch = fetches.find(model_id)
    command = f"zerostart models pull {model_id}"
    return FetchState(model_id, command) if fetch is None else shown_fetch(fetch, command)


def shown_fetch(fetch: ModelFetch, command: str = "") -> FetchState:
    """A fetch in words."""
    known = fetch.total_bytes > 0
    return FetchState(
        model_id=fetch.model_id,
        pull_command=command,
        stage=fetch.stage.value,
        is_running=fetch.stage.is_running,
        done=bytes_shown(fetch.done_bytes) if known else "",
        total=bytes_shown(fetch.total_bytes) if known else "",
        share=100 * fetch.done_bytes // fetch.total_bytes if known else None,
        message=fetch.message,
    )
