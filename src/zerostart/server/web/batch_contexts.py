"""The contexts of the pages of batch jobs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from zerostart.server.web.bucket_contexts import Preview
from zerostart.server.web.contexts import Choice, Label
from zerostart.server.web.rendering import Page


@dataclass(frozen=True)
class JobProgress:
    """How far a job is; `percent` is empty where that cannot be told yet."""

    percent: str
    words: str
    rate: str
    left: str


@dataclass(frozen=True)
class JobRow:
    """A job in the list."""

    name: str
    status: str
    is_running: bool
    model_id: str
    progress: JobProgress
    created: str


@dataclass(frozen=True)
class BatchPage(Page):
    """The list of jobs; its first page follows what happens while something does."""

    template: ClassVar[str] = "batch.html"
    rows: Sequence[JobRow]
    follows: bool
    next_token: str | None


@dataclass(frozen=True)
class NewBatchPage(Page):
    """The first step: the model and the file."""

    template: ClassVar[str] = "new_batch.html"
    models: Sequence[Choice]
    model: str
    uri: str
    most_bytes: int
    most: str
    error: str | None = None


@dataclass(frozen=True)
class ColumnBox:
    """A column that may be kept."""

    name: str
    shown: str
    is_kept: bool


@dataclass(frozen=True)
class SetUpForm:
    """What the second step's form was sent with, or is filled with."""

    text_column: str
    labels: str
    template: str
    multi_label: bool
    strict: bool
    workers: str
    scorer: str
    output: str
    name: str


@dataclass(frozen=True)
class SetUpBatchPage(Page):
    """The second step: which column is what, the labels, options. `text_columns` is empty where a line is a text."""

    template: ClassVar[str] = "set_up_batch.html"
    model: str
    model_name: str
    uri: str
    source: str
    source_link: str
    preview: Preview
    text_columns: Sequence[Choice]
    boxes: Sequence[ColumnBox]
    keeps_all: bool | None
    scorers: Sequence[Choice]
    most_workers: int
    form: SetUpForm
    error: str | None = None


@dataclass(frozen=True)
class TriedRecord:
    """A record that was tried: the scores of its best labels, or why it has none."""

    text: str
    labels: Sequence[Label]
    error: str | None


@dataclass(frozen=True)
class TriedBatchPage(Page):
    """The last step: what comes out of the first records, what the job will take, and Start.

    `fields` are those of the form, carried on; `notice` says why nothing could be tried.
    """

    template: ClassVar[str] = "tried_batch.html"
    fields: Mapping[str, str]
    name: str
    facts: Mapping[str, str]
    tiles: Mapping[str, str]
    tried: Sequence[TriedRecord]
    failing: bool
    strict: bool
    notice: str | None = None


@dataclass(frozen=True)
class Place:
    """Something in a bucket, and the page of it; there is none of what is gone."""

    shown: str
    link: str | None


@dataclass(frozen=True)
class FailedRow:
    """A record, or a file, without a result."""

    where: str
    reason: str


@dataclass(frozen=True)
class ResultRow:
    """A text with its best label."""

    text: str
    label: str
    score: str
    error: str | None


@dataclass(frozen=True)
class JobResultsShown:
    """What came out, as far as it is shown; the links are empty where there is nothing to download in that form."""

    rows: Sequence[ResultRow]
    csv_link: str
    jsonl_link: str
    note: str


@dataclass(frozen=True)
class JobPage(Page):
    """A job: how far it is, what failed, what came out."""

    template: ClassVar[str] = "job.html"
    name: str
    row: JobRow
    can_stop: bool
    reason: str | None
    advice: str
    again_link: str | None
    source: Place
    output: Place
    facts: Mapping[str, str]
    failed_count: int
    failed: Sequence[FailedRow]
    all_failed: Sequence[Place]
    results: JobResultsShown | None


@dataclass(frozen=True)
class StopJobPage(Page):
    """Asks before a job is stopped."""

    template: ClassVar[str] = "stop_job.html"
    name: str
    records: str
