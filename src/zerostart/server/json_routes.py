"""Routes of JSON of our own, under /zerostart."""

import json
from collections.abc import Callable, Collection, Mapping
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from zerostart.errors import InvalidInput, ZerostartError
from zerostart.server.aws.edge import AwsEdge
from zerostart.server.aws.errors import RUNTIME, error_response
from zerostart.server.aws.sigv4 import AuthenticationError
from zerostart.serving.http import read_body

_PATH = "/zerostart"
_MOST_BODY_BYTES = 4 * 1024 * 1024
Answer = Callable[[Request, Mapping[str, Any]], Any]
Actions = Callable[[Mapping[str, Any]], Collection[str]]


def json_route(
    edge: AwsEdge, method: str, path: str, answer: Answer, actions: Actions, most_body_bytes: int = _MOST_BODY_BYTES
) -> Route:
    """A route whose caller has to be allowed each of the actions; who asks is known as for metrics."""

    async def handle(request: Request) -> Response:
        try:
            body = await read_body(request, most_body_bytes)
            edge.authorise_request(request, "sts:GetCallerIdentity", body)  # before the body is looked at
            asked = _document(body)
            for action in actions(asked):
                edge.authorise_request(request, action, body)
            return JSONResponse(await run_in_threadpool(answer, request, asked))
        except (AuthenticationError, ZerostartError) as error:
            return error_response(error, RUNTIME, path)

    return Route(f"{_PATH}/{path}", handle, methods=[method])


def always(*names: str) -> Actions:
    """The same actions, whatever is asked."""
    return lambda _asked: names


def _document(body: bytes) -> Mapping[str, Any]:
    try:
        document = json.loads(body or b"{}")
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"The body is not valid JSON: {error}") from error
    if not isinstance(document, dict):
        raise InvalidInput("The body is not a JSON object.")
    return document
