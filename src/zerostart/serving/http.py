"""HTTP that the model server and the control plane share: bounded bodies, draining on SIGTERM, and the run loop."""

import asyncio
import contextlib
import logging
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from types import FrameType
from typing import Any, TypeVar

import uvicorn
from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp

from zerostart.errors import BodyTooLarge, Draining

logger = logging.getLogger(__name__)
T = TypeVar("T")
# nginx's status for a request whose caller closed the connection; nobody reads it.
CALLER_LEFT = 499


async def read_body(request: Request, limit_bytes: int) -> bytes:
    """The whole body. Raises BodyTooLarge as soon as it is known to be over the limit."""
    stated = request.headers.get("content-length", "0")
    if stated.isdecimal() and int(stated) > limit_bytes:
        raise _too_large(int(stated), limit_bytes)
    chunks: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > limit_bytes:
            raise _too_large(size, limit_bytes)
        chunks.append(chunk)
    return b"".join(chunks)


def _too_large(size: int, limit: int) -> BodyTooLarge:
    return BodyTooLarge(
        f"The body has {size} bytes or more; the limit is {limit} (setting max_body_mb): send fewer texts at a time."
    )


async def caller_left(request: Request) -> None:
    """Returns when the caller closed the connection; call after the body was read."""
    with contextlib.suppress(ClientDisconnect):
        while (await request.receive())["type"] != "http.disconnect":
            pass


async def unless_caller_left(request: Request, work: Coroutine[Any, Any, T]) -> T | None:
    """What `work` returns; None, with the work cancelled, when the caller closes the connection first."""
    task = asyncio.create_task(work)
    left = asyncio.create_task(caller_left(request))
    try:
        await asyncio.wait({task, left}, return_when=asyncio.FIRST_COMPLETED)
        return task.result() if task.done() else None
    finally:
        left.cancel()
        task.cancel()


class Gate:
    """Counts requests in flight, and lets no new one in once it is closed."""

    def __init__(self) -> None:
        self.closed = False
        self.in_flight = 0

    @asynccontextmanager
    async def passage(self) -> AsyncIterator[None]:
        """Count a request while it is worked on. Raises Draining when the gate is closed."""
        if self.closed:
            raise Draining("The server is stopping: send the request again in a moment.")
        self.in_flight += 1
        try:
            yield
        finally:
            self.in_flight -= 1


class DrainingServer(uvicorn.Server):
    """On SIGTERM: answer new requests 503, and end once those in flight are done or `grace_s` is over."""

    def __init__(self, config: uvicorn.Config, gate: Gate, grace_s: float) -> None:
        super().__init__(config)
        self._gate = gate
        self._grace_s = grace_s
        self._loop: asyncio.AbstractEventLoop | None = None
        self._draining: asyncio.Task[None] | None = None

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve until told to stop."""
        self._loop = asyncio.get_running_loop()
        await super().serve(sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """A first signal drains; a second one ends at once."""
        if self._gate.closed or self._loop is None:
            super().handle_exit(sig, frame)
            return
        self._gate.closed = True
        self._loop.call_soon_threadsafe(self._drain_soon)

    def _drain_soon(self) -> None:
        self._draining = asyncio.create_task(self._drain())

    async def _drain(self) -> None:
        logger.info("draining", extra={"fields": {"in_flight": self._gate.in_flight}})
        deadline_s = asyncio.get_running_loop().time() + self._grace_s
        while self._gate.in_flight and asyncio.get_running_loop().time() < deadline_s:  # noqa: ASYNC110 - a counter
            await asyncio.sleep(0.02)
        self.should_exit = True


def run_server(
    app: ASGIApp,
    gate: Gate,
    *,
    grace_s: float,
    on_ready: Callable[[str], None],
    socket_path: Path | None = None,
    host: str = "127.0.0.1",
    port: int = 0,
    tls: ssl.SSLContext | None = None,
) -> None:
    """Serve until a signal ends it. `on_ready` gets the address once it is bound. `tls` makes it https."""
    listener = _listen(socket_path, host, port)
    secured: dict[str, Any] = {"ssl_context_factory": lambda _config, _default: tls} if tls else {}
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=2,
        h11_max_incomplete_event_size=64 * 1024,
        **secured,
    )
    server = DrainingServer(config, gate, grace_s)
    shown = f"[{host}]" if ":" in host else host
    bound = str(socket_path) if socket_path else f"{'https' if tls else 'http'}://{shown}:{listener.getsockname()[1]}"

    async def serve() -> None:
        task = asyncio.create_task(server.serve([listener]))
        while not server.started and not task.done():  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(0.005)
        if server.started:
            on_ready(bound)
        await task

    asyncio.run(serve())


def _listen(socket_path: Path | None, host: str, port: int) -> socket.socket:
    if socket_path is not None:
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.bind(str(socket_path))
        socket_path.chmod(0o600)
    else:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        # Named TCP outright: asyncio turns Nagle's algorithm off only for such sockets, and it costs 40 ms a request.
        listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
    listener.listen(2048)
    listener.setblocking(False)
    return listener
