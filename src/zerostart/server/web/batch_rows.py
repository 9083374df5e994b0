"""Batch jobs as the pages show them."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice

from zerostart.bootstrap.server import ServerParts
from zerostart.errors import InvalidInput, NotFound, ZerostartError
from zerostart.metadata.rows import PageRequest
from zerostart.metadata.transform_job import TransformJob, TransformJobStatus
from zerostart.nli.labels import parse_labels
from zerostart.server.web.batch_contexts import (
    FailedRow,
    JobPage,
    JobProgress,
    JobResultsShown,
    JobRow,
    Place,
    ResultRow,
)
from zerostart.server.web.formats import ago, cell_shown, key_shown, rate_shown, time_shown
from zerostart.server.web.links import Links
from zerostart.services.batch import EXPECTED
from zerostart.services.job_results import JobResults, ResultFile
from zerostart.storage.base import parse_uri
from zerostart.transform.progress import TransformJobState
from zerostart.transform.tables import CSV

_NOTHING = "\N{EN DASH}"
_SHOWN = 20
_ADVICE = (  # by words of the reason; the last fits every one
    ("max_error_rate", "Look at the records that failed: often the column is another one. Then set the job up again."),
    (
        "ClientError",
        "Mend that record, or set the job up again and have records that fail collected: then the others are kept.",
    ),
    ("replaced after the job began", "Set the job up again: it then reads the object as it is now."),
    ("No objects were found", "Look whether the input is still there, then set the job up again."),
    ("does not exist", "Look whether the input and the output's bucket are still there, then set the job up again."),
    ("Workers ended", "The model does not run on this machine: try a smaller one, or one with more memory free."),
    ("", "Put right what the reason names, then set the job up again."),
)
_RUNNING = (TransformJobStatus.IN_PROGRESS, TransformJobStatus.STOPPING)


@dataclass(frozen=True)
class BatchViews:
    """Reads jobs for the pages. Its methods wait for the database and the store: call them in a thread."""

    parts: ServerParts
    links: Links

    def rows(self, limit: int, next_token: str | None) -> tuple[list[JobRow], str | None]:
        """The newest jobs, and where the list goes on. Raises InvalidInput for a token that was not given out."""
        service = self.parts.transform_jobs
        page = service.list_transform_jobs(PageRequest(limit=limit, next_token=next_token))
        return [self._row(service.describe_transform_job(job.name)) for job in page.records], page.next_token

    def page(self, name: str, *, with_contents: bool) -> JobPage:
        """All of one job; `with_contents` with what is in its files. Raises UnknownJob."""
        state = self.parts.transform_jobs.describe_transform_job(name)
        job, results = state.job, self.parts.job_results
        files = results.files(job)
        running = job.status in _RUNNING
        source = self._source(job, files)
        failed = self._failed(job, files) if with_contents and not running else ()
        errors = [file for file in files if with_contents and not running and state.progress.failed]
        return JobPage(
            name=name,
            row=self._row(state),
            can_stop=job.status is TransformJobStatus.IN_PROGRESS,
            reason=job.failure_reason,
            advice=advice(job),
            again_link=self._again(job, files) if source.link and not running else None,
            source=source,
            output=self._output(job),
            facts=_facts(job),
            failed_count=state.progress.failed,
            failed=failed,
            all_failed=[
                Place(each.errors_key.rpartition("/")[2], self.links.object(each.bucket, each.errors_key))
                for each in errors
                if self._exists(job, each.bucket, each.errors_key)
            ],
            results=self._results(job) if with_contents and results.are_there(job) and files else None,
        )

    def _row(self, state: TransformJobState) -> JobRow:
        job = state.job
        return JobRow(
            name=job.name,
            status=job.status.value,
            is_running=job.status in _RUNNING,
            model_id=job.model_id,
            progress=progress_shown(state, self._expected(job)),
            created=ago(job.created_at),
        )

    def _expected(self, job: TransformJob) -> int | None:
        """How many records the job has, as an estimate said before it started."""
        if job.status not in _RUNNING:
            return None
        found = self.parts.tags.list_tags(self.parts.arns.of("transform-job", job.name)).get(EXPECTED, "")
        return int(found) if found.isdecimal() else None

    def _failed(self, job: TransformJob, files: list[ResultFile]) -> list[FailedRow]:
        of_files = [FailedRow(key_shown(file.input_key), cell_shown(file.error, 500)) for file in files if file.error]
        if not job.options.collect_errors:
            return of_files[:_SHOWN]
        written = [file for file in files if file.error is None]
        one = len(files) == 1
        of_records = [
            FailedRow(f"line {each.line:,}" if one else f"{key_shown(each.key)}, line {each.line:,}", each.error)
            for each in self.parts.job_results.failed(written, _SHOWN)
        ]
        return [*of_files, *of_records][:_SHOWN]

    def _results(self, job: TransformJob) -> JobResultsShown | None:
        if not JobResults.can_be_read(job):
            return JobResultsShown((), "", "", "They are in the output, in a form that is not shown here.")
        try:
            found = list(islice(self.parts.job_results.results(job), _SHOWN + 1))
        except NotFound:
            note = "" if job.status is TransformJobStatus.FAILED else "They are not in the output any more."
            return JobResultsShown((), "", "", note) if note else None
        except ZerostartError as error:
            return JobResultsShown((), "", "", str(error))
        rows = [
            ResultRow(
                text=cell_shown(each.text),
                label=each.labels[0] if each.labels else "",
                score=f"{each.scores[0]:.1%}" if each.scores else "",
                error=each.error,
            )
            for each in found[:_SHOWN]
        ]
        if not rows:
            return None
        return JobResultsShown(
            rows,
            self.links.job_results(job.name, "csv"),
            "" if job.options.accept == CSV else self.links.job_results(job.name, "jsonl"),
            "It goes on: download it to see all." if len(found) > _SHOWN else "",
        )

    def _source(self, job: TransformJob, files: list[ResultFile]) -> Place:
        if len(files) == 1:
            bucket, _, key = files[0].input_key.partition("/")
            link = self.links.object(bucket, key) if self._exists(job, bucket, key) else None
            return Place(key_shown(f"s3://{bucket}/{key}"), link)
        bucket, key = parse_uri(job.options.input_uri)
        shown = key_shown(job.options.input_uri) + (f" ({len(files)} objects)" if files else "")
        return Place(shown, self.links.bucket(bucket, key) if self._exists(job, bucket) else None)

    def _exists(self, job: TransformJob, bucket: str, key: str = "") -> bool:
        """Whether a bucket or an object of a job is there still; a job that runs has its own."""
        try:
            if job.status in _RUNNING:
                return True
            if key:
                self.parts.store.head(bucket, key)
            else:
                self.parts.store.bucket(bucket)
        except NotFound:
            return False
        except ZerostartError:
            return True  # its own page says what is the matter
        return True

    def _output(self, job: TransformJob) -> Place:
        bucket, prefix = parse_uri(job.options.output_uri)
        folder = f"{prefix.rstrip('/')}/" if prefix else ""
        link = self.links.bucket(bucket, folder) if self._exists(job, bucket) else None
        return Place(key_shown(job.options.output_uri), link)

    def _again(self, job: TransformJob, files: list[ResultFile]) -> str | None:
        if len(files) != 1:
            return None
        return self.links.set_up_batch_of(job.model_id, f"s3://{files[0].input_key}")


def progress_shown(state: TransformJobState, expected: int | None = None) -> JobProgress:
    """How far a job is, in words and as a share; `expected` records count where the job does not know its own yet."""
    job, progress = state.job, state.progress
    total = state.records_total if state.records_total is not None or expected is None else expected
    ended = job.status not in _RUNNING
    percent, left = "", ""
    if job.status is TransformJobStatus.COMPLETED:
        percent = "100"
    elif total:
        share = min(progress.records / total, 0.99)
        percent = f"{100 * share:.0f}"
    if not ended and total and state.records_per_s:
        left = time_shown(max(0.0, (total - progress.records) / state.records_per_s))
    if job.status is TransformJobStatus.IN_PROGRESS and job.started_at is None:
        words = "Waiting for a worker"
    elif not ended and not progress.records:
        words = "Starting"
    else:
        about = "" if state.records_total is not None and progress.shards == progress.shards_done else "about "
        of = f" of {about}{total:,}" if total and not ended else ""
        words = f"{progress.records:,}{of} record{'s' if progress.records != 1 or of else ''}"
    rate = rate_shown(state.records_per_s) if state.records_per_s else _NOTHING
    return JobProgress(percent, words, rate, left)


def advice(job: TransformJob) -> str:
    """What to do about a job that failed."""
    if job.status is not TransformJobStatus.FAILED:
        return ""
    reason = job.failure_reason or ""
    return next(advised for words, advised in _ADVICE if words in reason)


def labels_of_job(job: TransformJob) -> list[str]:
    """The labels that the job states for every record; none where records state their own."""
    stated = job.options.defaults.get("candidate_labels")
    try:
        return [label.name for label in parse_labels(stated)] if stated else []
    except InvalidInput:
        return []


def _facts(job: TransformJob) -> Mapping[str, str]:
    options = job.options
    labels = labels_of_job(job)
    facts = {
        "Labels": ", ".join(labels) if labels else "stated by the records",
        "Hypothesis": str(options.defaults.get("hypothesis_template", _NOTHING)),
        "Several labels may fit": "yes" if options.defaults.get("multi_label") else "no",
        "Text column": options.text_column if options.text_column is not None else _NOTHING,
        "Records that fail": "are collected" if options.collect_errors else "fail the job",
        "Workers": f"{options.instance_count}",
    }
    if job.started_at is not None and job.ended_at is not None:
        facts["Took"] = time_shown((job.ended_at - job.started_at).total_seconds())
    return facts
