"""The beginning of an object, read as what it is: rows of CSV, lines of JSON, or text."""

import json
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from zerostart.errors import InvalidInput
from zerostart.storage.base import ObjectReader
from zerostart.transform.lines import LineCutter
from zerostart.transform.request import content_type_of
from zerostart.transform.rows import RowReader
from zerostart.transform.tables import CSV

JSON_LINES = "application/jsonlines"
PLAIN = "text/plain"
LONGEST_CELL_BYTES = 100 * 1024 * 1024  # csv keeps one limit for the whole program
_HEAD_BYTES = 1024 * 1024
_GZIP = b"\x1f\x8b"
_KINDS = {CSV: CSV, JSON_LINES: JSON_LINES}


@dataclass(frozen=True)
class SampleRow:
    """A row: its values by column, or why there are none."""

    values: Mapping[str, Any]
    error: str | None = None


@dataclass(frozen=True)
class Sample:
    """How an object begins. `content_type` is None where it is none of CSV, JSON lines and text.

    `text` is its beginning where it has no columns; `is_whole` says that there is no more; `problem` why no row can be
    read.
    """

    content_type: str | None
    compressed: bool
    is_whole: bool
    columns: tuple[str, ...] = ()
    rows: tuple[SampleRow, ...] = ()
    text: str = ""
    problem: str | None = None


def read_sample(source: ObjectReader, most_rows: int) -> Sample:
    """At most so many rows of an object, or as much of its text."""
    head, compressed, is_whole = _head(source)
    kind = _kind(source, head)
    if kind is None:
        return Sample(None, compressed, is_whole)
    try:
        if kind == PLAIN:
            lines = _whole_lines(head, is_whole=is_whole).decode("utf-8", "replace").splitlines()
            return Sample(PLAIN, compressed, is_whole and len(lines) <= most_rows, text="\n".join(lines[:most_rows]))
        found = list(islice(_rows(head, kind, is_whole=is_whole), most_rows + 1))
    except InvalidInput as error:
        return Sample(kind, compressed, is_whole, problem=str(error))
    rows = tuple(found[:most_rows])
    columns = tuple(dict.fromkeys(name for row in rows for name in row.values))
    if kind == CSV and not columns:
        columns = _header(head)
    return Sample(kind, compressed, is_whole and len(found) <= most_rows, columns, rows)


def _head(source: ObjectReader) -> tuple[bytes, bool, bool]:
    """The content's beginning, whether it is compressed, and whether it is all."""
    if not source.stored.size:
        return b"", False, True
    stored = b"".join(source.chunks(0, min(source.stored.size, _HEAD_BYTES) - 1))
    is_whole = len(stored) == source.stored.size
    if not stored.startswith(_GZIP):
        return stored, False, is_whole
    decoder = zlib.decompressobj(wbits=31)
    try:
        content = decoder.decompress(stored, _HEAD_BYTES)
    except zlib.error:
        return stored, False, is_whole
    return content, True, is_whole and decoder.eof and not decoder.unused_data


def _kind(source: ObjectReader, head: bytes) -> str | None:
    stored = source.stored
    if b"\0" in head:
        return None
    by_name = content_type_of(stored.key) or _KINDS.get(stored.attributes.content_type.partition(";")[0].strip())
    if by_name is not None:
        return by_name
    first = head.lstrip().partition(b"\n")[0]
    try:
        return JSON_LINES if isinstance(json.loads(first), dict) else PLAIN
    except (ValueError, RecursionError):
        return PLAIN


def _whole_lines(head: bytes, *, is_whole: bool) -> bytes:
    """What was read, without a line that goes on behind it."""
    return head if is_whole or b"\n" not in head else head[: head.rindex(b"\n") + 1]


def _rows(head: bytes, kind: str, *, is_whole: bool) -> Iterator[SampleRow]:
    content = _whole_lines(head, is_whole=is_whole)
    if not is_whole and b"\n" not in content:
        raise InvalidInput(f"The first line goes on for over {_HEAD_BYTES} bytes: is it CSV or JSON lines at all?")
    return _csv_rows(content) if kind == CSV else _json_rows(content.splitlines())


def _csv_rows(content: bytes) -> Iterator[SampleRow]:
    for row in _reader(content).rows():
        if isinstance(row.cells, InvalidInput):
            yield SampleRow({}, f"Line {row.number}: {row.cells}")
        else:
            yield SampleRow(row.cells)


def _header(content: bytes) -> tuple[str, ...]:
    return _reader(content).columns


def _reader(content: bytes) -> RowReader:
    return RowReader(LineCutter(len(content) + 1).lines([content]), LONGEST_CELL_BYTES)


def _json_rows(lines: Iterable[bytes]) -> Iterator[SampleRow]:
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            document = json.loads(line)
        except (ValueError, RecursionError) as error:
            yield SampleRow({}, f"Line {number} is not JSON: {error}")
            continue
        yield SampleRow(document if isinstance(document, dict) else {"": document})
