"""Files of texts: reading .txt, .csv and .jsonl, and writing results beside them in input order."""

import csv
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from zerostart.errors import InvalidInput
from zerostart.nli.classification import Classification
from zerostart.nli.profile import Profile
from zerostart.serving.payload import result_document

STANDARD_INPUT = "-"


@dataclass(frozen=True)
class Record:
    """A text, which may be blank, and the cells of its row if it came from a CSV file."""

    text: str
    cells: tuple[str, ...] = ()


@dataclass(frozen=True)
class TextFile:
    """A file of texts. `column` is the CSV column or the JSONL key that holds them."""

    path: str
    column: str

    def __post_init__(self) -> None:
        if self.path != STANDARD_INPUT and self._suffix not in _READERS:
            raise InvalidInput(f"{self.path}: give a file that ends in {', '.join(_READERS)}, or - for standard input.")

    @property
    def is_csv(self) -> bool:
        """Whether records have cells."""
        return self._suffix == ".csv"

    def records(self) -> Iterator[Record]:
        """The records, read one after another. Raises InvalidInput naming the file, the line and the remedy."""
        if self.path == STANDARD_INPUT:
            yield from _read_plain(sys.stdin, self)
            return
        with _opened(self.path) as file:
            yield from _READERS[self._suffix](file, self)

    def header(self) -> tuple[str, ...]:
        """The names of a CSV file's columns."""
        with _opened(self.path) as file:
            return tuple(next(csv.reader(file), ()))

    @property
    def _suffix(self) -> str:
        return Path(self.path).suffix.lower()


def read_lines(path: Path) -> list[str]:
    """The lines of a small text file that are not blank."""
    with _opened(str(path)) as file:
        return [line.rstrip("\r\n") for line in file if line.strip()]


@contextmanager
def writer(
    output: Path, source: TextFile, labels: Sequence[str], profile: Profile | None = None
) -> Iterator[Callable[[Record, Classification | None], None]]:
    """A function that writes one result; the file appears whole when all went well. None: the text was blank.

    A CSV file has what a profile says of each answer.
    """
    temporary = output.with_name(f".{output.name}.part")
    try:
        with temporary.open("w", encoding="utf-8", newline="") as file:
            is_csv = output.suffix.lower() == ".csv"
            yield _csv_writer(file, source, labels, profile) if is_csv else _jsonl_writer(file)
        temporary.replace(output)
    except OSError as error:
        raise InvalidInput(f"{output} cannot be written: {error.strerror}.") from error
    finally:
        temporary.unlink(missing_ok=True)


def check_output(output: Path) -> None:
    """Raise InvalidInput unless results can be written to such a file."""
    if output.suffix.lower() not in {".csv", ".jsonl"}:
        raise InvalidInput(f"{output}: give an output file that ends in .jsonl or .csv.")
    if not output.parent.is_dir():
        raise InvalidInput(f"{output}: the folder {output.parent} is not there.")


def document(record: Record, result: Classification | None) -> dict[str, Any]:
    """A result as JSON; without labels where the text was blank."""
    return {"sequence": record.text, "labels": [], "scores": []} if result is None else result_document(result)


def classification_in(answer: Mapping[str, Any]) -> Classification:
    """The result in an answer of the server."""
    chosen = tuple(answer["chosen"]) if "chosen" in answer else None
    ranked = tuple(answer["labels"]), tuple(answer["scores"])
    return Classification(answer["sequence"], *ranked, unsure=answer.get("unsure"), chosen=chosen)


def _jsonl_writer(file: TextIO) -> Callable[[Record, Classification | None], None]:
    def write(record: Record, result: Classification | None) -> None:
        file.write(json.dumps(document(record, result), ensure_ascii=False, allow_nan=False) + "\n")

    return write


def _csv_writer(
    file: TextIO, source: TextFile, labels: Sequence[str], profile: Profile | None
) -> Callable[[Record, Classification | None], None]:
    """The input's columns, then label, score and a score for each label; a name that is taken gets a prefix.

    With a profile `unsure` (true, false) follows the score, or `chosen` (a JSON list).
    """
    taken = source.header() if source.is_csv else ("text",)
    said = [] if profile is None else ["chosen" if profile.multi_label else "unsure"]
    own = ["label", "score", *said, *(f"score: {label}" for label in labels)]
    rows = csv.writer(file, lineterminator="\n")
    rows.writerow([*taken, *(f"zerostart {name}" if name in taken else name for name in own)])

    def write(record: Record, result: Classification | None) -> None:
        scores = {} if result is None else dict(zip(result.labels, result.scores, strict=True))
        best = ["", ""] if result is None else [result.labels[0], result.scores[0]]
        verdicts = ["" if result is None else json.dumps(getattr(result, name), ensure_ascii=False) for name in said]
        cells = record.cells if source.is_csv else (record.text,)
        rows.writerow([*cells, *best, *verdicts, *(scores.get(label, "") for label in labels)])

    return write


def _read_plain(file: Iterable[str], _source: TextFile) -> Iterator[Record]:
    for line in file:
        if line.strip():
            yield Record(line.rstrip("\r\n"))


def _read_csv(file: Iterable[str], source: TextFile) -> Iterator[Record]:
    rows = csv.reader(file, strict=True)
    try:
        header = next(rows, [])
        if source.column not in header:
            found = ", ".join(map(repr, header)) or "none"
            raise InvalidInput(
                f"{source.path} has no column {source.column!r}, but {found}: choose one with --text-column."
            )
        place = header.index(source.column)
        for row in rows:
            if len(row) > len(header):
                line = f"{source.path}, line {rows.line_num}"
                raise InvalidInput(f"{line}: {len(row)} cells for {len(header)} columns: quote cells with commas.")
            if row:
                cells = tuple(row + [""] * (len(header) - len(row)))
                yield Record(cells[place], cells)
    except csv.Error as error:
        raise InvalidInput(f"{source.path}, line {rows.line_num}: not valid CSV ({error}).") from error


def _read_jsonl(file: Iterable[str], source: TextFile) -> Iterator[Record]:
    for number, line in enumerate(file, start=1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise InvalidInput(f"{source.path}, line {number}: not valid JSON ({error}).") from error
        text = value.get(source.column) if isinstance(value, dict) else value
        if not isinstance(text, str):
            wanted = f"no text under the key {source.column!r}: choose the key with --text-column."
            raise InvalidInput(f"{source.path}, line {number}: {wanted}")
        yield Record(text)


_READERS: dict[str, Callable[[Iterable[str], TextFile], Iterator[Record]]] = {
    ".txt": _read_plain,
    ".csv": _read_csv,
    ".jsonl": _read_jsonl,
    ".ndjson": _read_jsonl,
}


@contextmanager
def _opened(path: str) -> Iterator[TextIO]:
    try:
        with Path(path).open(encoding="utf-8-sig", newline="" if path.lower().endswith(".csv") else None) as file:
            yield file
    except OSError as error:
        raise InvalidInput(f"{path} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise InvalidInput(f"{path} is not UTF-8 at byte {error.start}: save it as UTF-8.") from error
