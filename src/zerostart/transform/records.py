"""Records: cut from an input, turned into requests, joined with their answers, and written.

What SageMaker's batch transform does with SplitType, DataProcessing and AssembleWith:
https://docs.aws.amazon.com/sagemaker/latest/dg/batch-transform-data-processing.html
"""

import json
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from zerostart.errors import InvalidInput, ZerostartError, shortened
from zerostart.metadata.transform_job import TransformOptions
from zerostart.nli.classification import Classification, ClassificationRequest
from zerostart.nli.profile import parse_profile
from zerostart.serving.payload import parse_document, parse_request, result_document
from zerostart.transform.lines import Line, LineCutter
from zerostart.transform.paths import Selection
from zerostart.transform.rows import RowReader
from zerostart.transform.tables import CSV, TABLES, table_line

PLAIN = "text/plain"
_JOINED = "SageMakerOutput"
_JOINED_INPUT = "SageMakerInput"


@dataclass(frozen=True)
class Record:
    """One record: the number of the line it begins on, counted from 1 in its shard, what was read, and what it asks.

    `asked` is the request, or why there is none.
    """

    line: int
    document: Any
    asked: ClassificationRequest | ZerostartError
    many: bool = False


class RecordReader:
    """Cuts bytes into records, by a job's options."""

    def __init__(self, options: TransformOptions) -> None:
        self._options = options
        self._filter = Selection(options.input_filter)
        self._profile = parse_profile(options.profile) if options.profile else None
        self._cutter = LineCutter(options.max_record_bytes)

    @property
    def lines(self) -> int:
        """How many lines were read."""
        return self._cutter.count

    def records(self, pieces: Iterable[bytes], length: int | None, *, inside: bool) -> Iterator[Record]:
        """The records that begin in the first `length` bytes of `pieces`; None is all.

        `inside`: the pieces begin one byte before the shard, and what precedes the first line's end is not its own.
        """
        options = self._options
        if options.content_type == CSV:
            yield from self._rows(self._cutter.lines(pieces))
        elif options.split_lines:
            for line in self._cutter.lines(pieces, length, inside=inside):
                if line.content is None or line.content.strip():
                    yield self._record(line)
        else:
            whole = b"".join(_limited(pieces, options.max_record_bytes))
            yield self._record(Line(1, whole if len(whole) <= options.max_record_bytes else None))

    def _rows(self, lines: Iterator[Line]) -> Iterator[Record]:
        """Rows of a CSV file with a header; a row may hold line ends in quotation marks."""
        column = self._options.text_column
        reader = RowReader(lines, self._options.max_record_bytes)
        names = reader.columns
        if column is None or column not in names:
            raise InvalidInput(
                f"The file has the columns {', '.join(names)[:200] or '(none)'}, and the column of the texts is "
                f"{column!r}: set ZEROSTART_TEXT_COLUMN in the job's Environment."
            )
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None and (self._options.join_input or names.count(column) > 1):
            raise InvalidInput(f"The file has two columns {twice!r}: rename one of them.")
        for row in reader.rows():
            if isinstance(row.cells, InvalidInput):
                yield Record(row.number, row.line, row.cells)
            else:
                yield self._parsed(row.number, row.cells, {"inputs": row.cells[column], **self._options.defaults})

    def _record(self, line: Line) -> Record:
        if line.content is None:
            limit = self._options.max_record_bytes
            error = InvalidInput(f"The record is longer than {limit} bytes: raise MaxPayloadInMB, or shorten it.")
            return Record(line.number, None, error)
        if self._options.content_type == PLAIN:
            text = line.content.removesuffix(b"\r").decode("utf-8", "replace")
            return self._parsed(line.number, text, {"inputs": text, **self._options.defaults})
        try:
            document = parse_document(line.content)
        except InvalidInput as error:
            return Record(line.number, line.content.decode("utf-8", "replace"), error)
        if self._options.text_column is None:
            return self._parsed(line.number, document, document)
        return self._with_text_at(self._options.text_column, line.number, document)

    def _with_text_at(self, key: str, line: int, document: Any) -> Record:
        """A record that is no request, but holds a text under a key."""
        text = document.get(key) if isinstance(document, Mapping) else None
        if text is None:
            error = InvalidInput(f"The record has no text under {shortened(key)}: name its key, or leave it out.")
            return Record(line, document, error)
        return self._parsed(line, document, {"inputs": text, **self._options.defaults})

    def _parsed(self, line: int, document: Any, asked: Any) -> Record:
        try:
            request, many = parse_request(self._with_defaults(self._filter.of(asked)), self._profile)
        except ZerostartError as error:
            return Record(line, document, error)
        return Record(line, document, request, many)

    def _with_defaults(self, asked: Any) -> Any:
        """A record states its own labels and options; what it does not state is the job's."""
        if not isinstance(asked, Mapping) or not self._options.defaults:
            return asked
        parameters = asked.get("parameters")
        stated = {*asked, *(parameters if isinstance(parameters, Mapping) else ())}
        stated |= {"multi_label"} if "multi_class" in stated else set()
        return {**{name: value for name, value in self._options.defaults.items() if name not in stated}, **asked}


class RecordWriter:
    """Turns answers into lines, by a job's options."""

    def __init__(self, options: TransformOptions) -> None:
        self._options = options
        self._filter = Selection(options.output_filter)
        self._end = b"\n" if options.assemble_lines else b""

    def answered(self, record: Record, results: list[Classification]) -> bytes:
        """The output of a record. Raises InvalidInput where the output filter selects nothing."""
        documents = [result_document(each) for each in results]
        document = documents if record.many else documents[0]
        if self._options.accept in TABLES:
            return self._table_line(record, document)
        return self._line(self._filter.of(self._joined(record, document)))

    def failed(self, record: Record, error: str) -> bytes:
        """The output of a record that failed, where that does not fail the file; the output filter is for answers."""
        if self._options.accept in TABLES:
            return self._table_line(record, {"error": error})
        return self._line(self._joined(record, {"error": error}))

    def _table_line(self, record: Record, document: Any) -> bytes:
        return table_line(record.document if self._options.join_input else None, document)

    def _joined(self, record: Record, document: Any) -> Any:
        if self._options.join_input:
            if isinstance(record.document, dict):
                document = {**record.document, _JOINED: document}
            else:
                document = {_JOINED_INPUT: record.document, _JOINED: document}
        return document

    def _line(self, document: Any) -> bytes:
        return json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode() + self._end


def error_line(line: int, error: str) -> bytes:
    """A line of the file of errors."""
    return json.dumps({"line": line, "error": error}, ensure_ascii=False).encode() + b"\n"


def moved_error_line(content: bytes, lines_before: int) -> bytes:
    """A line of a shard's errors with its number counted in the file."""
    document = json.loads(content)
    return error_line(document["line"] + lines_before, document["error"])


def decompressed(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The content of a gzip file, which may have several members. Raises InvalidInput."""
    decoder = zlib.decompressobj(wbits=31)
    started = False
    for piece in pieces:
        rest = piece
        while rest:
            if decoder.eof:
                decoder = zlib.decompressobj(wbits=31)
            try:
                content = decoder.decompress(rest, 1 << 20)
            except zlib.error as error:
                raise InvalidInput(f"The file is not gzip: {error}") from error
            started = True
            if content:
                yield content
            rest = decoder.unused_data if decoder.eof else decoder.unconsumed_tail
    if started and not decoder.eof:
        raise InvalidInput("The gzip file ends in its middle.")


def _limited(pieces: Iterable[bytes], limit: int) -> Iterator[bytes]:
    """Pieces until there is one byte too many."""
    size = 0
    for piece in pieces:
        yield piece[: limit + 1 - size]
        size += len(piece)
        if size > limit:
            return
