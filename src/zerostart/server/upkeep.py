"""JSON of our own for what AWS's API has no words: what endpoints do now, what ran, and cleaning up."""

import json
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from zerostart.bootstrap.server import ServerParts
from zerostart.errors import InvalidInput, ZerostartError
from zerostart.server.aws.edge import AwsEdge
from zerostart.server.aws.errors import RUNTIME, error_response
from zerostart.server.aws.sigv4 import AuthenticationError
from zerostart.services.activity import Activity
from zerostart.services.clean_up import ACTIONS, CleanUpState
from zerostart.services.inventory import Kind, Thing
from zerostart.services.proof import Check
from zerostart.serving.http import read_body

_PATH = "/zerostart"
_MOST_BODY_BYTES = 4 * 1024 * 1024
_PROOFS = ("instances", "everything", "everything-and-buckets")
_Answer = Callable[[Request, Mapping[str, Any]], Any]
_Actions = Callable[[Mapping[str, Any]], Collection[str]]


def upkeep_routes(parts: ServerParts, edge: AwsEdge) -> list[Route]:
    """Paths under /zerostart; who asks is known as for metrics, by a signature or a bearer key."""

    def endpoints(_request: Request, _asked: Mapping[str, Any]) -> Any:
        processes = Counter(instance.spec.endpoint for instance in parts.reconciler.instances())
        return {"endpoints": [_activity(each, processes[each.endpoint.name]) for each in parts.activity.all()]}

    def down(_request: Request, asked: Mapping[str, Any]) -> Any:
        return {"endpoints": parts.activity.put_to_sleep(_names(asked))}

    def costs(_request: Request, _asked: Mapping[str, Any]) -> Any:
        rows = [asdict(each) for each in parts.ledger.rows()]
        return {"costs": [row | {key: row[key].isoformat() for key in ("first_at", "last_at")} for row in rows]}

    def inventory(_request: Request, _asked: Mapping[str, Any]) -> Any:
        return {"things": [{**_thing(each.thing), **_without_thing(asdict(each))} for each in parts.inventory.things()]}

    def begin(_request: Request, asked: Mapping[str, Any]) -> Any:
        return {"id": parts.clean_up.begin(_things(asked))}

    def state(request: Request, _asked: Mapping[str, Any]) -> Any:
        return _state(parts.clean_up.state(request.path_params["id"]))

    def proof(request: Request, _asked: Mapping[str, Any]) -> Any:
        of = request.query_params.get("of", "everything")
        if of not in _PROOFS:
            raise InvalidInput(f"There is no proof of {of[:60]!r}: use {', '.join(_PROOFS)}.")
        found = parts.proof.no_instance() if of == "instances" else parts.proof.nothing(buckets=of != "everything")
        return {"checks": [_check(each) for each in found]}

    see, change = _always("sagemaker:ListEndpoints"), _always("sagemaker:UpdateEndpointWeightsAndCapacities")
    return [
        _route(edge, "GET", "endpoints", endpoints, see),
        _route(edge, "POST", "down", down, change),
        _route(edge, "GET", "costs", costs, _always("cloudwatch:GetMetricData")),
        _route(edge, "GET", "inventory", inventory, see),
        _route(edge, "POST", "clean-ups", begin, lambda asked: {ACTIONS[each.kind] for each in _things(asked)}),
        _route(edge, "GET", "clean-ups/{id}", state, see),
        _route(edge, "GET", "proof", proof, see),
    ]


def _route(edge: AwsEdge, method: str, path: str, answer: _Answer, actions: _Actions) -> Route:
    """A route whose caller has to be allowed each of the actions."""

    async def handle(request: Request) -> Response:
        try:
            body = await read_body(request, _MOST_BODY_BYTES)
            edge.authorise_request(request, "sts:GetCallerIdentity", body)  # before the body is looked at
            asked = _document(body)
            for action in actions(asked):
                edge.authorise_request(request, action, body)
            return JSONResponse(await run_in_threadpool(answer, request, asked))
        except (AuthenticationError, ZerostartError) as error:
            return error_response(error, RUNTIME, path)

    return Route(f"{_PATH}/{path}", handle, methods=[method])


def _always(action: str) -> _Actions:
    return lambda _asked: (action,)


def _document(body: bytes) -> Mapping[str, Any]:
    try:
        document = json.loads(body or b"{}")
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"The body is not valid JSON: {error}") from error
    if not isinstance(document, dict):
        raise InvalidInput("The body is not a JSON object.")
    return document


def _names(asked: Mapping[str, Any]) -> list[str]:
    names = asked.get("endpoints", [])
    if not isinstance(names, list) or not all(isinstance(each, str) for each in names):
        raise InvalidInput("'endpoints' is not a list of names.")
    return names


def _things(asked: Mapping[str, Any]) -> list[Thing]:
    try:
        return [Thing(Kind(each["kind"]), str(each["name"])) for each in asked["things"]]
    except (TypeError, KeyError, ValueError) as error:
        raise InvalidInput(f"'things' is not a list of objects with 'kind' and 'name' ({error}).") from error


def _thing(thing: Thing) -> dict[str, str]:
    return {"kind": thing.kind.value, "name": thing.name}


def _without_thing(listed: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in listed.items() if key != "thing"}


def _activity(activity: Activity, processes: int) -> dict[str, Any]:
    """`processes` are all that run, also those that start or end; `instances` those that take calls."""
    endpoint = activity.endpoint
    return {
        "name": endpoint.name,
        "status": endpoint.status.value,
        "asleep": activity.is_asleep,
        "idle_s": activity.idle_s,
        "idle_timeout_s": activity.idle_timeout_s,
        "instances": activity.instances,
        "processes": processes,
        "memory_bytes": activity.memory_bytes,
    }


def _state(state: CleanUpState) -> dict[str, Any]:
    return {
        "done": state.is_done,
        "waiting": [_thing(each) for each in state.waiting],
        "deleted": [_thing(each) for each in state.deleted],
        "failed": [{**_thing(each), "reason": reason} for each, reason in state.failed.items()],
    }


def _check(check: Check) -> dict[str, Any]:
    return {"what": check.what, "where": check.where, "left": list(check.left)}
