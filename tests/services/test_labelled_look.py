"""What is told of a file before it is evaluated."""

import json
from pathlib import Path
from typing import Any

import pytest

from zerostart.errors import InvalidInput
from zerostart.services.labelled_file import LabelledFile
from zerostart.services.labelled_look import LabelledLook, look


def looked(name: str, content: str, **columns: Any) -> LabelledLook:
    return look(LabelledFile(Path(name), content=content.encode(), **columns))


@pytest.mark.parametrize(
    ("header", "text", "label"),
    [
        ("id,text,label", "text", "label"),
        ("text,Resolution_Category", "text", "Resolution_Category"),
        ("topic,sentence,source", "sentence", "topic"),
        ("kind,remark,number", "remark", "kind"),
        ("Category,Sub,Body", "Body", "Category"),
    ],
)
def test_columns_are_guessed_by_their_names_and_else_by_what_they_hold(header: str, text: str, label: str) -> None:
    names = header.split(",")
    cells = {text: "a longer text number {}", label: "{}"}
    rows = [",".join(cells.get(name, "x{}").format(n % 3 if name == label else n) for name in names) for n in range(30)]
    found = looked("rows.csv", "\n".join([header, *rows]))
    assert (found.text_column, found.label_column) == (text, label)
    assert found.labels == [("0", 10), ("1", 10), ("2", 10)]
    assert (found.count, len(found.rows), found.problem) == (30, 5, "")


def test_rows_without_text_or_label_are_counted() -> None:
    found = looked("rows.tsv", "text\tlabel\nx\ta\n \ta\ny\t\nz\tb\n")
    assert (found.count, found.labels) == (4, [("a", 1), ("b", 1)])
    assert found.left_out == {"no text": 1, "no label": 1}


def test_several_labels_are_split_by_what_most_cells_hold() -> None:
    content = "text,tags\nx,a;b\ny,b\nz,\n"
    assert looked("rows.csv", content).labels == [("a;b", 1), ("b", 1)]
    found = looked("rows.csv", content, multi_label=True)
    assert (found.labels, found.separator) == ([("b", 2), ("a", 1)], ";")
    lists = looked("rows.jsonl", json.dumps({"text": "x", "labels": ["a", "b"]}) + "\n")
    assert lists.multi_label
    assert lists.rows == [["x", '["a", "b"]']]


def test_a_column_of_texts_is_none_of_labels() -> None:
    rows = "\n".join(f"text {n},other text {n}" for n in range(50))
    found = looked("rows.csv", f"text,label\n{rows}\n")
    assert "50 different values in 50 rows" in found.problem
    assert found.labels == []
    assert "both in 'text'" in looked("rows.csv", f"text,label\n{rows}\n", label_column="text").problem


@pytest.mark.parametrize(
    ("content", "said"),
    [("", "has no rows"), ("text,label\n", "has no rows"), ("text\nx\n", "one column alone, 'text'")],
)
def test_a_file_without_two_columns_of_rows_is_refused(content: str, said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        looked("rows.csv", content)
