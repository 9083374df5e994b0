import csv
import json
from pathlib import Path

import pytest

from zerostart.cli.records import Record, TextFile, check_output, read_lines, writer
from zerostart.errors import InvalidInput
from zerostart.nli.classification import Classification

RESULT = Classification("a text", ("y", "x"), (0.75, 0.25))


def texts(path: Path, column: str = "text") -> list[str]:
    return [record.text for record in TextFile(str(path), column).records()]


def written(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def refusal(path: Path, column: str = "text") -> str:
    with pytest.raises(InvalidInput) as caught:
        texts(path, column)
    return caught.value.message


def test_plain_text_has_a_text_a_line_and_skips_blank_ones(tmp_path: Path) -> None:
    path = written(tmp_path / "in.txt", "one\r\n\n  two  \n \t\nthree, four")
    assert texts(path) == ["one", "  two  ", "three, four"]


def test_csv_cells_may_hold_commas_quotes_and_line_breaks(tmp_path: Path) -> None:
    path = written(tmp_path / "in.csv", 'id,text\n1,"a, ""b""\nc"\n\n2,\n3,short\n')
    records = list(TextFile(str(path), "text").records())
    assert records == [Record('a, "b"\nc', ("1", 'a, "b"\nc')), Record("", ("2", "")), Record("short", ("3", "short"))]


def test_a_csv_row_that_is_too_short_is_filled(tmp_path: Path) -> None:
    (record,) = TextFile(str(written(tmp_path / "in.CSV", "text,a,b\nx\n")), "text").records()
    assert record == Record("x", ("x", "", ""))


def test_jsonl_takes_objects_and_strings(tmp_path: Path) -> None:
    path = written(tmp_path / "in.jsonl", '{"review": "one", "id": 1}\n\n"two"\n{"review": ""}\n')
    assert texts(path, "review") == ["one", "two", ""]


@pytest.mark.parametrize(
    ("name", "content"), [("in.txt", "Zoë\n"), ("in.csv", "text\nZoë\n"), ("in.ndjson", '{"text": "Zoë"}\n')]
)
def test_a_byte_order_mark_is_no_part_of_the_text(tmp_path: Path, name: str, content: str) -> None:
    assert texts(written(tmp_path / name, b"\xef\xbb\xbf" + content.encode())) == ["Zoë"]


@pytest.mark.parametrize(
    ("name", "content", "parts"),
    [
        ("in.csv", "id,review\n1,x\n", ["no column 'text'", "'id', 'review'", "--text-column"]),
        ("in.csv", "text,a\nx,1\ny,1,2\n", ["line 3", "3 cells for 2 columns"]),
        ("in.csv", "", ["no column 'text'"]),
        ("in.jsonl", '"ok"\n{"text": 3}\n', ["line 2", "key 'text'", "--text-column"]),
        ("in.jsonl", '{"text": "x"}\n\n{oops}\n', ["line 3", "not valid JSON"]),
        ("in.jsonl", "[" * 100_000, ["line 1", "not valid JSON"]),
        ("in.jsonl", "[1]", ["line 1", "key 'text'"]),
        ("in.txt", b"fine\n\xff\n", ["not UTF-8 at byte", "save it as UTF-8"]),
        ("in.csv", b"text\n\xff\n", ["not UTF-8"]),
    ],
)
def test_a_wrong_file_names_the_place_and_the_remedy(
    tmp_path: Path, name: str, content: str | bytes, parts: list[str]
) -> None:
    path = written(tmp_path / name, content)
    message = refusal(path)
    assert str(path) in message
    for part in parts:
        assert part in message


def test_a_missing_file_and_an_unknown_ending_are_refused(tmp_path: Path) -> None:
    assert "cannot be read: No such file" in refusal(tmp_path / "absent.txt")
    with pytest.raises(InvalidInput, match=r"give a file that ends in \.txt, \.csv, \.jsonl"):
        TextFile("texts.xlsx", "text")


def test_lines_of_a_label_file(tmp_path: Path) -> None:
    path = written(tmp_path / "labels", "a\tfirst\r\n\nb, c\n")
    assert read_lines(path) == ["a\tfirst", "b, c"]


def test_jsonl_results_are_a_document_a_line(tmp_path: Path) -> None:
    output = tmp_path / "out.jsonl"
    with writer(output, TextFile("-", "text"), ["x", "y"]) as write:
        write(Record("a text"), RESULT)
        write(Record(""), None)
        assert not output.exists(), "the file appears whole"
    assert [json.loads(line) for line in output.read_text().splitlines()] == [
        {"sequence": "a text", "labels": ["y", "x"], "scores": [0.75, 0.25]},
        {"sequence": "", "labels": [], "scores": []},
    ]


def test_csv_results_keep_the_columns_and_add_scores(tmp_path: Path) -> None:
    source = written(tmp_path / "in.csv", 'id,label,text\n1,old,"a, text"\n2,old,\n')
    file = TextFile(str(source), "text")
    with writer(tmp_path / "out.csv", file, ["x", "y"]) as write:
        for record, result in zip(file.records(), [RESULT, None], strict=True):
            write(record, result)
    with (tmp_path / "out.csv").open(newline="") as out:
        assert list(csv.reader(out)) == [
            ["id", "label", "text", "zerostart label", "score", "score: x", "score: y"],
            ["1", "old", "a, text", "y", "0.75", "0.25", "0.75"],
            ["2", "old", "", "", "", "", ""],
        ]


def test_csv_results_of_plain_texts_have_a_text_column(tmp_path: Path) -> None:
    with writer(tmp_path / "out.csv", TextFile("in.txt", "text"), ["x", "y"]) as write:
        write(Record("a text"), RESULT)
    assert (tmp_path / "out.csv").read_text() == "text,label,score,score: x,score: y\na text,y,0.75,0.25,0.75\n"


def test_a_failure_leaves_the_old_output_and_no_part(tmp_path: Path) -> None:
    output = written(tmp_path / "out.jsonl", "old")

    def fail() -> None:
        with writer(output, TextFile("-", "text"), ["x"]) as write:
            write(Record("a text"), RESULT)
            raise InvalidInput("wrong")

    with pytest.raises(InvalidInput, match="wrong"):
        fail()
    assert output.read_text() == "old"
    assert list(tmp_path.iterdir()) == [output]


def test_an_output_may_replace_its_own_input(tmp_path: Path) -> None:
    path = written(tmp_path / "both.csv", "text\na text\n")
    file = TextFile(str(path), "text")
    with writer(path, file, ["x", "y"]) as write:
        for record in file.records():
            write(record, RESULT)
    assert path.read_text() == "text,label,score,score: x,score: y\na text,y,0.75,0.25,0.75\n"


def test_an_output_that_cannot_be_written_is_refused_before_the_work(tmp_path: Path) -> None:
    check_output(tmp_path / "out.jsonl")
    with pytest.raises(InvalidInput, match=r"ends in \.jsonl or \.csv"):
        check_output(tmp_path / "out.xml")
    with pytest.raises(InvalidInput, match="absent is not there"):
        check_output(tmp_path / "absent" / "out.csv")
