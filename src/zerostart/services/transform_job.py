"""Use cases of transform jobs."""

import importlib.util
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection

from zerostart.errors import InvalidInput, NameInUse, NotFound, UnknownBucket, UnknownJob
from zerostart.metadata.database import Database
from zerostart.metadata.model import Model, get_model
from zerostart.metadata.rows import Page, PageRequest
from zerostart.metadata.tag import delete_tags, put_tags
from zerostart.metadata.transform_job import (
    TransformJob,
    TransformJobStatus,
    TransformOptions,
    change_transform_job,
    delete_transform_job,
    get_transform_job,
    insert_transform_job,
    list_transform_jobs,
    transform_progress,
)
from zerostart.nli.hybrid import scorer_choice
from zerostart.nli.labels import parse_labels
from zerostart.nli.shortlist import written_shortlist
from zerostart.nli.template import HypothesisTemplate
from zerostart.services.arn import Arns
from zerostart.services.profile import PROFILE_VARIABLE, profile_in
from zerostart.storage.base import ObjectStore, parse_uri
from zerostart.transform.parts import remove_parts
from zerostart.transform.paths import Selection
from zerostart.transform.progress import TransformJobState, job_state
from zerostart.transform.tables import CSV, PARQUET

_ENVIRONMENT = (
    "ZEROSTART_CANDIDATE_LABELS",
    "ZEROSTART_HYPOTHESIS_TEMPLATE",
    "ZEROSTART_MULTI_LABEL",
    "ZEROSTART_LONG_TEXT",
    "ZEROSTART_SHORTLIST",
    "ZEROSTART_SCORER",
    "ZEROSTART_TEXT_COLUMN",
    "ZEROSTART_ERRORS",
    "ZEROSTART_MAX_ERROR_RATE",
    PROFILE_VARIABLE,
)


class TransformJobService:
    """Writes what is wanted; the supervisor's workers make it so."""

    def __init__(
        self,
        database: Database,
        store: ObjectStore,
        arns: Arns,
        wake: Callable[[], None],
        *,
        threads: Callable[[int], int],
        most_workers: int,
        precision: str,
        errors: str,
        estimate: Callable[[str, TransformOptions], Mapping[str, Any]],
        isolated: bool,
    ) -> None:
        self._database = database
        self._store = store
        self._arns = arns
        self._wake = wake
        self._threads = threads
        self._most_workers = most_workers
        self._precision = precision
        self._errors = errors
        self._estimate = estimate
        self._isolated = isolated

    def create_transform_job(
        self,
        name: str,
        model_name: str,
        options: TransformOptions,
        environment: Mapping[str, str],
        asked: Mapping[str, Any],
        tags: Mapping[str, str],
    ) -> str:
        """Create a job and return its ARN; it runs when workers are free.

        Raises InvalidInput, NotFound for an unknown model, NameInUse.
        """
        arn = self._arns.of("transform-job", name)
        with self._database.transaction() as connection:
            model = self._model(connection, model_name)
        resolved = self._resolved(model, options, environment, min(options.instance_count, self._most_workers))
        now = datetime.now(UTC)
        with self._database.transaction() as connection:
            job = TransformJob(name, TransformJobStatus.IN_PROGRESS, model.model_id, asked, resolved, now, now)
            if not insert_transform_job(connection, job):
                raise NameInUse(f"Job name must be unique within an AWS account and region: {arn} exists.")
            put_tags(connection, arn, tags)
        self._wake()
        return arn

    def estimate_transform_job(
        self, model_name: str, options: TransformOptions, environment: Mapping[str, str]
    ) -> Mapping[str, Any]:
        """What a job is expected to take, with the first records tried: see TransformEstimate.

        Raises InvalidInput, NotFound for an unknown model or input.
        """
        with self._database.transaction() as connection:
            model = self._model(connection, model_name)
        resolved = self._resolved(model, options, environment, 1)
        return self._estimate(model.model_id, resolved)

    def describe_transform_job(self, name: str) -> TransformJobState:
        """The job of that name; raises UnknownJob."""
        with self._database.transaction() as connection:
            job = get_transform_job(connection, name)
            if job is None:
                raise UnknownJob(f"Could not find requested job with name: {name}")
            progress = transform_progress(connection, name)
        return job_state(job, progress)

    def list_transform_jobs(self, request: PageRequest) -> Page[TransformJob]:
        """One page of jobs."""
        with self._database.transaction() as connection:
            return list_transform_jobs(connection, request)

    def stop_transform_job(self, name: str) -> None:
        """Stop a job: nothing of its output is stored. Raises UnknownJob, InvalidInput for one that ended."""
        now = datetime.now(UTC)
        with self._database.transaction() as connection:
            job = get_transform_job(connection, name)
            if job is None:
                raise UnknownJob(f"Could not find requested job with name: {name}")
            stopping = TransformJobStatus.STOPPING
            changed = change_transform_job(
                connection, name, old=[TransformJobStatus.IN_PROGRESS], at=now, status=stopping.value
            )
        if not changed and job.status is not stopping:
            raise InvalidInput(f"The request was rejected because the transform job is in status {job.status}.")
        self._wake()

    def delete_transform_job(self, name: str) -> None:
        """Forget a job that ended, and remove what it left; its output stays. AWS's API has no word for it.

        Raises UnknownJob, InvalidInput for one that did not end.
        """
        with self._database.transaction() as connection:
            job = get_transform_job(connection, name)
        if job is None:
            raise UnknownJob(f"Could not find requested job with name: {name}")
        if job.ended_at is None:
            raise InvalidInput(f"The transform job {name} is {job.status}: stop it first.")
        remove_parts(self._store, job)
        with self._database.transaction() as connection:
            delete_transform_job(connection, name)
            delete_tags(connection, self._arns.of("transform-job", name))

    def _model(self, connection: Connection, name: str) -> Model:
        model = get_model(connection, name)
        if model is None:
            raise NotFound(f'Could not find model "{self._arns.of("model", name)}".')
        if model.asked.get("EnableNetworkIsolation") and not self._isolated:
            raise InvalidInput(
                f"Model {name} has EnableNetworkIsolation, and workers of jobs cannot be isolated here: that needs a "
                "system that isolates instances, the database in the home folder and buckets there."
            )
        return model

    def _resolved(
        self, model: Model, options: TransformOptions, environment: Mapping[str, str], workers: int
    ) -> TransformOptions:
        profile = profile_in(environment, self._store, model.model_id)
        options = replace(options, profile=profile.compact() if profile else model.profile)
        resolved = replace(
            with_environment(options, {"ZEROSTART_ERRORS": self._errors, **environment}),
            instance_count=workers,
            threads=self._threads(workers),
            precision=self._precision,
        )
        Selection(options.input_filter)
        Selection(options.output_filter)
        if options.accept == PARQUET and importlib.util.find_spec("pyarrow") is None:
            raise InvalidInput(
                f"Accept {PARQUET} needs pyarrow where the server runs: pip install 'zerostart[parquet]', or use {CSV}."
            )
        self._check_places(options)
        return resolved

    def _check_places(self, options: TransformOptions) -> None:
        for what, uri in (("S3Uri", options.input_uri), ("S3OutputPath", options.output_uri)):
            bucket, _ = parse_uri(uri)
            try:
                self._store.bucket(bucket)
            except UnknownBucket as error:
                raise InvalidInput(f"{what} {uri}: {error}") from error


def with_environment(options: TransformOptions, environment: Mapping[str, str]) -> TransformOptions:
    """The options with what a job's Environment says. Raises InvalidInput, naming the variable."""
    unknown = sorted(name for name in environment if name.startswith("ZEROSTART_") and name not in _ENVIRONMENT)
    if unknown:
        raise InvalidInput(f"Environment variable {unknown[0]} is not known: use {', '.join(_ENVIRONMENT)}.")
    defaults: dict[str, Any] = {}
    if labels := environment.get("ZEROSTART_CANDIDATE_LABELS"):
        defaults["candidate_labels"] = _labels(labels)
    if template := environment.get("ZEROSTART_HYPOTHESIS_TEMPLATE"):
        HypothesisTemplate(template)
        defaults["hypothesis_template"] = template
    if multi := environment.get("ZEROSTART_MULTI_LABEL"):
        defaults["multi_label"] = _choice("ZEROSTART_MULTI_LABEL", multi.lower(), {"true": True, "false": False})
    if long_text := environment.get("ZEROSTART_LONG_TEXT"):
        defaults["long_text"] = _choice(
            "ZEROSTART_LONG_TEXT", long_text, {each: each for each in ("truncate", "windows")}
        )
    if shortlist := environment.get("ZEROSTART_SHORTLIST"):
        defaults["shortlist"] = written_shortlist(shortlist, "ZEROSTART_SHORTLIST")
    if scorer := environment.get("ZEROSTART_SCORER"):
        defaults["scorer"] = scorer_choice(scorer, "ZEROSTART_SCORER")
    errors = environment.get("ZEROSTART_ERRORS") or "strict"
    labelled = "candidate_labels" in defaults or options.profile is not None
    if options.content_type in {CSV, "text/plain"} and not labelled:
        raise InvalidInput(
            f"{options.content_type} holds no labels: set ZEROSTART_CANDIDATE_LABELS in the job's Environment."
        )
    return replace(
        options,
        defaults=defaults,
        text_column=environment.get("ZEROSTART_TEXT_COLUMN") or ("text" if options.content_type == CSV else None),
        collect_errors=_choice("ZEROSTART_ERRORS", errors, {"strict": False, "collect": True}),
        max_error_rate=_rate(environment.get("ZEROSTART_MAX_ERROR_RATE", "1")),
    )


def _labels(value: str) -> Any:
    """A comma-separated list, or JSON: a list, or an object of labels and their descriptions."""
    if value.lstrip()[:1] in {"[", "{"}:
        try:
            value = json.loads(value)
        except ValueError as error:
            raise InvalidInput(f"ZEROSTART_CANDIDATE_LABELS is not valid JSON: {error}") from error
    parse_labels(value, "ZEROSTART_CANDIDATE_LABELS")
    return value


def _choice(name: str, value: str, choices: Mapping[str, Any]) -> Any:
    if value not in choices:
        raise InvalidInput(f"{name} is {value[:60]!r}: use {' or '.join(choices)}.")
    return choices[value]


def _rate(value: str) -> float:
    try:
        rate = float(value)
    except ValueError:
        rate = -1.0
    if not 0 <= rate <= 1:
        raise InvalidInput(f"ZEROSTART_MAX_ERROR_RATE is {value[:60]!r}: use a number from 0 to 1.")
    return rate
