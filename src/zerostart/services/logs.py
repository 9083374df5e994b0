"""Use cases of logs: what instances wrote, by log group (an endpoint), log stream (an instance) and time."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from zerostart.errors import InvalidInput, NotFound, shortened

_MOST_BYTES = 1024 * 1024
_MOST_SCANNED_BYTES = 8 * 1024 * 1024
_LONGEST_LINE_BYTES = 256 * 1024
_TERM = re.compile(r'"([^"]+)"|(\S+)')


@dataclass(frozen=True)
class LogGroup:
    """The logs of one endpoint; times in milliseconds since 1970."""

    name: str
    created_ms: int
    size_bytes: int


@dataclass(frozen=True)
class LogStream:
    """The log of one instance; times in milliseconds since 1970."""

    name: str
    first_ms: int
    last_ms: int
    size_bytes: int


@dataclass(frozen=True)
class LogEvent:
    """A line, when it was written in milliseconds since 1970, and where it stands in its stream."""

    stream: str
    at_ms: int
    message: str
    offset: int


@dataclass(frozen=True)
class LogPage:
    """Events, and the tokens of the pages after and before them; at the end the token is the one that was given."""

    events: tuple[LogEvent, ...]
    forward_token: str
    backward_token: str


@dataclass(frozen=True)
class Span:
    """From `start_ms` on, and before `end_ms`; None is no bound."""

    start_ms: int | None = None
    end_ms: int | None = None

    def holds(self, at_ms: int) -> bool:
        """Whether a time is in it."""
        return (self.start_ms is None or at_ms >= self.start_ms) and (self.end_ms is None or at_ms < self.end_ms)


class LogService:
    """`roots` maps the beginning of groups' names to the folder that holds them: GROUP/VARIANT/INSTANCE.log."""

    def __init__(self, roots: Mapping[str, Path]) -> None:
        self._roots = roots

    def groups(self, prefix: str = "") -> list[LogGroup]:
        """The groups whose names start with `prefix`, by name."""
        found = [
            LogGroup(
                start + folder.name, _ms(folder.stat().st_mtime), sum(path.stat().st_size for path in _logs(folder))
            )
            for start, root in self._roots.items()
            for folder in _folders(root)
            if (start + folder.name).startswith(prefix)
        ]
        return sorted(found, key=lambda group: group.name)

    def streams(self, group: str, prefix: str = "") -> list[LogStream]:
        """The streams of a group whose names start with `prefix`, by name. Raises NotFound."""
        return [_stream(name, path) for name, path in self._paths(group).items() if name.startswith(prefix)]

    def events(self, group: str, stream: str, span: Span, *, limit: int, token: str | None, from_head: bool) -> LogPage:
        """One page of a stream, oldest first. Raises NotFound, and InvalidInput for a token that was not given out."""
        path = self._paths(group).get(stream)
        if path is None:
            raise NotFound("The specified log stream does not exist.")
        size = path.stat().st_size
        direction, offset = _read_token(token) if token else ("f" if from_head else "b", 0 if from_head else size)
        offset = 0 if direction == "f" and offset > size else min(offset, size)  # a log that was long begins anew
        if direction == "f":
            events = _taken(_lines(path, stream, offset), span, limit)
        else:
            start = max(0, offset - _MOST_BYTES)
            before = (event for event in _lines(path, stream, start, whole=start == 0) if event.offset < offset)
            events = [event for event in before if span.holds(event.at_ms)][-limit:]
        if not events:
            same = token or f"{direction}/{offset}"
            return LogPage((), same if direction == "f" else f"f/{offset}", same if direction == "b" else f"b/{offset}")
        return LogPage(tuple(events), f"f/{_end(path, events[-1])}", f"b/{events[0].offset}")

    def filtered(
        self,
        group: str,
        span: Span,
        pattern: str,
        *,
        streams: Sequence[str],
        prefix: str,
        limit: int,
        token: str | None,
    ) -> tuple[list[LogEvent], str | None]:
        """Events of several streams that hold every term of `pattern`, and the next page's token."""
        terms = _terms(pattern)
        paths = self._paths(group)
        if unknown := [name for name in streams if name not in paths]:
            raise NotFound(f"The specified log stream does not exist: {shortened(unknown[0])}.")
        chosen = [name for name in paths if (not streams or name in streams) and name.startswith(prefix)]
        number, offset = _read_filter_token(token)
        found: list[LogEvent] = []
        scanned = 0
        for position, name in enumerate(chosen[number:], start=number):
            for event in _lines(paths[name], name, offset, most_bytes=_MOST_SCANNED_BYTES):
                if len(found) == limit or scanned > _MOST_SCANNED_BYTES:
                    return found, f"{position}/{event.offset}"
                scanned += len(event.message)
                if span.holds(event.at_ms) and all(term in event.message for term in terms):
                    found.append(event)
            offset = 0
        return sorted(found, key=lambda event: event.at_ms), None

    def _paths(self, group: str) -> dict[str, Path]:
        """The files of a group by stream name; names are compared with what is there, and never become paths."""
        for start, root in self._roots.items():
            for folder in _folders(root):
                if start + folder.name == group:
                    return {f"{path.parent.name}/{path.stem}": path for path in _logs(folder)}
        raise NotFound("The specified log group does not exist.")


def _folders(root: Path) -> list[Path]:
    return sorted(path for path in root.iterdir() if path.is_dir()) if root.is_dir() else []


def _logs(folder: Path) -> list[Path]:
    return sorted(folder.glob("*/*.log"))


def _stream(name: str, path: Path) -> LogStream:
    first = next(_lines(path, name, 0, most_bytes=_LONGEST_LINE_BYTES), None)
    last_ms = _ms(path.stat().st_mtime)
    return LogStream(name, first.at_ms if first else last_ms, last_ms, path.stat().st_size)


def _lines(
    path: Path, stream: str, offset: int, *, whole: bool = True, most_bytes: int = 2 * _MOST_BYTES
) -> Iterator[LogEvent]:
    """The complete lines from `offset` on; without `whole`, the first may be cut and is left out.

    A line that does not state its time has that of the line before it.
    """
    at_ms = _ms(path.stat().st_mtime)
    with path.open("rb") as file:
        file.seek(offset)
        if not whole:
            offset += len(file.readline(_LONGEST_LINE_BYTES))
        read = 0
        while read < most_bytes and (line := file.readline(_LONGEST_LINE_BYTES)):
            if not line.endswith(b"\n") and len(line) < _LONGEST_LINE_BYTES:
                return
            message = line.decode("utf-8", "replace").rstrip("\n")
            at_ms = _stated_ms(message) or at_ms
            yield LogEvent(stream, at_ms, message, offset)
            offset += len(line)
            read += len(line)


def _taken(lines: Iterator[LogEvent], span: Span, limit: int) -> list[LogEvent]:
    events: list[LogEvent] = []
    for event in lines:
        if span.holds(event.at_ms):
            events.append(event)
        if len(events) == limit:
            break
    return events


def _end(path: Path, event: LogEvent) -> int:
    """Where the line behind `event` begins."""
    with path.open("rb") as file:
        file.seek(event.offset)
        return event.offset + len(file.readline(_LONGEST_LINE_BYTES))


def _stated_ms(message: str) -> int | None:
    if not message.startswith("{"):
        return None
    try:
        return _ms(datetime.fromisoformat(json.loads(message)["at"]).timestamp())
    except (ValueError, KeyError, TypeError):
        return None


def _ms(seconds: float) -> int:
    return int(seconds * 1000)


def _read_token(token: str) -> tuple[str, int]:
    match = re.fullmatch(r"([fb])/(\d{1,15})", token)
    if match is None:
        raise InvalidInput(f"The specified nextToken is invalid: {shortened(token)}.")
    return match[1], int(match[2])


def _read_filter_token(token: str | None) -> tuple[int, int]:
    match = re.fullmatch(r"(\d{1,9})/(\d{1,15})", token or "0/0")
    if match is None:
        raise InvalidInput(f"The specified nextToken is invalid: {shortened(token)}.")
    return int(match[1]), int(match[2])


def _terms(pattern: str) -> list[str]:
    if pattern.lstrip()[:1] in {"{", "[", "%", "?", "-"}:
        raise InvalidInput(
            f"filterPattern {shortened(pattern)} is not supported: give terms that a line must hold, a phrase in "
            "quotation marks."
        )
    return [quoted or plain for quoted, plain in _TERM.findall(pattern)]
