"""Solutions as JSON of our own: list, launch, show, delete. How far a deletion is, clean-ups tell."""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from starlette.requests import Request
from starlette.routing import Route

from zerostart.bootstrap.server import ServerParts
from zerostart.errors import InvalidInput
from zerostart.server.aws.edge import AwsEdge
from zerostart.server.json_routes import always, json_route
from zerostart.services.solution import (
    DELETE_ACTIONS,
    LAUNCH_ACTIONS,
    SEE_ACTION,
    LaunchAsked,
    LaunchState,
    Removal,
    SolutionService,
)
from zerostart.solutions.labelled_csv import LARGEST_BYTES

_MOST_BODY_BYTES = 4096 + LARGEST_BYTES * 3 // 2  # base64 makes four bytes of three


def solution_routes(parts: ServerParts, edge: AwsEdge) -> list[Route]:
    """Paths under /zerostart/solutions; a launch that has another name than its solution is named in the query."""
    service: SolutionService = parts.solutions

    def every(_request: Request, _asked: Mapping[str, Any]) -> Any:
        return {
            "solutions": [
                {
                    "name": each.name,
                    "title": each.title,
                    "summary": each.summary,
                    "launches": [_state(state) for state in service.launches(each.name)],
                }
                for each in service.solutions()
            ]
        }

    def launch(request: Request, asked: Mapping[str, Any]) -> Any:
        return _state(
            service.launch(
                LaunchAsked(
                    request.path_params["solution"],
                    _text(asked, "name"),
                    _text(asked, "model"),
                    _bytes(asked, "data"),
                    _text(asked, "data_name") or "The file",
                )
            )
        )

    def show(request: Request, _asked: Mapping[str, Any]) -> Any:
        return _state(service.state(request.path_params["solution"], request.query_params.get("name", "")))

    def removal(request: Request, _asked: Mapping[str, Any]) -> Any:
        found = service.removal(request.path_params["solution"], request.query_params.get("name", ""))
        return {"removals": [_removal(each) for each in found]}

    def delete(request: Request, asked: Mapping[str, Any]) -> Any:
        with_others = asked.get("with_others", False)
        if not isinstance(with_others, bool):
            raise InvalidInput("'with_others' is not true or false.")
        return {
            "id": service.delete(request.path_params["solution"], _text(asked, "name"), with_others=with_others),
        }

    one = "solutions/{solution}"
    return [
        json_route(edge, "GET", "solutions", every, always(SEE_ACTION)),
        json_route(edge, "GET", one, show, always(SEE_ACTION)),
        json_route(edge, "POST", one, launch, always(*LAUNCH_ACTIONS), _MOST_BODY_BYTES),
        json_route(edge, "GET", f"{one}/removal", removal, always(SEE_ACTION)),
        json_route(edge, "POST", f"{one}/delete", delete, always(*DELETE_ACTIONS)),
    ]


def _state(state: LaunchState) -> dict[str, Any]:
    launch, headline = state.launch, state.headline
    return {
        "solution": launch.solution.name,
        "name": launch.name,
        "status": state.status.value,
        "reason": state.reason,
        "model": launch.model_id,
        "bucket": launch.bucket,
        "launched_at": launch.launched_at.isoformat(),
        "steps": [
            {"step": each.step.value, "title": each.title, "status": each.status.value, "detail": each.detail}
            for each in state.steps
        ],
        "first_call": asdict(state.first_call) if state.first_call else None,
        "report": f"s3://{launch.bucket}/{launch.report_key}" if headline else None,
        "rows": headline.rows if headline else None,
        "accuracy": headline.accuracy if headline else None,
        "macro_f1": headline.macro_f1 if headline else None,
        "left_out": dict(state.left_out),
    }


def _removal(removal: Removal) -> dict[str, Any]:
    return {
        "name": removal.launch.name,
        "bucket": removal.launch.bucket,
        "things": [{"kind": each.kind.value, "name": each.name} for each in removal.things],
        "others": list(removal.others),
    }


def _text(asked: Mapping[str, Any], key: str) -> str:
    value = asked.get(key, "")
    if not isinstance(value, str):
        raise InvalidInput(f"{key!r} is not a string.")
    return value


def _bytes(asked: Mapping[str, Any], key: str) -> bytes | None:
    value = asked.get(key)
    if value is None:
        return None
    try:
        return base64.b64decode(value, validate=True)
    except (TypeError, ValueError, binascii.Error) as error:
        raise InvalidInput(f"{key!r} is not a file in base64.") from error
