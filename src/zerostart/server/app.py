"""The server: every face on one port, around the services."""

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from zerostart.bootstrap.server import ServerParts
from zerostart.credentials import AccessKey
from zerostart.errors import InstanceLost
from zerostart.hosting.launcher import Instance
from zerostart.metrics import TEXT_FORM, ControlPlaneMetrics
from zerostart.server.aws.control_plane import ControlPlane
from zerostart.server.aws.edge import AwsEdge
from zerostart.server.aws.errors import RUNTIME, error_response
from zerostart.server.aws.query import QueryApi
from zerostart.server.aws.runtime import Runtime
from zerostart.server.aws.s3.gateway import S3Gateway
from zerostart.server.aws.s3.operations import S3Operations
from zerostart.server.aws.service_model import service_model
from zerostart.server.aws.sigv4 import AuthenticationError
from zerostart.server.decisions.edge import DecisionsEdge
from zerostart.server.decisions.face import DecisionsFace
from zerostart.server.jobs import job_routes
from zerostart.server.solutions import solution_routes
from zerostart.server.upkeep import upkeep_routes
from zerostart.server.web.face import WebFace
from zerostart.services.access_key import KeyUses
from zerostart.services.authorisation import AccessDenied
from zerostart.serving.http import Gate

_SCRAPE_TIMEOUT_S = 2.0


def build_app(parts: ServerParts, keys: Mapping[str, AccessKey], gate: Gate, web_hosts: Collection[str]) -> ASGIApp:
    """The ASGI application. Its lifespan starts the reconciler, and at the end stops every instance.

    Browsers get pages under the names `web_hosts`.
    """
    settings, metrics = parts.settings, ControlPlaneMetrics()
    control_plane = ControlPlane(
        parts.models,
        parts.endpoint_configs,
        parts.endpoints,
        parts.autoscaling,
        parts.transform_jobs,
        parts.tags,
        parts.logs,
        parts.arns,
    )
    runtime = Runtime(parts.invocations, parts.async_invocations, metrics, parts.arns)
    query_api = QueryApi(settings.region)
    uses = KeyUses(settings.key_uses_path)
    edge = AwsEdge(control_plane, runtime, query_api, keys, uses, gate, metrics, settings.max_body_bytes)
    decisions_edge = DecisionsEdge(parts.decisions, keys, uses, gate, metrics, settings.max_body_bytes)
    decisions = DecisionsFace(parts.decisions, decisions_edge)
    web = WebFace(parts, keys, uses, gate, metrics, web_hosts)

    async def ping(_request: Request) -> Response:
        return JSONResponse({"status": "stopping" if gate.closed else "ok"}, 503 if gate.closed else 200)

    async def expose(request: Request) -> Response:
        try:
            edge.authorise_request(request, "cloudwatch:GetMetricData")
        except (AuthenticationError, AccessDenied) as error:
            return error_response(error, RUNTIME, "metrics")
        return Response(metrics.exposition(await _instance_metrics(parts)), headers={"Content-Type": TEXT_FORM})

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        await run_in_threadpool(parts.reconciler.start)
        parts.autoscaler.start()
        await run_in_threadpool(parts.supervisor.start)
        parts.ledger.start()
        parts.launcher.open(asyncio.get_running_loop())
        await run_in_threadpool(service_model, "sagemaker")
        await run_in_threadpool(service_model, "sagemaker-runtime")
        await run_in_threadpool(service_model, "sts")
        working = (parts.async_invocations.run(), web.run(), uses.run(keys))
        running = [asyncio.create_task(each) for each in working]
        try:
            yield
        finally:
            for task in running:
                task.cancel()
            await asyncio.wait(running)
            await run_in_threadpool(parts.launcher.close)
            await run_in_threadpool(parts.fetches.close)
            await run_in_threadpool(parts.evaluations.close)
            await run_in_threadpool(parts.clean_up.stop)
            await run_in_threadpool(parts.ledger.stop)
            await run_in_threadpool(parts.supervisor.stop)
            await run_in_threadpool(parts.autoscaler.stop)
            await run_in_threadpool(parts.reconciler.stop)
            await run_in_threadpool(parts.hosting.close)
            parts.database.close()

    async def unknown(request: Request, error: Exception) -> Response:
        if isinstance(error, HTTPException) and web.is_asked(request):
            return await web.refuse(request, error)
        message = (
            f"{request.method} {request.url.path[:200]} is not served. Zerostart answers SageMaker's API (POST / with "
            "X-Amz-Target, POST /endpoints/NAME/invocations), the Decisions API (POST /v1/decisions), GET /ping and "
            "GET /metrics."
        )
        return JSONResponse({"message": message}, 404)

    routes = [
        *edge.routes(),
        *decisions.routes(),
        Route("/ping", ping, methods=["GET"]),
        Route("/metrics", expose, methods=["GET"]),
        *job_routes(parts.transform_jobs, parts.arns, edge),
        *upkeep_routes(parts, edge),
        *solution_routes(parts, edge),
        *web.routes(),
    ]
    inner = Starlette(routes=routes, lifespan=lifespan, exception_handlers={404: unknown, 405: unknown})
    s3 = S3Gateway(
        S3Operations(parts.store, parts.generated, settings.region),
        keys,
        uses,
        gate,
        serves_store=settings.s3_gateway == "on",
    )

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await (s3 if s3.takes(scope) else inner)(scope, receive, send)

    return app


async def _instance_metrics(parts: ServerParts) -> list[tuple[dict[str, str], str]]:
    """The metrics of every ready instance that answers in time, with the labels that tell whose they are."""

    async def scrape(endpoint: str, variant: str, instance: Instance) -> tuple[dict[str, str], str] | None:
        try:
            text = await instance.metrics(_SCRAPE_TIMEOUT_S)
        except InstanceLost:
            return None
        return {"endpoint": endpoint, "variant": variant, "instance": instance.id}, text

    found = await asyncio.gather(
        *(
            scrape(endpoint, variant.name, instance)
            for endpoint, variants in parts.router.snapshot().items()
            for variant in variants
            for instance in variant.instances
        )
    )
    return [each for each in found if each is not None]
