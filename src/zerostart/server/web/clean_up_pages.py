"""Cleaning up: what exists and what it costs, deleting what is ticked, and the proof that nothing is left."""

from collections.abc import Collection, Mapping

from starlette.concurrency import run_in_threadpool
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from zerostart.bootstrap.server import ServerParts
from zerostart.metadata.usage import Usage
from zerostart.server.web.clean_up_contexts import (
    CleanUpConfirmPage,
    CleanUpPage,
    CleanUpResultPage,
    CostRow,
    LeftRow,
    ThingGroup,
    ThingRow,
)
from zerostart.server.web.edge import Visit, WebEdge
from zerostart.server.web.formats import NOTHING, ago, bytes_shown, span_shown
from zerostart.services.clean_up import ACTIONS
from zerostart.services.inventory import Kind, Listed, Thing

_HEADINGS = {
    Kind.ENDPOINT: "Endpoints",
    Kind.TRANSFORM_JOB: "Transform jobs",
    Kind.EVALUATION: "Evaluations",
    Kind.ENDPOINT_CONFIG: "Endpoint configs",
    Kind.MODEL: "Models",
    Kind.LOGS: "Logs of what was deleted",
    Kind.BUCKET: "Buckets",
    Kind.WEIGHTS: "Weights",
}
_NAMES = {
    Kind.ENDPOINT: "endpoint",
    Kind.TRANSFORM_JOB: "transform job",
    Kind.EVALUATION: "evaluation",
    Kind.ENDPOINT_CONFIG: "endpoint config",
    Kind.MODEL: "model",
    Kind.LOGS: "logs of",
    Kind.BUCKET: "bucket",
    Kind.WEIGHTS: "weights of",
}
_ALL = "all"
_MOST_ROWS = 200
_COSTS = 50


class CleanUpPages:
    """Pages under one address, and putting endpoints to sleep."""

    def __init__(self, edge: WebEdge, parts: ServerParts) -> None:
        self._edge = edge
        self._links = edge.renderer.links
        self._parts = parts

    def routes(self) -> list[Route]:
        """List, confirmation, deletion, result; and the buttons that stop instances."""
        page, path = self._edge.signed_in, self._links.clean_up
        return [
            Route(path, page(self._show), methods=["GET"]),
            Route(path, page(self._begin), methods=["POST"]),
            Route(f"{path}/confirm", page(self._confirm), methods=["POST"]),
            Route(f"{path}/down", page(self._down), methods=["POST"]),
            Route(f"{path}/{{id}}", page(self._result), methods=["GET"]),
            Route(f"{self._links.endpoints}/{{name}}/sleep", page(self._sleep), methods=["POST"]),
        ]

    async def _show(self, visit: Visit) -> Response:
        return await self._page(visit, None)

    async def _page(self, visit: Visit, error: str | None) -> Response:
        visit.require("sagemaker:ListEndpoints")
        listed, weights = await run_in_threadpool(self._existing, visit)
        costs = await run_in_threadpool(self._parts.ledger.rows)
        shown = CleanUpPage(
            groups=_groups(listed),
            weights=next(iter(_groups(weights)), None),
            memory=_bytes(sum(each.memory_bytes for each in listed)),
            disk=_bytes(sum(each.disk_bytes for each in (*listed, *weights))),
            buckets_elsewhere=self._parts.settings.storage != "local",
            instances_run=bool(self._parts.reconciler.instances()),
            costs=[_cost(each) for each in costs[:_COSTS]],
            error=error,
        )
        return self._edge.page(visit.request, shown, 400 if error else 200)

    async def _confirm(self, visit: Visit) -> Response:
        listed, weights = await run_in_threadpool(self._existing, visit)
        chosen = _chosen(visit.form, [*listed, *weights])
        if not chosen:
            return await self._page(visit, "Nothing is ticked: tick what is to go.")
        _require(visit, chosen)
        shown = CleanUpConfirmPage(
            groups=_groups(chosen, most=len(chosen)),
            count=len(chosen),
            memory=_bytes(sum(each.memory_bytes for each in chosen)),
            disk=_bytes(sum(each.disk_bytes for each in chosen)),
        )
        return self._edge.page(visit.request, shown)

    async def _begin(self, visit: Visit) -> Response:
        listed, weights = await run_in_threadpool(self._existing, visit)
        chosen = _chosen(visit.form, [*listed, *weights])
        _require(visit, chosen)
        begun = await run_in_threadpool(self._parts.clean_up.begin, [each.thing for each in chosen])
        return RedirectResponse(self._links.clean_up_result(begun), 303)

    async def _result(self, visit: Visit) -> Response:
        visit.require("sagemaker:ListEndpoints")
        clean_up_id = visit.request.path_params["id"]
        return self._edge.page(visit.request, await run_in_threadpool(self._result_page, clean_up_id))

    async def _down(self, visit: Visit) -> Response:
        visit.require("sagemaker:UpdateEndpointWeightsAndCapacities")
        await run_in_threadpool(self._parts.activity.put_to_sleep)
        return RedirectResponse(self._links.endpoints, 303)

    async def _sleep(self, visit: Visit) -> Response:
        name: str = visit.request.path_params["name"]
        visit.require("sagemaker:UpdateEndpointWeightsAndCapacities", self._parts.arns.of("endpoint", name))
        await run_in_threadpool(self._parts.activity.put_to_sleep, [name])
        return RedirectResponse(self._links.endpoint(name), 303)

    def _existing(self, visit: Visit) -> tuple[list[Listed], list[Listed]]:
        """All that exists, and the weights if the visitor may remove those."""
        weights = self._parts.inventory.weights() if visit.may(ACTIONS[Kind.WEIGHTS]) else []
        return self._parts.inventory.things(), weights

    def _result_page(self, clean_up_id: str) -> CleanUpResultPage:
        state = self._parts.clean_up.state(clean_up_id)
        existing = [each.thing for each in self._parts.inventory.things()] if state.is_done else []
        left = [LeftRow(_named(thing), reason) for thing, reason in state.failed.items()]
        left += [LeftRow(_named(thing), "It was made again.") for thing in state.deleted if thing in existing]
        only_buckets = state.is_done and all(thing.kind is Kind.BUCKET for thing in existing)
        return CleanUpResultPage(
            address=self._links.clean_up_result(clean_up_id),
            is_done=state.is_done,
            total=len(state.deleted) + len(state.waiting) + len(state.failed),
            deleted=[_named(thing) for thing in state.deleted if thing not in existing],
            waiting=[_named(thing) for thing in state.waiting],
            left=left,
            checks=self._parts.proof.nothing(buckets=not existing) if only_buckets else [],
            remaining=len(existing),
        )


def _require(visit: Visit, chosen: Collection[Listed]) -> None:
    for kind in {each.thing.kind for each in chosen}:
        visit.require(ACTIONS[kind])


def _chosen(form: Mapping[str, str], listed: Collection[Listed]) -> list[Listed]:
    """What is ticked and still exists, also by the tick that stands for a whole kind."""
    return [each for each in listed if _field(each.thing) in form or f"{_ALL}/{each.thing.kind.value}" in form]


def _groups(listed: Collection[Listed], most: int = _MOST_ROWS) -> list[ThingGroup]:
    groups = []
    for kind, heading in _HEADINGS.items():
        rows = [_row(each) for each in listed if each.thing.kind is kind]
        if rows:
            more = max(0, len(rows) - most)
            runs, on_disk = kind is Kind.ENDPOINT, kind not in {Kind.ENDPOINT_CONFIG, Kind.MODEL}
            groups.append(ThingGroup(f"{_ALL}/{kind.value}", heading, rows[:most], runs, on_disk, more))
    return groups


def _row(listed: Listed) -> ThingRow:
    solution = f"made by the solution {listed.solution}" if listed.solution else ""
    return ThingRow(
        field=_field(listed.thing),
        name=listed.thing.name,
        note=", ".join(filter(None, (listed.note, solution))),
        memory=_bytes(listed.memory_bytes),
        disk=_bytes(listed.disk_bytes),
        idle=NOTHING if listed.idle_s is None else span_shown(listed.idle_s),
    )


def _cost(usage: Usage) -> CostRow:
    return CostRow(
        kind=usage.kind.value.replace("-", " "),
        name=usage.name,
        instance_time=span_shown(usage.instance_s),
        memory_time=f"{usage.memory_mb_s:,.0f}",
        peak=_bytes(usage.peak_bytes),
        last=ago(usage.last_at),
    )


def _field(thing: Thing) -> str:
    return f"{thing.kind.value}/{thing.name}"


def _named(thing: Thing) -> str:
    return f"{_NAMES[thing.kind]} {thing.name}"


def _bytes(size: int) -> str:
    return bytes_shown(size) if size else NOTHING
