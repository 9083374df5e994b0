"""The landing page: the catalogue's search, models to start with, and what runs now."""

import time

from starlette.concurrency import run_in_threadpool
from starlette.responses import Response
from starlette.routing import Route

from zerostart.bootstrap.server import ServerParts
from zerostart.server.web.contexts import HomePage, InvokerHomePage, Running, RunningFragment, RunningRow
from zerostart.server.web.edge import Visit, WebEdge
from zerostart.server.web.endpoint_rows import EndpointViews
from zerostart.server.web.fetch_pages import shown_fetch
from zerostart.server.web.formats import bytes_shown, idle_shown
from zerostart.server.web.model_cards import featured

_ENDPOINTS_SHOWN = 6


class HomePages:
    """The landing page of each role, and the part of it that follows what happens."""

    def __init__(self, edge: WebEdge, parts: ServerParts, views: EndpointViews) -> None:
        self._edge = edge
        self._parts = parts
        self._views = views

    def routes(self) -> list[Route]:
        """The page, and what runs."""
        links = self._edge.renderer.links
        return [
            Route(links.home, self._edge.signed_in(self._home), methods=["GET"]),
            Route(links.running, self._edge.signed_in(self._running), methods=["GET"]),
        ]

    async def _home(self, visit: Visit) -> Response:
        if not visit.may("sagemaker:ListHubContents"):
            return self._edge.page(visit.request, InvokerHomePage(visit.caller.endpoints))
        models = await run_in_threadpool(self._parts.hub.models)
        page = HomePage(featured(models), len(models), await run_in_threadpool(self._now))
        return self._edge.page(visit.request, page)

    async def _running(self, visit: Visit) -> Response:
        visit.require("sagemaker:ListEndpoints")
        return self._edge.page(visit.request, RunningFragment(await run_in_threadpool(self._now)))

    def _now(self) -> Running:
        rows, more = self._views.rows(_ENDPOINTS_SHOWN)
        instances = [
            instance
            for variants in self._parts.router.snapshot().values()
            for variant in variants
            for instance in variant.instances
        ]
        return Running(
            rows=[RunningRow(row, self._last_asked(row.name)) for row in rows],
            more_endpoints=more is not None,
            instances=len(instances),
            memory=bytes_shown(sum(instance.memory_bytes() for instance in instances)) if instances else "",
            fetches=[shown_fetch(fetch) for fetch in self._parts.fetches.running()],
        )

    def _last_asked(self, endpoint: str) -> str:
        return idle_shown(time.monotonic() - self._parts.router.asked_s(endpoint))
