import gzip
import json
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest

from zerostart.errors import InvalidInput
from zerostart.nli.labels import parse_labels
from zerostart.services.labelled_file import LabelledFile

ROWS = [{"id": 1, "text": "Pack the bags", "label": "travel"}, {"id": 2, "text": "Whisk, and bake", "label": "cooking"}]


def jsonl(path: Path, rows: list[Any]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def written(tmp_path: Path, end: str) -> Path:
    path = tmp_path / f"rows{end}"
    if end == ".parquet":
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(ROWS), path)
    elif end == ".csv":
        path.write_text('\ufeffid,text,label\n1,Pack the bags,travel\n2,"Whisk, and bake",cooking\n')
    elif end == ".jsonl.gz":
        path.write_bytes(gzip.compress(jsonl(tmp_path / "plain.jsonl", ROWS).read_bytes()))
    else:
        jsonl(path, ROWS)
    return path


@pytest.mark.parametrize("end", [".csv", ".jsonl", ".jsonl.gz", ".parquet"])
def test_every_format_gives_the_same_rows(tmp_path: Path, end: str) -> None:
    rows = LabelledFile(written(tmp_path, end)).rows()
    assert rows.texts == ("Pack the bags", "Whisk, and bake")
    assert rows.names == ["cooking", "travel"]
    assert rows.truth.tolist() == [1, 0]
    assert (rows.numbers, rows.multi_label, dict(rows.left_out)) == ((1, 2), False, {})


def test_rows_without_text_or_label_are_left_out_and_counted(tmp_path: Path) -> None:
    path = jsonl(
        tmp_path / "rows.jsonl", [*ROWS, {"text": " ", "label": "x"}, {"text": "y"}, {"text": "z", "label": ""}]
    )
    rows = LabelledFile(path).rows()
    assert len(rows) == 2
    assert dict(rows.left_out) == {"no text": 1, "no label": 2}


def test_several_labels_a_text_as_lists_or_with_a_separator(tmp_path: Path) -> None:
    listed = jsonl(tmp_path / "a.jsonl", [{"text": "x", "labels": ["b", "a"]}, {"text": "y", "labels": []}])
    rows = LabelledFile(listed).rows()
    assert rows.multi_label
    assert rows.right.tolist() == [[True, True], [False, False]]
    for separator, guessed in ((";", True), ("|", True), ("|", False)):
        path = tmp_path / "b.csv"
        path.write_text(f"text,label\nx,b{separator} a\ny,b\n")
        source = LabelledFile(path, separator="" if guessed else separator, multi_label=guessed)
        assert source.rows().right.tolist() == [[True, True], [False, True]]


def test_columns_are_guessed_only_where_one_can_be_meant(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("Tweet,Category,topic\nx,a,b\ny,b,a\n")
    with pytest.raises(InvalidInput, match=r"'Tweet', 'Category', 'topic', none of a usual name.*--text-column"):
        LabelledFile(path).rows()
    with pytest.raises(InvalidInput, match=r"'Category', 'topic'.*--label-column"):
        LabelledFile(path, text_column="Tweet").rows()
    with pytest.raises(InvalidInput, match="no column 'tweet', but 'Tweet'"):
        LabelledFile(path, text_column="tweet").rows()
    with pytest.raises(InvalidInput, match="two columns"):
        LabelledFile(path, "Tweet", "Tweet").rows()
    assert LabelledFile(path, "Tweet", "topic").rows().names == ["a", "b"]


def test_labels_that_are_named_are_all_that_may_occur(tmp_path: Path) -> None:
    path = jsonl(tmp_path / "rows.jsonl", ROWS)
    rows = LabelledFile(path).rows(parse_labels({"travel": "journeys", "cooking": "cooking", "sport": "sport"}))
    assert rows.names == ["travel", "cooking", "sport"]
    assert rows.labels[0].description == "journeys"
    assert rows.right.sum(axis=0).tolist() == [1, 1, 0]
    with pytest.raises(InvalidInput, match="row 2: the label 'cooking' is none of those named: travel"):
        LabelledFile(path).rows(parse_labels(["travel", "sport"]))


def test_a_limit_takes_the_same_rows_each_time(tmp_path: Path) -> None:
    path = jsonl(tmp_path / "rows.jsonl", [{"text": f"text {n}", "label": "ab"[n % 2]} for n in range(50)])
    rows = LabelledFile(path).rows(limit=10)
    assert (len(rows), list(rows.numbers)) == (10, sorted(rows.numbers))
    assert rows.numbers[-1] > 10, "not the first ones"
    assert LabelledFile(path).rows(limit=10).numbers == rows.numbers
    assert len(LabelledFile(path).rows(limit=99)) == 50


def test_a_column_of_texts_is_not_taken_for_labels(tmp_path: Path) -> None:
    path = jsonl(tmp_path / "rows.jsonl", [{"text": f"text {n}", "label": f"title {n}"} for n in range(50)])
    with pytest.raises(InvalidInput, match="50 different values in 50 rows"):
        LabelledFile(path).rows()


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("rows.txt", b"x", "ends in .csv"),
        ("gone.csv", None, "cannot be read: No such file"),
        ("rows.csv", b'text,label\n"a,b\n', "line 2"),
        ("rows.csv", b"text,text,label\na,b,c\n", "two columns 'text'"),
        ("rows.jsonl", b'{"text": "a"\n', "line 1: not JSON"),
        ("rows.jsonl", b'"a"\n', "line 1: write an object"),
        ("rows.jsonl", b'{"text": "\xff"}\n', "line 1: not JSON in UTF-8"),
        ("rows.jsonl.gz", b"no gzip", "cannot be read"),
        ("rows.parquet", b"no parquet", "not Parquet"),
        ("rows.csv", b"text,label\n,\n", "no row has a text and a label"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path: Path, name: str, content: bytes | None, words: str) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InvalidInput, match=words) as refused:
        LabelledFile(path).rows()
    assert name in str(refused.value)
