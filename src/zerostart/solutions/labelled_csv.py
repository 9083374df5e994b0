"""CSV files of texts with categories: read, cleaned of what says nothing, and written again with two columns."""

import csv
import html
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from zerostart.errors import InvalidInput, shortened
from zerostart.solutions.solution import Solution

LARGEST_BYTES = 20_000_000
_MOST_ROWS = 100_000
_LINK = re.compile(r"(?:https?://|www\.)\S*|\b(?:t\.co|bit\.ly|pic\.twitter\.com)/\S*", re.IGNORECASE)
_HANDLE = re.compile(r"(?<!\w)[@\N{FULLWIDTH COMMERCIAL AT}]\w+")
_RETWEETED = re.compile(r"^\s*RT\s+@\w+\s*:?")
_UNSEEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060\ufeff\ufffd\s]+")


@dataclass(frozen=True)
class LabelledText:
    """A text and its category."""

    text: str
    label: str


@dataclass(frozen=True)
class LabelledTexts:
    """What a file holds; `left_out` counts the rows that were not taken, by the reason."""

    rows: Sequence[LabelledText]
    left_out: Mapping[str, int]

    def csv(self, solution: Solution) -> bytes:
        """The file with its two columns alone, in UTF-8."""
        written = io.StringIO()
        writer = csv.writer(written, lineterminator="\n")
        writer.writerow([solution.label_column, solution.text_column])
        writer.writerows([each.label, each.text] for each in self.rows)
        return written.getvalue().encode()


def read_labelled_csv(content: bytes, solution: Solution, name: str) -> LabelledTexts:
    """The texts of a file. `name` is what messages call it.

    Raises InvalidInput, which names the row or the column, and what to do.
    """
    if len(content) > LARGEST_BYTES:
        raise InvalidInput(
            f"{name} has {len(content):,} bytes, and at most {LARGEST_BYTES:,} are taken: give a part of it."
        )
    known = {_folded(label): label for label in solution.labels}
    rows: list[LabelledText] = []
    left_out = {"no text": 0, "no category": 0}
    for number, text, label in _cells(_decoded(content, name), solution, name):
        cleaned = cleaned_text(text)
        if not _folded(label):
            left_out["no category"] += 1
        elif _folded(label) not in known:
            raise InvalidInput(
                f"{name}, row {number}: {solution.label_column} is {shortened(label)}, which is none of the categories "
                f"{', '.join(solution.labels)}: correct it, or leave the row out."
            )
        elif not cleaned:
            left_out["no text"] += 1
        else:
            rows.append(LabelledText(cleaned, known[_folded(label)]))
        if len(rows) > _MOST_ROWS:
            raise InvalidInput(f"{name} has over {_MOST_ROWS:,} rows: give a part of it.")
    if not rows:
        raise InvalidInput(f"{name}: no row has a text and a category, so there is nothing to classify.")
    return LabelledTexts(rows, {reason: count for reason, count in left_out.items() if count})


def cleaned_text(text: str) -> str:
    """A tweet without links, handles, the sign of a retweet, HTML's entities and white space that is too much."""
    text = html.unescape(html.unescape(text))  # &amp;amp; occurs
    text = _RETWEETED.sub(" ", text)
    text = _HANDLE.sub(" ", _LINK.sub(" ", text))
    return _UNSEEN.sub(" ", text).strip()


def _decoded(content: bytes, name: str) -> str:
    """UTF-8, or where it is none what Windows and spreadsheets write."""
    if b"\0" in content:
        raise InvalidInput(f"{name} is not text: save it as CSV in UTF-8.")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("cp1252", "replace")


def _cells(text: str, solution: Solution, name: str) -> Iterator[tuple[int, str, str]]:
    """Number (the first after the header is 1), text and category of each row."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    number = 0
    try:
        header = [cell.strip() for cell in next(reader, [])]
        places = [_column(header, wanted, name, solution) for wanted in (solution.text_column, solution.label_column)]
        for number, row in enumerate(reader, start=1):
            if not any(cell.strip() for cell in row):
                continue
            if len(row) <= max(places):
                raise InvalidInput(
                    f"{name}, row {number}: it has {len(row)} columns, and the header {len(header)}: correct the row."
                )
            yield number, row[places[0]], row[places[1]]
    except csv.Error as error:
        raise InvalidInput(f"{name}, near row {number + 1}: it is not CSV ({error}): correct it there.") from error


def _column(header: Sequence[str], wanted: str, name: str, solution: Solution) -> int:
    if wanted not in header:
        shown = ", ".join(map(repr, header))[:300] or "none"
        raise InvalidInput(
            f"{name} has no column {wanted!r}, but {shown}: give {solution.known_as}, or a CSV file whose first row "
            f"names the columns {solution.text_column!r} and {solution.label_column!r}."
        )
    return header.index(wanted)


def _folded(label: str) -> str:
    return " ".join(html.unescape(label).casefold().split())
