"""Rows of CSV under a header, read so that one which is none does not take the next ones with it (RFC 4180)."""

import csv
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from zerostart.errors import InvalidInput, shortened
from zerostart.transform.lines import Line


@dataclass(frozen=True)
class Row:
    """A row, and the number of the line that it begins on. `cells` by column, or why there are none of `line`."""

    number: int
    cells: dict[str, str] | InvalidInput
    line: str = ""


class RowReader:
    """Reads the header. `columns` are its names; raises InvalidInput where there are none."""

    def __init__(self, lines: Iterator[Line], longest_cell: int, delimiter: str = ",") -> None:
        csv.field_size_limit(max(longest_cell, 1))
        self._delimiter = delimiter
        self._lines = lines
        self._again: deque[Line] = deque()
        _, header = next(self._read(), (None, []))
        if isinstance(header, InvalidInput):
            raise header
        self.columns = tuple(header)

    def rows(self) -> Iterator[Row]:
        """The rows that follow. One with fewer cells than columns is filled up; one with more is an error."""
        width = len(self.columns)
        for first, cells in self._read():
            if isinstance(cells, InvalidInput):
                yield Row(first.number, cells, (first.content or b"").decode("utf-8", "replace"))
            elif len(cells) > width:
                error = f"The row has {len(cells)} cells for {width} columns: quote cells that hold commas."
                yield Row(first.number, InvalidInput(error), (first.content or b"").decode("utf-8", "replace"))
            else:
                filled = cells + [""] * (width - len(cells))
                yield Row(first.number, dict(zip(self.columns, filled, strict=True)))

    def _read(self) -> Iterator[tuple[Line, list[str] | InvalidInput]]:
        """The first line of each row, and its cells. Where they cannot be read, the row's other lines are read again.

        A quotation mark that is never closed so costs its own line, and not the rest of the file.
        """
        while True:
            taken: list[Line] = []
            try:
                cells = next(csv.reader(self._fed(taken), strict=True, delimiter=self._delimiter), None)
            except (csv.Error, InvalidInput) as error:
                self._again.extendleft(reversed(taken[1:]))
                yield taken[0], InvalidInput(f"The line is not a row of CSV: {error}")
                continue
            if cells is None:
                return
            if cells:  # a blank line has none
                yield taken[0], cells

    def _fed(self, taken: list[Line]) -> Iterator[str]:
        while (line := self._again.popleft() if self._again else next(self._lines, None)) is not None:
            taken.append(line)
            yield _decoded(line)


def _decoded(line: Line) -> str:
    """With its end; a byte order mark at the start of the file is left out. Raises InvalidInput."""
    if line.content is None:
        raise InvalidInput("it is longer than MaxPayloadInMB allows: raise that, or shorten the line.")
    try:
        return line.content.decode("utf-8-sig" if line.number == 1 else "utf-8") + "\n"
    except UnicodeDecodeError as error:
        raise InvalidInput(f"it is not UTF-8: {shortened(line.content)}") from error
