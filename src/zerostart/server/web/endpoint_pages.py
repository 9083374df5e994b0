"""Endpoints: the list, each with its playground, and deleting one."""

from starlette.concurrency import run_in_threadpool
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from zerostart.bootstrap.server import ServerParts
from zerostart.errors import NotFound
from zerostart.metadata.endpoint import EndpointStatus
from zerostart.metrics import ControlPlaneMetrics
from zerostart.server.web.charts import ChartPanel, chart_panel
from zerostart.server.web.edge import Visit, WebEdge
from zerostart.server.web.endpoint_contexts import (
    ChartsFragment,
    DeletePage,
    EndpointPage,
    EndpointsPage,
    EndpointStatusFragment,
    Playground,
    PlaygroundFragment,
)
from zerostart.server.web.endpoint_rows import EndpointViews
from zerostart.server.web.history import History
from zerostart.server.web.playground import PlayedModel, examples, played, played_model, typed
from zerostart.server.web.snippets import endpoint_snippets

_ROWS_OF_A_PAGE = 50


class EndpointPages:
    """Pages of endpoints. Who may invoke one sees its playground; who may describe it, everything."""

    def __init__(
        self,
        edge: WebEdge,
        parts: ServerParts,
        views: EndpointViews,
        history: History,
        metrics: ControlPlaneMetrics,
    ) -> None:
        self._edge = edge
        self._links = edge.renderer.links
        self._parts = parts
        self._views = views
        self._history = history
        self._metrics = metrics

    def routes(self) -> list[Route]:
        """The list, and all that is under one endpoint's address."""
        page, one = self._edge.signed_in, f"{self._links.endpoints}/{{name}}"
        return [
            Route(self._links.endpoints, page(self._list), methods=["GET"]),
            Route(one, page(self._show), methods=["GET"]),
            Route(f"{one}/status", page(self._status), methods=["GET"]),
            Route(f"{one}/charts", page(self._charts), methods=["GET"]),
            Route(f"{one}/playground", page(self._play), methods=["POST"]),
            Route(f"{one}/delete", page(self._ask), methods=["GET"]),
            Route(f"{one}/delete", page(self._delete), methods=["POST"]),
        ]

    async def _list(self, visit: Visit) -> Response:
        visit.require("sagemaker:ListEndpoints")
        token = visit.request.query_params.get("from")
        rows, next_token = await run_in_threadpool(self._views.rows, _ROWS_OF_A_PAGE, token)
        return self._edge.page(visit.request, EndpointsPage(rows, token is None, next_token))

    async def _show(self, visit: Visit) -> Response:
        name = self._invocable(visit)
        model = await run_in_threadpool(played_model, self._parts, name)
        asked = typed(name, visit.request.query_params, model)
        return await self._page(visit, await self._played(visit, asked), model)

    async def _play(self, visit: Visit) -> Response:
        name = self._invocable(visit)
        model = PlayedModel() if visit.is_fragment else await run_in_threadpool(played_model, self._parts, name)
        playground = await self._played(visit, typed(name, visit.form, model))
        if not visit.is_fragment:
            return await self._page(visit, playground, model)
        response = self._edge.page(visit.request, PlaygroundFragment(playground))
        if playground.link:
            response.headers["HX-Replace-Url"] = playground.link
        return response

    async def _status(self, visit: Visit) -> Response:
        name = visit.request.path_params["name"]
        visit.require("sagemaker:DescribeEndpoint", self._arn(name))
        try:
            details = await run_in_threadpool(self._views.details, name)
        except NotFound:
            return Response(headers={"HX-Redirect": self._links.endpoints})
        response = self._edge.page(visit.request, EndpointStatusFragment(details))
        seen = visit.request.query_params.get("seen")
        if details.row.status == EndpointStatus.IN_SERVICE and seen != EndpointStatus.IN_SERVICE:
            response.headers["HX-Trigger"] = "endpoint-ready"  # what was typed meanwhile is asked now
        return response

    async def _charts(self, visit: Visit) -> Response:
        name = visit.request.path_params["name"]
        visit.require("sagemaker:DescribeEndpoint", self._arn(name))
        try:
            await run_in_threadpool(self._parts.endpoints.describe_endpoint, name)
        except NotFound:
            return Response(status_code=204)  # the status, which is asked for too, leads away
        return self._edge.page(visit.request, ChartsFragment(name, await self._panel(name)))

    async def _panel(self, name: str) -> ChartPanel:
        return chart_panel(await run_in_threadpool(self._history.of, name))

    async def _ask(self, visit: Visit) -> Response:
        name = self._deletable(visit)
        details = await run_in_threadpool(self._views.details, name)
        belongings = await run_in_threadpool(self._parts.deployments.belongings, name)
        page = DeletePage(
            name=name,
            instances=details.row.instances,
            memory=details.row.memory,
            config_names=belongings.config_names,
            model_names=belongings.model_names,
            with_belongings=belongings.made_for_it,
        )
        return self._edge.page(visit.request, page)

    async def _delete(self, visit: Visit) -> Response:
        name, with_belongings = self._deletable(visit), "belongings" in visit.form
        for kind in ("Model", "EndpointConfig") if with_belongings else ():
            visit.require(f"sagemaker:Delete{kind}")
        await run_in_threadpool(self._parts.deployments.delete, name, with_belongings=with_belongings)
        return RedirectResponse(self._links.endpoints, 303)

    async def _played(self, visit: Visit, asked: Playground) -> Playground:
        return await played(visit.request, asked, self._parts.invocations, self._metrics, self._links)

    async def _page(self, visit: Visit, playground: Playground, model: PlayedModel) -> Response:
        name = playground.name
        details = None
        if visit.may("sagemaker:DescribeEndpoint", self._arn(name)):
            details = await run_in_threadpool(self._views.details, name)
        panel = await self._panel(name) if details else chart_panel(())
        page = EndpointPage(
            name, playground, examples(self._links, name, model), endpoint_snippets(name), details, panel
        )
        return self._edge.page(visit.request, page)

    def _invocable(self, visit: Visit) -> str:
        name: str = visit.request.path_params["name"]
        visit.require("sagemaker:InvokeEndpoint", self._arn(name))
        return name

    def _deletable(self, visit: Visit) -> str:
        name: str = visit.request.path_params["name"]
        visit.require("sagemaker:DescribeEndpoint", self._arn(name))
        visit.require("sagemaker:DeleteEndpoint", self._arn(name))
        return name

    def _arn(self, name: str) -> str:
        return self._parts.arns.of("endpoint", name)
