"""The Decisions API: typed questions about a text, in OpenAI's form and in TypeSafe's, under /v1."""

from collections.abc import Mapping
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from zerostart.credentials import AccessKey
from zerostart.server.decisions.edge import DecisionsEdge
from zerostart.server.decisions.models_form import write_model, write_models
from zerostart.server.decisions.openai_form import OPENAI
from zerostart.server.decisions.request import UnknownAddress
from zerostart.server.decisions.typesafe_form import TYPESAFE
from zerostart.services.decision import DecisionService

_METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]


class DecisionsFace:
    """Every address under /v1."""

    def __init__(self, service: DecisionService, edge: DecisionsEdge) -> None:
        self._service = service
        self._edge = edge

    def routes(self) -> list[Route]:
        """What is not known is told in OpenAI's form."""
        return [
            Route("/v1/decisions", self._decisions, methods=["POST"]),
            Route("/v1/systemone", self._system_one, methods=["POST"]),
            Route("/v1/models", self._models, methods=["GET"]),
            Route("/v1/models/{name:path}", self._model, methods=["GET"]),
            Route("/v1/{rest:path}", self._unknown, methods=_METHODS),
        ]

    async def _decisions(self, request: Request) -> Response:
        return await self._edge.decide(request, OPENAI)

    async def _system_one(self, request: Request) -> Response:
        return await self._edge.decide(request, TYPESAFE)

    async def _models(self, request: Request) -> Response:
        async def answer(caller: AccessKey) -> Mapping[str, Any]:
            return write_models(await run_in_threadpool(self._service.models, caller))

        return await self._edge.show(request, OPENAI, answer)

    async def _model(self, request: Request) -> Response:
        async def answer(caller: AccessKey) -> Mapping[str, Any]:
            return write_model(await run_in_threadpool(self._service.model, request.path_params["name"], caller))

        return await self._edge.show(request, OPENAI, answer)

    async def _unknown(self, request: Request) -> Response:
        async def answer(_caller: AccessKey) -> Mapping[str, Any]:
            raise UnknownAddress(
                f"{request.method} {request.url.path[:200]} is not served. There are POST /v1/decisions, "
                "POST /v1/systemone, GET /v1/models and GET /v1/models/NAME."
            )

        return await self._edge.show(request, OPENAI, answer)
