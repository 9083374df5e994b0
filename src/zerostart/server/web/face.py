"""The web face: pages for people with a browser, on the server's one port."""

import asyncio
import hashlib
from collections.abc import Collection, Mapping

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from zerostart.bootstrap.server import ServerParts
from zerostart.credentials import AccessKey
from zerostart.metrics import ControlPlaneMetrics
from zerostart.server.web.assets import Assets
from zerostart.server.web.batch_pages import BatchPages
from zerostart.server.web.bucket_pages import BucketPages
from zerostart.server.web.clean_up_pages import CleanUpPages
from zerostart.server.web.decide_pages import DecidePages
from zerostart.server.web.edge import WebEdge
from zerostart.server.web.endpoint_pages import EndpointPages
from zerostart.server.web.endpoint_rows import EndpointViews
from zerostart.server.web.evaluate_pages import EvaluatePages
from zerostart.server.web.fetch_pages import FetchPages
from zerostart.server.web.history import History
from zerostart.server.web.home_pages import HomePages
from zerostart.server.web.hub_pages import HubPages
from zerostart.server.web.links import Links
from zerostart.server.web.new_batch import NewBatchPages
from zerostart.server.web.new_evaluation import NewEvaluationPages
from zerostart.server.web.object_pages import ObjectPages
from zerostart.server.web.page_store import PageStore
from zerostart.server.web.rendering import Renderer
from zerostart.server.web.sessions import Sessions
from zerostart.server.web.settings_pages import SettingsPages
from zerostart.server.web.sign_in import SignIn
from zerostart.server.web.solution_pages import SolutionPages
from zerostart.server.web.texts_pages import TextsPages
from zerostart.server.web.traffic import TrafficWatch
from zerostart.server.web.update_pages import UpdatePages
from zerostart.services.access_key import KeyUses
from zerostart.serving.http import Gate


class WebFace:
    """Every page. `hosts` are the names under which browsers may ask for them."""

    def __init__(
        self,
        parts: ServerParts,
        keys: Mapping[str, AccessKey],
        uses: KeyUses,
        gate: Gate,
        metrics: ControlPlaneMetrics,
        hosts: Collection[str],
    ) -> None:
        self._traffic = TrafficWatch(metrics)
        self._history = History(self._traffic, parts.router)
        self._assets = Assets()
        self._views = EndpointViews(parts, self._traffic)
        sessions, renderer = Sessions(keys), Renderer(Links(self._assets))
        self._edge = WebEdge(sessions, uses, renderer, gate, hosts, _cookie(parts), parts.settings.max_body_bytes)
        self._sign_in = SignIn(self._edge, sessions, keys, parts.settings.sign_in_folder)
        self._home = HomePages(self._edge, parts, self._views)
        self._hub = HubPages(self._edge, parts, metrics)
        self._fetches = FetchPages(self._edge, parts)
        self._texts = TextsPages(self._edge, parts, metrics)
        self._decide = DecidePages(self._edge, parts, metrics)
        self._endpoints = EndpointPages(self._edge, parts, self._views, self._history, metrics)
        self._updates = UpdatePages(self._edge, parts)
        self._settings = SettingsPages(self._edge, parts, keys, uses)
        self._clean_up = CleanUpPages(self._edge, parts)
        self._solutions = SolutionPages(self._edge, parts)
        store = PageStore(parts)
        self._buckets = BucketPages(self._edge, store)
        self._objects = ObjectPages(self._edge, store)
        self._new_batch = NewBatchPages(self._edge, parts, store)
        self._batch = BatchPages(self._edge, parts, store)
        self._new_evaluation = NewEvaluationPages(self._edge, parts, store)
        self._evaluate = EvaluatePages(self._edge, parts, store)

    async def run(self) -> None:
        """Follow what endpoints do, for ever."""
        await asyncio.gather(self._traffic.run(), self._history.run())

    def routes(self) -> list[Route]:
        """The pages and their static files. No route of theirs is one of the API's."""
        return [
            *self._home.routes(),
            Route("/static/{name}", self._edge.guarded(self._assets.answer), methods=["GET"]),
            *self._sign_in.routes(),
            *self._hub.routes(),
            *self._fetches.routes(),
            *self._texts.routes(),
            *self._decide.routes(),
            *self._endpoints.routes(),
            *self._updates.routes(),
            *self._settings.routes(),
            *self._buckets.routes(),
            *self._objects.routes(),
            *self._new_batch.routes(),
            *self._batch.routes(),
            *self._new_evaluation.routes(),
            *self._evaluate.routes(),
            *self._clean_up.routes(),
            *self._solutions.routes(),
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


def _cookie(parts: ServerParts) -> str:
    """One name for each installation: browsers share cookies between the ports of a machine."""
    return f"zerostart-{hashlib.sha256(str(parts.settings.home).encode()).hexdigest()[:8]}"
