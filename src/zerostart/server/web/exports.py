"""Results of a job as one CSV file, row by row; cells that a spreadsheet would take for a formula are defused."""

import csv
import io
import json
from collections.abc import Generator, Iterable, Sequence
from itertools import chain, islice

from zerostart.services.job_results import Result

_LOOKED_AT = 1000
_PIECE_CHARACTERS = 64 * 1024
# https://owasp.org/www-community/attacks/CSV_Injection, with the full-width forms that some spreadsheets take too.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
_REST = "other columns"


def csv_pieces(
    results: Iterable[Result], labels: Sequence[str], text_column: str | None, *, columns_may_differ: bool
) -> Generator[bytes, None, None]:
    """The kept columns, then label, score, a score for each of the job's labels, and error.

    If the job has none, since its records state their own, `scores` holds those of each as JSON. The columns are those
    of the first thousand results; if later ones have others, these are one JSON object in the last column.
    """
    remaining = iter(results)
    first = list(islice(remaining, _LOOKED_AT))
    columns = list(dict.fromkeys(name for result in first for name in result.beside))
    with_rest = columns_may_differ and len(first) == _LOOKED_AT
    with_text = (text_column or "text") not in columns
    own = [*(["text"] if with_text else []), "label", "score"]
    own += [f"score: {label}" for label in labels] if labels else ["scores"]
    own += ["error", *([_REST] if with_rest else [])]
    buffer = io.StringIO()
    rows = csv.writer(buffer, lineterminator="\r\n")  # so that a cell with either in it is quoted
    rows.writerow([defused(each) for each in columns] + [defused(_free(name, columns)) for name in own])
    for result in chain(first, remaining):
        rest = {name: value for name, value in result.beside.items() if name not in columns} if with_rest else {}
        rows.writerow(
            [
                *(defused(_cell(result.beside.get(name))) for name in columns),
                *([defused(result.text)] if with_text else []),
                *_scored(result, labels),
                defused(result.error or ""),
                *([json.dumps(rest, ensure_ascii=False) if rest else ""] if with_rest else []),
            ]
        )
        if buffer.tell() > _PIECE_CHARACTERS:
            yield buffer.getvalue().encode()
            buffer.seek(0)
            buffer.truncate()
    yield buffer.getvalue().encode()


def defused(cell: str) -> str:
    """The cell, behind an apostrophe if a spreadsheet would compute it."""
    return f"'{cell}" if cell.startswith(_FORMULA) else cell


def _scored(result: Result, labels: Sequence[str]) -> list[object]:
    scores = dict(zip(result.labels, result.scores, strict=False))
    best: list[object] = [defused(result.labels[0]), result.scores[0]] if result.labels else ["", ""]
    if labels:
        return best + [scores.get(label, "") for label in labels]
    return [*best, json.dumps(scores, ensure_ascii=False) if scores else ""]


def _cell(value: object) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _free(name: str, taken: Sequence[str]) -> str:
    return f"zerostart {name}" if name in taken else name
