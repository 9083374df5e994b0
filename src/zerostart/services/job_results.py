"""What came out of a transform job, read back: its files, its results one after another, and records that failed."""

import csv
import json
from collections.abc import Generator, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from zerostart.errors import NotFound
from zerostart.metadata.database import Database
from zerostart.metadata.transform_job import TransformFile, TransformJob, TransformJobStatus, read_transform_files
from zerostart.storage.base import ObjectStore
from zerostart.transform.lines import own_lines
from zerostart.transform.parts import output_location
from zerostart.transform.tables import CSV, PARQUET

_JOINED, _JOINED_INPUT = "SageMakerOutput", "SageMakerInput"
_LONGEST_CELL_BYTES = 100 * 1024 * 1024


@dataclass(frozen=True)
class Result:
    """What came out of a text: its labels and their scores, best first, or why there are none.

    `beside` are the columns of the record that were kept.
    """

    text: str
    labels: tuple[str, ...] = ()
    scores: tuple[float, ...] = ()
    error: str | None = None
    beside: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class FailedRecord:
    """A record without a result: the line that it begins on, and why; `key` is its file's."""

    key: str
    line: int
    error: str


@dataclass(frozen=True)
class ResultFile:
    """An input and the places of its output, in `bucket`; `error` says why there is none."""

    input_key: str
    bucket: str
    key: str
    errors_key: str
    error: str | None


class JobResults:
    """Reads the outputs of jobs. Everything raises UnknownObject for an output that is not there any more."""

    def __init__(self, database: Database, store: ObjectStore) -> None:
        self._database = database
        self._store = store

    def files(self, job: TransformJob) -> list[ResultFile]:
        """The files of a job, in the order of its input; none before it has looked for them."""
        with self._database.transaction() as connection:
            return [_file(job, each) for each in read_transform_files(connection, job.name)]

    @staticmethod
    def are_there(job: TransformJob) -> bool:
        """Whether a job has come to its end, so that outputs are written."""
        return job.status in {TransformJobStatus.COMPLETED, TransformJobStatus.FAILED}

    @staticmethod
    def can_be_read(job: TransformJob) -> bool:
        """Whether its outputs have a form in which one result can be told from the next."""
        options = job.options
        return options.accept == CSV or (options.assemble_lines and options.accept != PARQUET)

    def lines(self, job: TransformJob) -> Generator[bytes, None, None]:
        """The outputs as they are, one after another."""
        for file in self.files(job):
            if file.error is None:
                reader = self._store.open(file.bucket, file.key)
                with closing(reader):
                    if reader.stored.size:
                        yield from reader.chunks()

    def results(self, job: TransformJob) -> Iterator[Result]:
        """Every result, in the order of the input, in memory that does not grow."""
        for file in self.files(job):
            if file.error is None:
                yield from self._of(job, file)

    def failed(self, files: list[ResultFile], most: int) -> list[FailedRecord]:
        """The first records that failed, where they were collected."""
        return list(islice(self._failed(files), most))

    def _of(self, job: TransformJob, file: ResultFile) -> Iterator[Result]:
        lines = self._lines(file.bucket, file.key)
        if job.options.accept == CSV:
            csv.field_size_limit(_LONGEST_CELL_BYTES)
            for row in csv.DictReader(line.decode() + "\n" for line in lines):
                yield _of_row(row)
            return
        for line in lines:
            yield from _of_document(json.loads(line), job.options.text_column)

    def _failed(self, files: list[ResultFile]) -> Iterator[FailedRecord]:
        for file in files:
            try:
                for line in self._lines(file.bucket, file.errors_key):
                    document = json.loads(line)
                    yield FailedRecord(file.input_key, document["line"], document["error"])
            except NotFound:
                continue  # none of this file failed

    def _lines(self, bucket: str, key: str) -> Iterator[bytes]:
        reader = self._store.open(bucket, key)
        with closing(reader):
            if reader.stored.size:
                yield from own_lines(reader.chunks())


def _file(job: TransformJob, file: TransformFile) -> ResultFile:
    bucket, key, errors_key = output_location(job, file)
    return ResultFile(file.key, bucket, key, errors_key, file.error)


def _of_document(document: Any, text_column: str | None) -> Iterator[Result]:
    """The results of a line, with or without its input beside them. One that a filter made something else is text."""
    beside: Mapping[str, Any] = {}
    found = document
    if isinstance(document, dict) and _JOINED in document:
        found = document[_JOINED]
        given = document.get(_JOINED_INPUT)
        own = {"text": given} if given is not None else document
        beside = {name: value for name, value in own.items() if name != _JOINED}
    for each in found if isinstance(found, list) else [found]:
        yield _result(each, beside, text_column)


def _result(found: Any, beside: Mapping[str, Any], text_column: str | None) -> Result:
    own = str(beside.get("text" if text_column is None else text_column, beside.get("text", "")))
    if isinstance(found, dict) and {"labels", "scores"} <= set(found):
        return Result(str(found.get("sequence", own)), tuple(found["labels"]), tuple(found["scores"]), beside=beside)
    if isinstance(found, dict) and "error" in found:
        return Result(own, error=str(found["error"]), beside=beside)
    return Result(json.dumps(found, ensure_ascii=False), beside=beside)


def _of_row(row: Mapping[str, Any]) -> Result:
    """A row of an output that is a table: see write_table."""
    own = dict(row)
    text, error = own.pop("sequence", ""), own.pop("error", "")
    labels, scores = (json.loads(own.pop(name, "") or "[]") for name in ("labels", "scores"))
    beside = {name: value for name, value in own.items() if name not in {"label", "score"}}
    return Result(text or "", tuple(labels), tuple(scores), error or None, beside)
