"""Outputs as tables: CSV and Parquet, made from the lines of a file's parts when these are put together."""

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, Protocol

from zerostart.metadata.transform_job import TransformOptions
from zerostart.transform.lines import own_lines

PARQUET = "application/vnd.apache.parquet"
CSV = "text/csv"
TABLES = (CSV, PARQUET)

_RESULT = ("sequence", "label", "score", "labels", "scores")
_OF_PROFILE = ("unsure", "chosen")
_LISTS = ("labels", "scores", "chosen")
_ERROR = "error"
_INPUT = "input"
_CELLS_AT_ONCE = 200_000
Row = dict[str, Any]


class Sink(Protocol):
    """What takes bytes."""

    def write(self, content: bytes) -> None:
        """Append."""
        ...


def table_line(document: Any, results: Any) -> bytes:
    """A record as a line of a part: its input (None where it is not asked for) and what came out of it."""
    return json.dumps([document, results], ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode() + b"\n"


def write_table(options: TransformOptions, pieces: Iterable[bytes], sink: Sink) -> None:
    """Write the lines of all parts as one table: a row for each text, its top label first, then every label.

    The columns are those of a CSV input, if the input is joined, or `input` with the record as JSON; then sequence,
    label, score, labels, scores, error; with a profile, unsure and chosen stand before error.
    """
    records = (json.loads(line) for line in own_lines(pieces))
    first = next(records, None)
    own: Sequence[str] = ()
    if options.join_input:
        own = tuple(first[0]) if first and options.content_type == CSV and isinstance(first[0], dict) else (_INPUT,)
    results = (*_RESULT, *(_OF_PROFILE if options.profile else ()), _ERROR)
    columns = {name: f"input {name}" if name in results else name for name in own}
    rows = (row for record in chain([first] if first else [], records) for row in _rows(record, columns))
    write: Callable[[list[str], Sequence[str], Iterable[Row], Sink], None] = (
        _parquet if options.accept == PARQUET else _csv
    )
    write(list(columns.values()), results, rows, sink)


def _rows(record: Sequence[Any], columns: Mapping[str, str]) -> Iterator[Row]:
    document, results = record
    own: Row
    if set(columns) == {_INPUT}:
        own = {_INPUT: json.dumps(document, ensure_ascii=False)}
    else:
        given = document if isinstance(document, dict) else {}
        own = {shown: given.get(name) for name, shown in columns.items()}
    for result in results if isinstance(results, list) else [results]:
        labels, scores = result.get("labels"), result.get("scores")
        yield {
            **own,
            "sequence": result.get("sequence"),
            "label": labels[0] if labels else None,
            "score": scores[0] if scores else None,
            "labels": labels,
            "scores": scores,
            **{name: result[name] for name in _OF_PROFILE if name in result},
            "error": result.get("error"),
        }


def _csv(own: list[str], results: Sequence[str], rows: Iterable[Row], sink: Sink) -> None:
    """`labels`, `scores` and `chosen` are JSON lists in a cell, `unsure` is true or false."""
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, [*own, *results], lineterminator="\n")
    writer.writeheader()
    for row in rows:
        written = {name: json.dumps(row[name], ensure_ascii=False) for name in _LISTS if row.get(name) is not None}
        if "unsure" in row:
            written["unsure"] = json.dumps(row["unsure"])
        writer.writerow(row | written)
        if buffer.tell() > 1_000_000:
            sink.write(buffer.getvalue().encode())
            buffer.seek(0)
            buffer.truncate()
    sink.write(buffer.getvalue().encode())


def _parquet(own: list[str], results: Sequence[str], rows: Iterable[Row], sink: Sink) -> None:
    import pyarrow
    import pyarrow.parquet

    text, number = pyarrow.string(), pyarrow.float64()
    types = {name: pyarrow.list_(number if name == "scores" else text) for name in _LISTS}
    types |= {"score": number, "unsure": pyarrow.bool_()}
    schema = pyarrow.schema([(name, types.get(name, text) if name in results else text) for name in [*own, *results]])
    with pyarrow.parquet.ParquetWriter(_File(sink), schema, compression="zstd") as writer:
        for group in _groups(rows):
            writer.write_table(pyarrow.Table.from_pylist(group, schema))


def _groups(rows: Iterable[Row]) -> Iterator[list[Row]]:
    group: list[Row] = []
    cells = 0
    for row in rows:
        group.append(row)
        cells += len(row) + 2 * len(row["labels"] or ())
        if cells > _CELLS_AT_ONCE:
            yield group
            group, cells = [], 0
    if group:
        yield group


class _File(io.RawIOBase):
    """A sink as pyarrow writes to it."""

    def __init__(self, sink: Sink) -> None:
        super().__init__()
        self._sink = sink
        self._written = 0

    def writable(self) -> bool:
        return True

    def write(self, content: Any) -> int:
        content = bytes(content)
        self._sink.write(content)
        self._written += len(content)
        return len(content)

    def tell(self) -> int:
        return self._written
