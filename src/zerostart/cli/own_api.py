"""What the server answers in JSON beside AWS's API: its own pages, and the Decisions API."""

import json
import ssl
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any

from zerostart.cli.client import ServerRefused
from zerostart.credentials import client_key
from zerostart.settings import load_settings, server_address

_TIMEOUT_S = 90.0


class ServerGone(ServerRefused):
    """Nobody answers."""


def own_api(page: str, asked: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """What a page under /zerostart answers; asked by POST if there is something to send. Raises ServerRefused."""
    return called(f"zerostart/{page}", asked)


def called(path: str, asked: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """What the server answers under a path, called with this installation's key. Raises ServerRefused."""
    settings = load_settings()
    address, key = server_address(settings), client_key(settings.credentials_path)
    request = urllib.request.Request(  # noqa: S310 - our own server's address
        f"{address.url}/{path}",
        None if asked is None else json.dumps(asked).encode(),
        {"Authorization": f"Bearer {key.secret_access_key}", "Content-Type": "application/json"},
    )
    context = ssl.create_default_context(cafile=address.ca_bundle) if address.ca_bundle else None
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler({}), *([urllib.request.HTTPSHandler(context=context)] if context else [])
    )
    try:
        with opener.open(request, timeout=_TIMEOUT_S) as reply:
            found: dict[str, Any] = json.loads(reply.read())
    except urllib.error.HTTPError as error:
        raise ServerRefused(_reason(error)) from error
    except OSError as error:
        if isinstance(getattr(error, "reason", error), ConnectionRefusedError):
            raise ServerGone(f"No server answers on {address.url}: run zerostart serve") from error
        raise ServerGone(f"The server on {address.url} does not answer: {error}") from error
    return found


def _reason(error: urllib.error.HTTPError) -> str:
    try:
        document = json.loads(error.read())
        told = document.get("error")
        document = told if isinstance(told, dict) else document  # as OpenAI's form has it
        return str(document.get("message") or document.get("Message") or document)
    except (ValueError, AttributeError):
        return f"The server answered {error.code}."
