"""The web face: pages for people with a browser, on the server's one port."""

import hashlib
from collections.abc import Collection, Mapping

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from zerostart.bootstrap.server import ServerParts
from zerostart.credentials import AccessKey
from zerostart.metrics import ControlPlaneMetrics
from zerostart.server.web.assets import Assets
from zerostart.server.web.clean_up_pages import CleanUpPages
from zerostart.server.web.contexts import HomePage, InvokerHomePage
from zerostart.server.web.edge import Visit, WebEdge
from zerostart.server.web.endpoint_pages import EndpointPages
from zerostart.server.web.endpoint_rows import EndpointViews
from zerostart.server.web.hub_pages import HubPages, featured
from zerostart.server.web.links import Links
from zerostart.server.web.rendering import Renderer
from zerostart.server.web.sessions import Sessions
from zerostart.server.web.sign_in import SignIn
from zerostart.server.web.traffic import TrafficWatch
from zerostart.serving.http import Gate

_ENDPOINTS_AT_HOME = 5


class WebFace:
    """Every page. `hosts` are the names under which browsers may ask for them."""

    def __init__(
        self,
        parts: ServerParts,
        keys: Mapping[str, AccessKey],
        gate: Gate,
        metrics: ControlPlaneMetrics,
        hosts: Collection[str],
    ) -> None:
        self.traffic = TrafficWatch(metrics)
        self._parts = parts
        self._assets = Assets()
        self._views = EndpointViews(parts, self.traffic)
        sessions, renderer = Sessions(keys), Renderer(Links(self._assets))
        self._edge = WebEdge(sessions, renderer, gate, hosts, _cookie(parts), parts.settings.max_body_bytes)
        self._sign_in = SignIn(self._edge, sessions, keys, parts.settings.sign_in_folder)
        self._hub = HubPages(self._edge, parts)
        self._endpoints = EndpointPages(self._edge, parts, self._views, metrics)
        self._clean_up = CleanUpPages(self._edge, parts)

    def routes(self) -> list[Route]:
        """The pages and their static files. No route of theirs is one of the API's."""
        return [
            Route("/", self._edge.signed_in(self._home), methods=["GET"]),
            Route("/static/{name}", self._edge.guarded(self._assets.answer), methods=["GET"]),
            *self._sign_in.routes(),
            *self._hub.routes(),
            *self._endpoints.routes(),
            *self._clean_up.routes(),
        ]

    @staticmethod
    def is_asked(request: Request) -> bool:
        """Whether a browser asks, and not a program: for what is nowhere it gets a page."""
        return "text/html" in request.headers.get("accept", "")

    async def refuse(self, request: Request, error: HTTPException) -> Response:
        """The page for an address or a method that is not there."""

        async def fail(_request: Request) -> Response:
            raise error

        return await self._edge.guarded(fail)(request)

    async def _home(self, visit: Visit) -> Response:
        if not visit.may("sagemaker:ListHubContents"):
            return self._edge.page(visit.request, InvokerHomePage(visit.caller.endpoints))
        models = await run_in_threadpool(self._parts.hub.models)
        rows, more = await run_in_threadpool(self._views.rows, _ENDPOINTS_AT_HOME)
        page = HomePage(featured(models), len(models), rows, more is not None)
        return self._edge.page(visit.request, page)


def _cookie(parts: ServerParts) -> str:
    """One name for each installation: browsers share cookies between the ports of a machine."""
    return f"zerostart-{hashlib.sha256(str(parts.settings.home).encode()).hexdigest()[:8]}"
