"""What is in a file of texts with labels, before anything is asked: its columns, its first rows, and its labels."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from zerostart.errors import InvalidInput
from zerostart.services.labelled_file import (
    LABEL_NAMES,
    MOST_LABELS,
    TEXT_NAMES,
    LabelledFile,
    Row,
    guessed_separator,
    labels_in,
)

_SHOWN = 5
_LONGEST_CELL = 300
_GUESSED_FROM = 500


@dataclass(frozen=True)
class LabelledLook:
    """A file, as far as a person has to know it to say what is what.

    `rows` are the cells of the first five as text, cut where they are long, `count` is of all. `labels` are those that
    occur with the number of their rows, the frequent ones first; `problem` says why there are none. `separator` is what
    a cell of several labels is split at.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    count: int
    text_column: str
    label_column: str
    separator: str
    multi_label: bool
    labels: Sequence[tuple[str, int]]
    left_out: Mapping[str, int]
    problem: str = ""


def look(file: LabelledFile) -> LabelledLook:
    """Look through the whole file; columns that it does not name are guessed. Raises InvalidInput, MissingExtra."""
    begun = list(islice(file.read(), _GUESSED_FROM))
    columns = list(dict.fromkeys(name for row in begun for name in row))
    _check(file, begun, columns)
    text = file.text_column if file.text_column in columns else _text_column(begun, columns)
    label = file.label_column if file.label_column in columns else _label_column(begun, columns, text)
    values = [row.get(label) for row in begun]
    lists = any(isinstance(value, list) for value in values)
    multi_label = file.multi_label or lists or bool(file.separator)
    separator = file.separator or (guessed_separator(values) if multi_label and not lists else "")
    labels: Counter[str] = Counter()
    left_out: Counter[str] = Counter()
    count = 0
    for row in file.read():
        count += 1
        own, value = labels_in(row.get(label), separator), row.get(text)
        if not isinstance(value, str) or not value.strip():
            left_out["no text"] += 1
        elif not own and not (multi_label and row.get(label) is not None):
            left_out["no label"] += 1
        else:
            labels.update(own)
    problem = _problem(labels, count - left_out.total(), text, label)
    shown = sorted(labels.items(), key=lambda each: (-each[1], each[0])) if not problem else []
    return LabelledLook(
        columns,
        _shown_rows(begun[:_SHOWN], columns),
        count,
        text,
        label,
        separator,
        multi_label,
        shown,
        dict(left_out),
        problem,
    )


def _check(file: LabelledFile, begun: Sequence[Row], columns: Sequence[str]) -> None:
    if not begun:
        raise InvalidInput(f"{file.path} has no rows: give a file with a text and its label in each.")
    if len(columns) < 2:
        raise InvalidInput(
            f"{file.path} has one column alone, {columns[0]!r}: it takes one with texts and one with their labels."
            if columns
            else f"{file.path} has rows without columns: it takes one with texts and one with their labels."
        )


def _shown_rows(rows: Sequence[Row], columns: Sequence[str]) -> list[list[str]]:
    return [[_shown(row.get(name))[:_LONGEST_CELL] for name in columns] for row in rows]


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else "" if value is None else json.dumps(value, default=str)


def _problem(labels: Mapping[str, int], rows: int, text: str, label: str) -> str:
    if text == label:
        return f"Texts and labels are both in {text!r}: choose two columns."
    if len(labels) > MOST_LABELS or (rows > 20 and len(labels) > rows * 0.9):
        return (
            f"The column {label!r} has {len(labels):,} different values in {rows:,} rows, as texts have: choose the "
            "column of the labels."
        )
    return "" if labels else f"No row has a text in {text!r} and a label in {label!r}: choose other columns."


def _named(columns: Sequence[str], guesses: Sequence[str]) -> str | None:
    """The first that is named so, or has such a word in its name."""
    names = {name.strip().lower(): name for name in reversed(columns)}
    exact = next((names[guess] for guess in guesses if guess in names), None)
    return exact or next((names[name] for guess in guesses for name in reversed(names) if guess in name), None)


def _text_column(rows: Sequence[Row], columns: Sequence[str]) -> str:
    """By its name, else the one with the longest values."""
    return _named(columns, TEXT_NAMES) or max(columns, key=lambda name: sum(map(_length, _column(rows, name))))


def _label_column(rows: Sequence[Row], columns: Sequence[str], text: str) -> str:
    """By its name, else the one with the fewest different values, but more than one."""
    others = [name for name in columns if name != text]
    by_name = _named(others, LABEL_NAMES)
    if by_name is not None:
        return by_name
    kinds = {name: len(set(map(str, _column(rows, name)))) for name in others}
    return min(others, key=lambda name: (kinds[name] < 2, kinds[name]))


def _column(rows: Sequence[Row], name: str) -> list[Any]:
    return [row.get(name) for row in rows]


def _length(value: object) -> int:
    return len(value) if isinstance(value, str) else 0
