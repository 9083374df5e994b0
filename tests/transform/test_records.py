"""Cutting, joining and writing records, over files of every kind."""

import csv
import gzip
import io
import json
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zerostart.errors import InvalidInput, ZerostartError
from zerostart.metadata.transform_job import TransformFile, TransformOptions
from zerostart.nli.classification import Classification, ClassificationRequest
from zerostart.transform.paths import Selection
from zerostart.transform.plan import plan_shards
from zerostart.transform.records import Record, RecordReader, RecordWriter, decompressed

PLAIN = TransformOptions(
    input_uri="s3://b/in/",
    manifest=False,
    compressed=False,
    content_type="text/plain",
    split_lines=True,
    output_uri="s3://b/out",
    assemble_lines=True,
    accept="*/*",
    kms_key_id=None,
    instance_count=1,
    threads=1,
    precision="auto",
    max_record_bytes=1000,
    defaults={"candidate_labels": "a,b"},
)
JSON = replace(PLAIN, content_type="application/json", defaults={})


def pieces(content: bytes, size: int) -> Iterator[bytes]:
    for start in range(0, len(content), size):
        yield content[start : start + size]


def cut(options: TransformOptions, content: bytes, shard_bytes: int, piece_bytes: int) -> list[Any]:
    """The documents of all shards of a file, each shard read alone."""
    found: list[Any] = []
    for first in range(0, max(1, len(content)), shard_bytes):
        inside = first > 0
        length = min(shard_bytes, len(content) - first)
        source = pieces(content[first - inside :], piece_bytes)
        found += [each.document for each in RecordReader(options).records(source, length, inside=inside)]
    return found


@given(
    st.lists(st.text(alphabet="ab\u00fc\U0001f600 \t", max_size=12)),
    st.sampled_from(["\n", "\r\n"]),
    st.booleans(),
    st.integers(1, 60),
    st.integers(1, 25),
)
def test_every_line_is_in_one_shard_however_the_file_is_cut(
    lines: list[str], end: str, last_end: bool, shard_bytes: int, piece_bytes: int
) -> None:
    content = end.join(lines) + (end if last_end else "")
    expected = [line.removesuffix("\r") for line in content.split("\n") if line.strip()]
    assert cut(PLAIN, content.encode(), shard_bytes, piece_bytes) == expected


@given(st.binary(max_size=300), st.integers(1, 60), st.integers(1, 25))
def test_bytes_of_every_kind_are_cut_as_they_are_uncut(content: bytes, shard_bytes: int, piece_bytes: int) -> None:
    whole = [each.document for each in RecordReader(PLAIN).records(iter([content]), None, inside=False)]
    assert cut(PLAIN, content, shard_bytes, piece_bytes) == whole


def test_a_line_over_the_limit_is_one_failed_record_and_the_next_is_read() -> None:
    content = b"first\n" + b"x" * 6_000_000 + b"\nlast"
    found = list(RecordReader(PLAIN).records(pieces(content, 1 << 20), None, inside=False))
    assert [(each.line, each.document, isinstance(each.asked, ClassificationRequest)) for each in found] == [
        (1, "first", True),
        (2, None, False),
        (3, "last", True),
    ]
    assert "longer than 1000 bytes: raise MaxPayloadInMB, or shorten it" in str(found[1].asked)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 3_000_000), st.sampled_from([b"\n", b"\r\n"]), st.sampled_from([1 << 16, 1 << 20, 6 << 20]))
def test_lines_of_six_megabytes_are_whole_whichever_shard_they_begin_in(
    before: int, end: bytes, shard_bytes: int
) -> None:
    """Within the limit of a record's size, which is 6 MB unless a job says otherwise."""
    options = replace(PLAIN, max_record_bytes=7 << 20)
    lines = [b"a" * before, "\u00fc".encode() * (3 << 20), b"b" * (6 << 20), b"last"]
    expected = [line.decode() for line in lines if line]
    assert cut(options, end.join(lines), shard_bytes, 1 << 20) == expected


@given(
    st.lists(st.one_of(st.text(min_size=1, max_size=9), st.just(""), st.just("{broken"))),
    st.sampled_from(["\n", "\r\n"]),
    st.booleans(),
    st.booleans(),
    st.integers(1, 200),
)
def test_output_has_a_line_for_each_record_in_order_whatever_the_file(
    texts: list[str], end: str, last_end: bool, joined: bool, shard_bytes: int
) -> None:
    """Split, answered and assembled again: an error is a line too, an empty line is no record."""
    options = replace(JSON, join_input=joined, collect_errors=True, max_record_bytes=10_000)
    lines = [
        text if text in {"", "{broken"} else json.dumps({"inputs": text, "candidate_labels": ["a"]}, ensure_ascii=False)
        for text in texts
    ]
    content = (end.join(lines) + (end if last_end else "")).encode()
    writer = RecordWriter(options)
    output = b""
    for first in range(0, max(1, len(content)), shard_bytes):
        inside = first > 0
        source = pieces(content[first - inside :], 17)
        for record in RecordReader(options).records(source, min(shard_bytes, len(content) - first), inside=inside):
            if isinstance(record.asked, ZerostartError):
                output += writer.failed(record, str(record.asked))
            else:
                output += writer.answered(record, [Classification(record.asked.texts[0], ("a",), (1.0,))])
    written = [json.loads(line) for line in output.decode().split("\n")[:-1]]
    answers = [each.get("SageMakerOutput", each) for each in written]
    asked = [line for line in lines if line]
    assert len(answers) == len(asked)
    for line, answer, whole in zip(asked, answers, written, strict=True):
        if line == "{broken" or not json.loads(line)["inputs"].strip():
            assert "error" in answer
        else:
            assert answer["sequence"] == json.loads(line)["inputs"]
            assert not joined or whole["inputs"] == answer["sequence"]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"{}", "neither 'inputs' nor"),
        (b"[1", "not valid JSON"),
        (b'"text"', "an object"),
        (b'{"inputs": "a"}', "'candidate_labels' is missing"),
        (b"\xff", "not UTF-8"),
    ],
)
def test_what_is_wrong_with_a_record_is_said(line: bytes, words: str) -> None:
    [record] = RecordReader(JSON).records(iter([line]), None, inside=False)
    assert words in str(record.asked)


def test_a_record_states_its_own_options_and_the_job_states_the_rest() -> None:
    options = replace(JSON, defaults={"candidate_labels": "a,b", "multi_label": True})
    lines = [{"inputs": "x"}, {"inputs": "x", "parameters": {"candidate_labels": ["c"], "multi_class": False}}]
    content = "\n".join(map(json.dumps, lines)).encode()
    first, second = (each.asked for each in RecordReader(options).records(iter([content]), None, inside=False))
    assert isinstance(first, ClassificationRequest)
    assert isinstance(second, ClassificationRequest)
    assert ([label.name for label in first.labels[0]], first.multi_label) == (["a", "b"], True)
    assert ([label.name for label in second.labels[0]], second.multi_label) == (["c"], False)


def test_json_lines_that_are_no_requests_have_their_text_under_a_key() -> None:
    options = replace(JSON, defaults={"candidate_labels": "a,b"}, text_column="body")
    lines = [{"body": "one", "inputs": "not this", "multi_label": True}, {"n": 1}, {"body": 2}, ["body"]]
    content = "".join(json.dumps(line) + "\n" for line in lines).encode()
    records = list(RecordReader(options).records([content], None, inside=False))
    asked = records[0].asked
    assert isinstance(asked, ClassificationRequest)
    assert asked.texts == ("one",)
    assert not asked.multi_label
    assert [record.document for record in records] == lines
    said = [str(record.asked) for record in records[1:]]
    assert "has no text under 'body'" in said[0]
    assert "send a" in said[1]
    assert "has no text under 'body'" in said[2]


def test_csv_with_quoted_line_ends_a_byte_order_mark_and_a_chosen_column() -> None:
    options = replace(PLAIN, content_type="text/csv", text_column="review")
    content = '\ufeffid,review\r\n1,"one\nline, and ""another"""\r\n2,plain\r\n3,\n'.encode()
    found = list(RecordReader(options).records(pieces(content, 7), None, inside=False))
    assert [each.document for each in found] == [
        {"id": "1", "review": 'one\nline, and "another"'},
        {"id": "2", "review": "plain"},
        {"id": "3", "review": ""},
    ]
    with pytest.raises(InvalidInput, match="has the columns id, review, and the column of the texts is 'text'"):
        list(RecordReader(replace(options, text_column="text")).records(iter([content]), None, inside=False))


def test_a_row_that_is_none_costs_its_own_line_and_no_other() -> None:
    """Too many cells, a quotation mark that is never closed, bytes that are no UTF-8, a line over the limit."""
    options = replace(PLAIN, content_type="text/csv", text_column="text")
    content = (
        b'id,text\n1,a\n2,Hello, world\n\n3,b\n4,"never closed\n5,c\n6,\xff\n7,"d\ne"\n8,'
        + b"x" * 1001
        + b"\n9,f\n10\n"
    )
    reader = RecordReader(options)
    found = list(reader.records(pieces(content, 11), None, inside=False))
    errors = {each.line: str(each.asked) for each in found if not isinstance(each.document, dict)}
    assert [each.document["text"] for each in found if isinstance(each.document, dict)] == [
        "a",
        "b",
        "c",
        "d\ne",
        "f",
        "",
    ]
    assert [each.line for each in found] == [2, 3, 5, 6, 7, 8, 9, 11, 12, 13]
    assert "3 cells for 2 columns: quote cells that hold commas" in errors[3]
    assert "unexpected end of data" in errors[6] or "not UTF-8" in errors[6]
    assert "not UTF-8" in errors[8]
    assert "longer than MaxPayloadInMB" in errors[11]
    assert found[3].document == '4,"never closed'
    assert reader.lines == 13


def test_columns_of_one_name_are_refused_where_one_would_be_lost() -> None:
    options = replace(PLAIN, content_type="text/csv", text_column="text")
    content = b"text,id,id\na,1,2\n"
    assert len(list(RecordReader(options).records(iter([content]), None, inside=False))) == 1
    with pytest.raises(InvalidInput, match="two columns 'id'"):
        list(RecordReader(replace(options, join_input=True)).records(iter([content]), None, inside=False))


@given(
    st.lists(
        st.tuples(st.text(alphabet='ab,"\n\u00fc\U0001f600 \t', max_size=9), st.text(alphabet='a,"\n', max_size=5))
    ),
    st.sampled_from(["\n", "\r\n"]),
    st.booleans(),
    st.integers(1, 9),
)
def test_csv_as_the_standard_library_writes_it_is_read_back(
    rows: list[tuple[str, str]], end: str, byte_order_mark: bool, piece_bytes: int
) -> None:
    options = replace(PLAIN, content_type="text/csv", text_column="text")
    file = io.StringIO(newline="")
    csv.writer(file, lineterminator=end).writerows([("text", "id"), *rows])
    content = file.getvalue().encode("utf-8-sig" if byte_order_mark else "utf-8")
    found = RecordReader(options).records(pieces(content, piece_bytes), None, inside=False)
    assert [(each.document["text"], each.document["id"]) for each in found] == rows


def test_gzip_of_several_members_and_gzip_that_is_none() -> None:
    content = gzip.compress(b"one\n") + gzip.compress(b"two\n" * 500_000)
    assert b"".join(decompressed(pieces(content, 100))) == b"one\n" + b"two\n" * 500_000
    for broken in (b"plain text", content[:-10]):
        with pytest.raises(InvalidInput, match="gzip"):
            list(decompressed(iter([broken])))


ANSWER = [Classification("x", ("a", "b"), (0.75, 0.25))]


@pytest.mark.parametrize(
    ("join", "path", "document", "expected"),
    [
        (False, "$", {"id": 1}, {"sequence": "x", "labels": ["a", "b"], "scores": [0.75, 0.25]}),
        (False, "$.labels[0]", {"id": 1}, "a"),
        (True, "$['id','SageMakerOutput']", {"id": 1, "inputs": "x"}, {"id": 1, "SageMakerOutput": None}),
        (True, "$", "x", {"SageMakerInput": "x", "SageMakerOutput": None}),
    ],
)
def test_answers_are_joined_and_filtered(join: bool, path: str, document: Any, expected: Any) -> None:
    writer = RecordWriter(replace(JSON, join_input=join, output_filter=path))
    written = writer.answered(Record(1, document, InvalidInput("not asked")), ANSWER)
    assert written.endswith(b"\n")
    shown = json.loads(written)
    if join:
        assert shown.pop("SageMakerOutput")["labels"] == ["a", "b"]
        expected = {name: value for name, value in expected.items() if name != "SageMakerOutput"}
    assert shown == expected


def test_paths_that_are_none_or_select_nothing() -> None:
    with pytest.raises(InvalidInput, match="is not a JSONPath"):
        Selection("$[")
    with pytest.raises(InvalidInput, match="selects nothing"):
        Selection("$.b").of({"a": 1})


@given(st.lists(st.integers(0, 30_000_000), min_size=1, max_size=5), st.integers(1, 8))
def test_a_plan_covers_every_byte_once(sizes: list[int], instances: int) -> None:
    files = [TransformFile(number, f"b/{number}", str(number), "e", size) for number, size in enumerate(sizes)]
    shards = plan_shards(replace(JSON, instance_count=instances), files)
    assert [each.number for each in shards] == list(range(len(shards)))
    for file in files:
        own = [(each.first, each.end) for each in shards if each.file == file.number]
        assert own[0][0] == 0
        assert own[-1][1] == file.size
        assert all(before[1] == after[0] for before, after in pairwise(own))
