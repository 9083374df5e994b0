"""JSON of our own for what AWS's API has no words: what endpoints do now, what ran, and cleaning up."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from starlette.requests import Request
from starlette.routing import Route

from zerostart.bootstrap.server import ServerParts
from zerostart.errors import InvalidInput
from zerostart.server.aws.edge import AwsEdge
from zerostart.server.json_routes import always, json_route
from zerostart.services.activity import Activity
from zerostart.services.clean_up import ACTIONS, CleanUpState
from zerostart.services.inventory import Kind, Thing
from zerostart.services.proof import Check

_PROOFS = ("instances", "everything", "everything-and-buckets")


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

    see, change = always("sagemaker:ListEndpoints"), always("sagemaker:UpdateEndpointWeightsAndCapacities")
    return [
        json_route(edge, "GET", "endpoints", endpoints, see),
        json_route(edge, "POST", "down", down, change),
        json_route(edge, "GET", "costs", costs, always("cloudwatch:GetMetricData")),
        json_route(edge, "GET", "inventory", inventory, see),
        json_route(edge, "POST", "clean-ups", begin, lambda asked: {ACTIONS[each.kind] for each in _things(asked)}),
        json_route(edge, "GET", "clean-ups/{id}", state, see),
        json_route(edge, "GET", "proof", proof, see),
    ]


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
    """`processes` are all that run, also those that start or end; `instances` those that take calls, and
    `desired_instances` how many these shall be while it is awake.
    """
    endpoint = activity.endpoint
    return {
        "name": endpoint.name,
        "status": endpoint.status.value,
        "asleep": activity.is_asleep,
        "idle_s": activity.idle_s,
        "idle_timeout_s": activity.idle_timeout_s,
        "instances": activity.instances,
        "desired_instances": sum(variant.instance_count for variant in endpoint.variants),
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
