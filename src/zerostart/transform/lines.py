"""Lines, cut from bytes that come in pieces, in memory that does not grow with the file."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Line:
    """A line without its end, and its number, counted from 1; `content` is None for one that is over the limit."""

    number: int
    content: bytes | None


class LineCutter:
    """Cuts lines of at most `limit` bytes. `count` is how many there were yet."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.count = 0

    def lines(self, pieces: Iterable[bytes], length: int | None = None, *, inside: bool = False) -> Iterator[Line]:
        """The lines that begin in the first `length` bytes of `pieces`; None is all.

        `inside`: the pieces begin one byte before these, and what precedes the first line's end is not asked for.
        """
        limit = self._limit
        skipping = inside
        start = -1 if inside else 0  # where the present line begins, counted from the first byte that is asked for
        pending = bytearray()
        size = 0
        for piece in pieces:
            at = 0
            while (end := piece.find(b"\n", at)) >= 0:
                if not skipping:
                    self.count += 1
                    size += end - at
                    pending += piece[at:end] if size <= limit else b""
                    yield Line(self.count, bytes(pending) if size <= limit else None)
                    start += size + 1
                else:
                    start += size + end - at + 1
                skipping, size = False, 0
                pending.clear()
                at = end + 1
                if length is not None and start >= length:
                    return
            size += len(piece) - at
            if not skipping and size <= limit:
                pending += piece[at:]
        if size and not skipping:
            self.count += 1
            yield Line(self.count, bytes(pending) if size <= limit else None)


def own_lines(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The lines of a file that this program wrote: each has an end, and fits into memory."""
    pending = b""
    for piece in pieces:
        lines = (pending + piece).split(b"\n")
        pending = lines.pop()
        yield from lines
