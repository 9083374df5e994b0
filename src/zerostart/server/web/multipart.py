"""Forms with files as browsers send them, read as they come in: no more of a file is in memory than one piece."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import Request

from zerostart.errors import BodyTooLarge, InvalidInput, UnsupportedContentType, shortened

FORM_TYPE = "multipart/form-data"
_MOST_PARTS = 1000
_LONGEST_FIELD_BYTES = 64 * 1024


@dataclass(frozen=True)
class FormField:
    """A field that is no file."""

    name: str
    value: str


@dataclass(frozen=True)
class FileBegins:
    """What follows, until FileEnds, is this file's content. `file_name` is empty where none was chosen."""

    name: str
    file_name: str


@dataclass(frozen=True)
class FileContent:
    """A piece of the file."""

    content: bytes


@dataclass(frozen=True)
class FileEnds:
    """The file is whole."""


Event = FormField | FileBegins | FileContent | FileEnds


async def form_events(request: Request, limit_bytes: int) -> AsyncGenerator[Event, None]:
    """The form's fields and files in their order. Raises BodyTooLarge, UnsupportedContentType and InvalidInput."""
    reader = _Reader()
    parser = _parser(request, reader)
    stated = request.headers.get("content-length", "0")
    size = int(stated) if stated.isdecimal() and len(stated) < 19 else 0
    _check_size(size, limit_bytes)
    size = 0
    async for piece in request.stream():
        size += len(piece)
        _check_size(size, limit_bytes)
        try:
            parser.write(piece)
        except FormParserError as error:
            raise InvalidInput(f"The form cannot be read: {error}") from error
        for event in reader.taken():
            yield event
    if not reader.ended:
        raise InvalidInput("The form ends in its middle, so nothing of its last file was kept: send it again.")


def _check_size(size: int, limit_bytes: int) -> None:
    if size > limit_bytes:
        if limit_bytes < 1024**3:
            raise BodyTooLarge(f"At most {limit_bytes / 1024**2:g} MiB are taken here: give a part of it.")
        limit = f"{limit_bytes / 1024**3:g} GiB"
        raise BodyTooLarge(f"At most {limit} are taken at once: send fewer files, or use S3's API for larger ones.")


def _parser(request: Request, reader: "_Reader") -> MultipartParser:
    kind, options = parse_options_header(request.headers.get("content-type"))
    if kind.decode("latin-1") != FORM_TYPE or not options.get(b"boundary"):
        raise UnsupportedContentType(f"A form of type {shortened(kind.decode('latin-1'))} is not read here.")
    try:
        return MultipartParser(
            options[b"boundary"],
            {
                "on_part_begin": reader.part_begins,
                "on_header_field": reader.header_name,
                "on_header_value": reader.header_value,
                "on_header_end": reader.header_ends,
                "on_headers_finished": reader.headers_end,
                "on_part_data": reader.part_data,
                "on_part_end": reader.part_ends,
                "on_end": reader.end,
            },
        )
    except FormParserError as error:
        raise InvalidInput(f"The form cannot be read: {error}") from error


class _Reader:
    """Turns the parser's calls into events."""

    def __init__(self) -> None:
        self.ended = False
        self._events: list[Event] = []
        self._parts = 0
        self._header = self._value = b""
        self._disposition = b""
        self._name = ""
        self._field: bytearray | None = None

    def taken(self) -> list[Event]:
        """What came since it was last asked."""
        events, self._events = self._events, []
        return events

    def part_begins(self) -> None:
        """A part: what it is stands in its headers."""
        self._parts += 1
        if self._parts > _MOST_PARTS:
            raise InvalidInput(f"The form has over {_MOST_PARTS} fields and files: send fewer at once.")
        self._disposition = b""

    def header_name(self, content: bytes, start: int, end: int) -> None:
        """More of a header's name; the parser bounds it."""
        self._header += content[start:end]

    def header_value(self, content: bytes, start: int, end: int) -> None:
        """More of a header's value; the parser bounds it."""
        self._value += content[start:end]

    def header_ends(self) -> None:
        """Keep the one header that says what the part is."""
        if self._header.lower() == b"content-disposition":
            self._disposition = self._value
        self._header = self._value = b""

    def headers_end(self) -> None:
        """A field or a file."""
        _, options = parse_options_header(self._disposition)
        self._name = _text(options.get(b"name", b""))
        self._field = None if b"filename" in options else bytearray()
        if self._field is None:
            self._events.append(FileBegins(self._name, _file_name(options[b"filename"])))

    def part_data(self, content: bytes, start: int, end: int) -> None:
        """More of a part's content."""
        if self._field is None:
            self._events.append(FileContent(content[start:end]))
            return
        self._field += content[start:end]
        if len(self._field) > _LONGEST_FIELD_BYTES:
            raise InvalidInput(f"The field {shortened(self._name)} is longer than {_LONGEST_FIELD_BYTES} bytes.")

    def part_ends(self) -> None:
        """A field is known now, a file is whole."""
        self._events.append(FileEnds() if self._field is None else FormField(self._name, _text(bytes(self._field))))

    def end(self) -> None:
        """The last boundary."""
        self.ended = True


def _file_name(value: bytes) -> str:
    """The name without folders, and with what browsers percent-encode in it (HTML's multipart/form-data)."""
    name = _text(value)
    for encoded, character in (("%22", '"'), ("%0D", "\r"), ("%0A", "\n")):
        name = name.replace(encoded, character)
    return name.replace("\\", "/").rpartition("/")[2]


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace")
