"""Files of texts with labels: CSV, TSV, JSON Lines and Parquet, read as transform jobs read them."""

import gzip
import importlib.util
import io
import json
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from zerostart.errors import InvalidInput, MissingExtra, shortened
from zerostart.evaluation.rows import LabelledRows
from zerostart.nli.labels import CandidateLabels, parse_labels
from zerostart.transform.lines import LineCutter
from zerostart.transform.rows import RowReader

ENDS = (".csv", ".tsv", ".jsonl", ".ndjson", ".parquet", ".csv.gz", ".tsv.gz", ".jsonl.gz", ".ndjson.gz")
TEXT_NAMES = ("text", "texts", "sequence", "sentence", "inputs", "input", "content", "message", "body", "review")
LABEL_NAMES = ("label", "labels", "category", "categories", "class", "topic", "topics", "intent", "target", "tags")
_LONGEST_LINE_BYTES = 6 * 1024 * 1024
_PIECE_BYTES = 1 << 20
_LARGEST_UNPACKED_BYTES = 1 << 30
MOST_LABELS = 1000
_MOST_ROWS = 1_000_000
_MOST_CELLS = 20_000_000
Row = Mapping[str, Any]
# A row's number, its text and its labels.
Labelled = tuple[int, str, list[str]]


@dataclass(frozen=True)
class LabelledFile:
    """A file, and which columns (CSV, TSV, Parquet) or keys (JSON Lines) hold what; an empty name is guessed.

    Where `content` is given, that is the file's, and `path` its name alone. `separator` stands between several labels
    in a cell; a list in JSON Lines or Parquet needs none. With `multi_label` and no separator it is guessed.
    """

    path: Path
    text_column: str = ""
    label_column: str = ""
    separator: str = ""
    multi_label: bool = False
    content: bytes | None = None

    def __post_init__(self) -> None:
        if not self.path.name.lower().endswith(ENDS):
            raise InvalidInput(f"{self.path}: give a file that ends in {', '.join(ENDS)}.")

    def rows(self, labels: CandidateLabels | None = None, limit: int | None = None) -> LabelledRows:
        """The rows that have a text and a label, at most `limit` of them by a fixed seed.

        `labels` are all that may occur; without, they are those that do, by name.

        Raises InvalidInput, which says what columns there are where one has to be chosen, and MissingExtra.
        """
        found = list(islice(enumerate(self.read(), start=1), _MOST_ROWS + 1))
        if len(found) > _MOST_ROWS:
            raise InvalidInput(f"{self.path} has over {_MOST_ROWS:,} rows: give a part of it.")
        columns = list(dict.fromkeys(name for _, row in found[:100] for name in row))
        text_column = self._column(self.text_column, TEXT_NAMES, columns, "--text-column")
        label_column = self._column(self.label_column, LABEL_NAMES, columns, "--label-column")
        if text_column == label_column:
            raise InvalidInput(f"{self.path}: texts and labels are both in {text_column!r}: name two columns.")
        return self._labelled(found, text_column, label_column, labels, limit)

    def _labelled(
        self,
        found: Sequence[tuple[int, Row]],
        text_column: str,
        label_column: str,
        labels: CandidateLabels | None,
        limit: int | None,
    ) -> LabelledRows:
        values = [row.get(label_column) for _, row in found]
        lists = any(isinstance(value, list) for value in values)
        multi_label = self.multi_label or lists or bool(self.separator)
        separator = self.separator or (guessed_separator(values) if multi_label and not lists else "")
        taken: list[Labelled] = []
        left_out: Counter[str] = Counter()
        for (number, row), value in zip(found, values, strict=True):
            text, own = row.get(text_column), labels_in(value, separator)
            if not isinstance(text, str) or not text.strip():
                left_out["no text"] += 1
            elif not own and not (multi_label and value is not None):
                left_out["no label"] += 1
            else:
                taken.append((number, text, own))
        asked = labels or self._labels_of(taken, label_column)
        taken = _sampled(taken, limit)
        if len(taken) * len(asked) > _MOST_CELLS:
            raise InvalidInput(
                f"{self.path}: {len(taken):,} rows x {len(asked)} labels are more than is measured at once: take "
                f"{_MOST_CELLS // len(asked):,} of them with --limit."
            )
        place = {label.name: each for each, label in enumerate(asked)}
        right = np.zeros((len(taken), len(asked)), dtype=bool)
        for row_place, (number, _, own) in enumerate(taken):
            for name in own:
                if name not in place:
                    raise InvalidInput(self._unknown(name, number, list(place)))
                right[row_place, place[name]] = True
        texts = tuple(text.encode("utf-8", "replace").decode() for _, text, _ in taken)
        return LabelledRows(texts, tuple(number for number, _, _ in taken), asked, right, multi_label, left_out)

    def _unknown(self, name: str, number: int, known: Sequence[str]) -> str:
        return (
            f"{self.path}, row {number}: the label {shortened(name)} is none of those named: {', '.join(known)[:300]}. "
            "Name it too, or name none: then the file's own are taken."
        )

    def _labels_of(self, taken: Sequence[Labelled], column: str) -> CandidateLabels:
        names = sorted({name for _, _, own in taken for name in own})
        if len(names) > MOST_LABELS or (len(taken) > 20 and len(names) > len(taken) * 0.9):
            raise InvalidInput(
                f"{self.path}: the column {column!r} has {len(names)} different values in {len(taken)} rows, as texts "
                "have: name the labels' column with --label-column."
            )
        if not names:
            raise InvalidInput(f"{self.path}: no row has a text and a label in {column!r}.")
        return parse_labels(names, column)

    def _column(self, asked: str, guesses: Sequence[str], columns: Sequence[str], option: str) -> str:
        shown = ", ".join(map(repr, columns))[:500] or "none"
        if asked:
            if asked not in columns:
                raise InvalidInput(f"{self.path} has no column {asked!r}, but {shown}: choose one with {option}.")
            return asked
        by_name = {name.strip().lower(): name for name in columns}
        found = [by_name[guess] for guess in guesses if guess in by_name]
        if len(found) != 1:
            said = (
                f"more than one that may be meant ({', '.join(map(repr, found))})" if found else "none of a usual name"
            )
            raise InvalidInput(f"{self.path} has the columns {shown}, {said}: choose one with {option}.")
        return found[0]

    def read(self) -> Iterator[Row]:
        """Every row as it is. Raises InvalidInput, MissingExtra."""
        name = self.path.name.lower().removesuffix(".gz")
        try:
            if name.endswith(".parquet"):
                yield from self._parquet_rows()
            elif name.endswith((".csv", ".tsv")):
                yield from self._csv_rows("\t" if name.endswith(".tsv") else ",")
            else:
                yield from self._json_rows()
        except (OSError, EOFError, zlib.error) as error:
            raise InvalidInput(f"{self.path} cannot be read: {getattr(error, 'strerror', None) or error}.") from error

    def _opened(self) -> BinaryIO:
        return self.path.open("rb") if self.content is None else io.BytesIO(self.content)

    def _pieces(self) -> Iterator[bytes]:
        with self._opened() as stored:
            packed = self.path.name.lower().endswith(".gz")
            file = gzip.GzipFile(fileobj=stored) if packed else stored
            size = 0
            while piece := file.read(_PIECE_BYTES):
                size += len(piece)
                if packed and size > _LARGEST_UNPACKED_BYTES:
                    raise InvalidInput(f"{self.path} unpacks to over {_LARGEST_UNPACKED_BYTES >> 30} GiB: give a part.")
                yield piece

    def _csv_rows(self, delimiter: str) -> Iterator[Row]:
        lines = LineCutter(_LONGEST_LINE_BYTES).lines(self._pieces())
        reader = RowReader(lines, _LONGEST_LINE_BYTES, delimiter)
        twice = next((name for name in reader.columns if reader.columns.count(name) > 1), None)
        if twice is not None:
            raise InvalidInput(f"{self.path} has two columns {twice!r}: rename one of them.")
        for row in reader.rows():
            if isinstance(row.cells, InvalidInput):
                raise InvalidInput(f"{self.path}, line {row.number}: {row.cells}") from row.cells
            yield row.cells

    def _json_rows(self) -> Iterator[Row]:
        for line in LineCutter(_LONGEST_LINE_BYTES).lines(self._pieces()):
            if line.content is None:
                raise InvalidInput(f"{self.path}, line {line.number}: it has over {_LONGEST_LINE_BYTES} bytes.")
            if not line.content.strip():
                continue
            try:
                value = json.loads(line.content.decode("utf-8-sig" if line.number == 1 else "utf-8"))
            except (ValueError, RecursionError) as error:
                raise InvalidInput(f"{self.path}, line {line.number}: not JSON in UTF-8 ({error}).") from error
            if not isinstance(value, dict):
                raise InvalidInput(f"{self.path}, line {line.number}: write an object with a text and a label.")
            yield value

    def _parquet_rows(self) -> Iterator[Row]:
        if importlib.util.find_spec("pyarrow") is None:
            raise MissingExtra("Parquet needs pyarrow: pip install 'zerostart[parquet]'")
        import pyarrow
        import pyarrow.parquet

        try:
            with self._opened() as opened, pyarrow.parquet.ParquetFile(opened) as file:
                for batch in file.iter_batches():
                    yield from batch.to_pylist()
        except pyarrow.ArrowException as error:
            raise InvalidInput(f"{self.path} is not Parquet: {str(error).splitlines()[0]}") from error


def _sampled(taken: list[Labelled], limit: int | None) -> list[Labelled]:
    """At most `limit` of them, in the file's order."""
    if limit is None or limit >= len(taken):
        return taken
    chosen = np.random.default_rng(0).choice(len(taken), limit, replace=False)
    return [taken[place] for place in np.sort(chosen)]


def labels_in(value: Any, separator: str) -> list[str]:
    """The labels of a cell. A number or a truth value is its JSON."""
    if value is None:
        return []
    if isinstance(value, list):
        given = value
    elif isinstance(value, str) and separator:
        given = value.split(separator)
    else:
        given = [value]
    names = [each if isinstance(each, str) else json.dumps(each, default=str) for each in given if each is not None]
    return list(dict.fromkeys(name.strip() for name in names if name.strip()))


def guessed_separator(values: Sequence[Any]) -> str:
    """Of the usual ones, that which most cells hold; a comma where none does."""
    counts = Counter(each for value in values if isinstance(value, str) for each in ";|,\t" if each in value)
    return counts.most_common(1)[0][0] if counts else ","
