"""Answers that are files: streamed, saved and never shown by the browser, under a name that is safe anywhere."""

import re
from collections.abc import AsyncIterator, Callable, Iterator
from urllib.parse import quote

from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

_KIND = "application/octet-stream"


class Download(StreamingResponse):
    """A file on its way. `close` is called at its end, however that comes. HEAD gets no content, and reads none."""

    def __init__(
        self,
        pieces: Iterator[bytes],
        close: Callable[[], None],
        name: str,
        *,
        kind: str = _KIND,
        size: int | None = None,
    ) -> None:
        headers = {"Content-Disposition": disposition(name), "Content-Type": kind}
        if size is not None:
            headers["Content-Length"] = str(size)
        super().__init__(pieces, headers=headers)
        self._close = close

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it. What fails on the way breaks the connection: it cannot be told any more."""
        if scope["method"] == "HEAD":
            self.body_iterator = _nothing()
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._close()


def disposition(name: str) -> str:
    """Content-Disposition of a file to save (RFC 6266): the last part of a key, without what file systems trip over."""
    last = name.rstrip("/").rpartition("/")[2]
    safe = "".join(each if each.isprintable() and each not in '<>:"/\\|?*' else "_" for each in last)
    safe = safe.strip(" .")[:150] or "object"
    plain = re.sub(r"[^A-Za-z0-9 !#$&+.^_`{}~()\[\],=@-]", "_", safe)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(safe, safe='')}"


async def _nothing() -> AsyncIterator[bytes]:
    none: tuple[bytes, ...] = ()
    for piece in none:
        yield piece
