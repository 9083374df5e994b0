"""Results as CSV: columns, order, and cells that no spreadsheet computes."""

import csv
import io

import pytest

from zerostart.server.web.exports import csv_pieces, defused
from zerostart.services.job_results import Result


def rows(results: list[Result], labels: list[str], *, differ: bool = False) -> list[dict[str, str]]:
    written = b"".join(csv_pieces(iter(results), labels, "text", columns_may_differ=differ)).decode()
    return list(csv.DictReader(io.StringIO(written, newline="")))


@pytest.mark.parametrize("first", ["=", "+", "-", "@", "\t", "\r", "\n", "\uff1d"])
def test_a_cell_that_would_be_computed_gets_an_apostrophe(first: str) -> None:
    cell = f"{first}cmd|' /C calc'!A0"
    assert defused(cell) == f"'{cell}"
    assert defused(f"a{cell}") == f"a{cell}"
    found = rows([Result("t", (cell,), (0.9,), beside={cell: cell, "text": cell})], [cell])[0]
    assert found[f"'{cell}"] == found["text"] == found["label"] == f"'{cell}"
    assert found[f"score: {cell}"] == "0.9"
    assert rows([Result("t", error=cell)], ["a"])[0]["error"] == f"'{cell}"


def test_values_that_are_no_text_are_json_and_names_that_are_taken_get_a_prefix() -> None:
    beside = {"text": "t", "label": "own", "score": -5, "tags": ["a", {"b": None}], "none": None}
    found = rows([Result("t", ("a", "b"), (0.75, 0.25), beside=beside)], ["a", "b"])[0]
    assert found["label"] == "own"
    assert found["score"] == "'-5"
    assert found["tags"] == '["a", {"b": null}]'
    assert found["none"] == ""
    assert (found["zerostart label"], found["zerostart score"]) == ("a", "0.75")
    assert (found["score: a"], found["score: b"]) == ("0.75", "0.25")


def test_columns_that_come_late_are_not_lost() -> None:
    early = [Result("t", ("a",), (1.0,), beside={"text": "t"}) for _ in range(1000)]
    late = Result("t", ("a",), (1.0,), beside={"text": "t", "new": 1})
    found = rows([*early, late], ["a"], differ=True)
    assert len(found) == 1001
    assert found[0]["other columns"] == ""
    assert found[-1]["other columns"] == '{"new": 1}'
    assert "other columns" not in rows(early[:10], ["a"], differ=True)[0]


def test_a_large_export_comes_in_pieces() -> None:
    results = (Result("t" * 100, ("a",), (1.0,)) for _ in range(5000))
    pieces = list(csv_pieces(results, ["a"], None, columns_may_differ=False))
    assert len(pieces) > 5
    assert b"".join(pieces).count(b"\n") == 5001
