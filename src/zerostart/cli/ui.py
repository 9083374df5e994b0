"""zerostart ui: a link that signs a browser in."""

import socket
import webbrowser
from typing import Annotated
from urllib.parse import urlsplit

import typer

from zerostart.errors import NotFound
from zerostart.settings import ServerAddress, load_settings, server_address
from zerostart.sign_in_links import create_sign_in_token, sign_in_url

_TIMEOUT_S = 5.0


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command()(ui)


def ui(
    open_browser: Annotated[bool, typer.Option("--open", help="Open it in this machine's browser too.")] = False,
) -> None:
    """Print a link that signs a browser in to the running server, once, within 15 minutes.

    Example: zerostart ui --open
    """
    settings = load_settings()
    address = server_address(settings, environment={})  # the one of this home folder: it alone takes the link
    _require_running(address)
    link = sign_in_url(address.url, create_sign_in_token(settings.sign_in_folder))
    typer.echo(link)
    if open_browser and not webbrowser.open(link):
        typer.echo("No browser could be started here: open the link yourself.", err=True)


def _require_running(address: ServerAddress) -> None:
    """Raise NotFound unless somebody listens there."""
    parts = urlsplit(address.url)
    try:
        socket.create_connection((parts.hostname or "", parts.port or 0), _TIMEOUT_S).close()
    except OSError as error:
        raise NotFound(f"No server answers on {address.url} ({error}): run zerostart serve") from error
