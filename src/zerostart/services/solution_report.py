"""The report of a launch: what came out of its transform job, beside the categories that people chose."""

import html
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from zerostart.errors import InvalidInput, MissingExtra, NotFound, UnknownJob
from zerostart.evaluation.html import report_page
from zerostart.evaluation.report import Subject
from zerostart.evaluation.rows import LabelledRows
from zerostart.evaluation.scoring import Question, Scored
from zerostart.metadata.transform_job import TransformJob
from zerostart.nli.labels import parse_labels
from zerostart.nli.template import HypothesisTemplate
from zerostart.services.evaluation import evaluate_scored, now_text
from zerostart.services.job_results import JobResults
from zerostart.services.solution_launch import Launch
from zerostart.services.transform_job import TransformJobService
from zerostart.storage.base import ObjectAttributes, ObjectStore, read_bytes, write_bytes

_LARGEST_REPORT_BYTES = 16 * 1024 * 1024
_NOT_MEASURED = "not-measured"
_FIGURES = {"accuracy": "accuracy", "macro_f1": "macro-f1"}


@dataclass(frozen=True)
class Headline:
    """The report's main figures, from 0 to 1; None where it was not measured, for want of what is to be installed."""

    rows: int
    accuracy: float | None
    macro_f1: float | None


class SolutionReports:
    """Writes the report to the launch's bucket, for people and for programs."""

    def __init__(self, store: ObjectStore, transform_jobs: TransformJobService, results: JobResults) -> None:
        self._store = store
        self._transform_jobs = transform_jobs
        self._results = results

    def write(self, launch: Launch) -> None:
        """Measure the job's output; the HTML is written last. Raises InvalidInput, NotFound."""
        try:
            job = self._transform_jobs.describe_transform_job(launch.name).job
        except UnknownJob as error:
            raise InvalidInput("The transform job was deleted meanwhile: its results cannot be read.") from error
        rows, scored = self._scored(launch, job)
        source = f"s3://{launch.bucket}/{launch.data_key}"
        subject = Subject(source, f"{job.model_id}, transform job {launch.name}", now_text(), job.model_id)
        question = Question(rows.labels, HypothesisTemplate(launch.solution.hypothesis_template))
        try:
            document = evaluate_scored(subject, rows, question, scored)
        except MissingExtra as error:
            self._put(launch, launch.report_key, _unmeasured(launch, str(error)), {_NOT_MEASURED: "1"}, len(rows))
            return
        figures = {name: f"{document['figures'][key]['value']:.6f}" for key, name in _FIGURES.items()}
        content = json.dumps(document, ensure_ascii=False, allow_nan=False, indent=1)
        self._put(launch, launch.report_json_key, content, figures, len(rows), "application/json")
        self._put(launch, launch.report_key, report_page(document), figures, len(rows))

    def headline(self, launch: Launch) -> Headline | None:
        """The figures of the report that is there; None if there is none."""
        try:
            kept = self._store.head(launch.bucket, launch.report_key).attributes.metadata
            rows = int(kept.get("rows", ""))
            figures = {} if _NOT_MEASURED in kept else {key: float(kept[name]) for key, name in _FIGURES.items()}
        except (NotFound, ValueError, KeyError):  # none, or somebody wrote another object there
            return None
        return Headline(rows, figures.get("accuracy"), figures.get("macro_f1"))

    def page(self, launch: Launch) -> bytes:
        """The report for people, as it is in the bucket. Raises NotFound."""
        return read_bytes(self._store, launch.bucket, launch.report_key, _LARGEST_REPORT_BYTES)

    def drop_unmeasured(self, launch: Launch) -> None:
        """Remove a report that only says what to install, so that it is made anew."""
        found = self.headline(launch)
        if found is not None and found.accuracy is None:
            self._store.delete(launch.bucket, launch.report_key)

    def _scored(self, launch: Launch, job: TransformJob) -> tuple[LabelledRows, Scored]:
        solution = launch.solution
        labels = parse_labels(dict(solution.labels))
        place = {label.name: number for number, label in enumerate(labels)}
        texts: list[str] = []
        scores: list[list[float]] = []
        truth: list[int] = []
        numbers: list[int] = []
        left_out: Counter[str] = Counter()
        for number, result in enumerate(self._results.results(job), start=1):
            right = place.get(str(result.beside.get(solution.label_column)))
            if result.error is not None or right is None or set(result.labels) != set(place):
                left_out["no result"] += 1
                continue
            by_label = dict(zip(result.labels, result.scores, strict=True))
            texts.append(result.text)
            scores.append([by_label[label.name] for label in labels])
            truth.append(right)
            numbers.append(number)
        if not texts:
            raise InvalidInput("No record of the transform job has a result: look at the job's log.")
        flags = np.zeros((len(texts), len(labels)), dtype=bool)
        flags[np.arange(len(texts)), truth] = True
        rows = LabelledRows(tuple(texts), tuple(numbers), labels, flags, left_out=left_out)
        started, ended = job.started_at, job.ended_at
        seconds = (ended - started).total_seconds() if started and ended else 0.0
        return rows, Scored(np.array(scores), seconds)

    def _put(
        self,
        launch: Launch,
        key: str,
        content: str,
        figures: Mapping[str, str],
        rows: int,
        content_type: str = "text/html; charset=utf-8",
    ) -> None:
        attributes = ObjectAttributes(content_type=content_type, metadata={**figures, "rows": str(rows)})
        write_bytes(self._store, launch.bucket, key, content.encode(), attributes)


def _unmeasured(launch: Launch, what_to_do: str) -> str:
    """A page that stands alone, and says what is missing."""
    title = html.escape(launch.solution.title)
    output = html.escape(f"s3://{launch.bucket}/{launch.output_prefix}/")
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title></head>\n'
        f"<body><h1>{title}: not measured</h1>\n"
        f"<p>All texts were sorted: the results are at <code>{output}</code>.</p>\n"
        f"<p>{html.escape(what_to_do)}. Install it where the server runs, restart the server, and launch again: only "
        "the report is made anew.</p></body></html>\n"
    )
