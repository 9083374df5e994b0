"""The playground for many texts: pasted, or read from a file by the page's script; a table, or a CSV file."""

from starlette.concurrency import run_in_threadpool
from starlette.responses import Response
from starlette.routing import Route

from zerostart.bootstrap.server import ServerParts
from zerostart.errors import InvalidInput
from zerostart.metrics import ControlPlaneMetrics
from zerostart.server.web.edge import Visit, WebEdge
from zerostart.server.web.endpoint_contexts import Playground
from zerostart.server.web.playground import PlayedModel, played_model, typed
from zerostart.server.web.texts import MOST_TEXTS, Scored, as_csv, scored, texts_result
from zerostart.server.web.texts_contexts import TextsFragment, TextsPage, TextsResult


class TextsPages:
    """For those who may invoke the endpoint."""

    def __init__(self, edge: WebEdge, parts: ServerParts, metrics: ControlPlaneMetrics) -> None:
        self._edge = edge
        self._parts = parts
        self._metrics = metrics

    def routes(self) -> list[Route]:
        """One address."""
        path = f"{self._edge.renderer.links.endpoints}/{{name}}/texts"
        return [
            Route(path, self._edge.signed_in(self._show), methods=["GET"]),
            Route(path, self._edge.signed_in(self._classify), methods=["POST"]),
        ]

    async def _show(self, visit: Visit) -> Response:
        name = self._invocable(visit)
        model = await run_in_threadpool(played_model, self._parts, name)
        return self._page(visit, typed(name, visit.request.query_params, model), TextsResult())

    async def _classify(self, visit: Visit) -> Response:
        name = self._invocable(visit)
        model = PlayedModel() if visit.is_fragment else await run_in_threadpool(played_model, self._parts, name)
        asked = typed(name, visit.form, model)
        try:
            found = await scored(visit.request, asked, self._parts.invocations, self._metrics)
            if visit.form.get("format") == "csv":
                return _download(found, asked)
            result = texts_result(found)
        except InvalidInput as error:
            result = TextsResult(error=str(error))
        if visit.is_fragment:
            return self._edge.page(visit.request, TextsFragment(result))
        return self._page(visit, asked, result)

    def _page(self, visit: Visit, asked: Playground, result: TextsResult) -> Response:
        return self._edge.page(visit.request, TextsPage(asked.name, asked, MOST_TEXTS, result))

    def _invocable(self, visit: Visit) -> str:
        name: str = visit.request.path_params["name"]
        visit.require("sagemaker:InvokeEndpoint", self._parts.arns.of("endpoint", name))
        return name


def _download(found: Scored, asked: Playground) -> Response:
    headers = {"Content-Disposition": 'attachment; filename="scores.csv"'}
    return Response(as_csv(found, asked.chips), media_type="text/csv; charset=utf-8", headers=headers)
