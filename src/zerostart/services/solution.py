"""Use cases of solutions: list, launch, show, delete."""

import contextlib
import secrets
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from functools import partial

from sqlalchemy import Connection

from zerostart.errors import AlreadyExists, InvalidField, InvalidInput, NotEmpty, NotFound, UnknownBucket, shortened
from zerostart.metadata.database import Database
from zerostart.metadata.endpoint import get_endpoint
from zerostart.metadata.endpoint_config import get_endpoint_config
from zerostart.metadata.model import get_model
from zerostart.metadata.tag import BUCKET_ARN, delete_tags, list_tags, put_tags, tagged
from zerostart.metadata.transform_job import get_transform_job
from zerostart.models.local_artefacts import BUILTIN_MODEL_ID, LocalArtefacts
from zerostart.services.arn import Arns
from zerostart.services.clean_up import ACTIONS, CleanUpService
from zerostart.services.deployment import Deployment
from zerostart.services.inventory import SOLUTION_TAG, Kind, Thing
from zerostart.services.solution_launch import (
    LAUNCH_TAG,
    LAUNCHED_TAG,
    MODEL_TAG,
    RESOURCES,
    Launch,
    SolutionLauncher,
    Step,
)
from zerostart.services.solution_report import Headline, SolutionReports
from zerostart.services.solution_steps import FirstCall, SolutionSteps
from zerostart.solutions.labelled_csv import LARGEST_BYTES, read_labelled_csv
from zerostart.solutions.launchable import SOLUTIONS, solution_of
from zerostart.solutions.solution import Solution
from zerostart.solutions.zero_shot_text_classification.definition import SOLUTION
from zerostart.storage.base import ObjectStore, read_bytes
from zerostart.transform.parts import PARTS

_FINDERS = {
    Kind.MODEL: get_model,
    Kind.ENDPOINT_CONFIG: get_endpoint_config,
    Kind.ENDPOINT: get_endpoint,
    Kind.TRANSFORM_JOB: get_transform_job,
}
# What a caller has to be allowed to do.
LAUNCH_ACTIONS = (
    "s3:CreateBucket",
    "s3:PutObject",
    "sagemaker:CreateModel",
    "sagemaker:CreateEndpointConfig",
    "sagemaker:CreateEndpoint",
    "sagemaker:InvokeEndpoint",
    "sagemaker:CreateTransformJob",
)
DELETE_ACTIONS = tuple(ACTIONS[kind] for kind in (*RESOURCES, Kind.BUCKET))
SEE_ACTION = "sagemaker:ListEndpoints"


class StepStatus(StrEnum):
    """How a step stands."""

    DONE = "done"
    RUNNING = "running"
    FAILED = "failed"
    WAITING = "waiting"


@dataclass(frozen=True)
class StepState:
    """A step, how it stands, and what is to be said of it."""

    step: Step
    status: StepStatus
    title: str
    detail: str = ""


class LaunchStatus(StrEnum):
    """How a launch stands. One that was interrupted or failed is gone on with by launching it again."""

    RUNNING = "running"
    LAUNCHED = "launched"
    FAILED = "failed"
    INTERRUPTED = "interrupted"
    DELETING = "deleting"


@dataclass(frozen=True)
class LaunchState:
    """A launch as it is now. `left_out` counts rows of a given file that were not taken, by the reason."""

    launch: Launch
    status: LaunchStatus
    steps: Sequence[StepState]
    reason: str
    first_call: FirstCall | None
    headline: Headline | None
    left_out: Mapping[str, int]


@dataclass(frozen=True)
class LaunchAsked:
    """What to launch. `data` is a CSV file, the shipped sample if None; `data_name` is what messages call it."""

    solution: str
    name: str = ""
    model_id: str = ""
    data: bytes | None = None
    data_name: str = "The file"


@dataclass(frozen=True)
class Removal:
    """What a deletion removes. `others` are objects in the bucket that the solution did not write."""

    launch: Launch
    things: Sequence[Thing]
    others: Sequence[str]


class SolutionService:
    """Several launches of a solution may stand beside each other, under names of their own."""

    def __init__(
        self,
        database: Database,
        store: ObjectStore,
        artefacts: LocalArtefacts,
        arns: Arns,
        launcher: SolutionLauncher,
        steps: SolutionSteps,
        reports: SolutionReports,
        clean_up: CleanUpService,
    ) -> None:
        self._database = database
        self._store = store
        self._artefacts = artefacts
        self._arns = arns
        self._launcher = launcher
        self._steps = steps
        self._reports = reports
        self._clean_up = clean_up
        self._lock = threading.Lock()
        self._deleting: dict[str, str] = {}

    def solutions(self) -> Sequence[Solution]:
        """All that can be launched."""
        return SOLUTIONS

    def launches(self, solution_name: str) -> list[LaunchState]:
        """The launches of a solution, the newest first. Raises NotFound for an unknown solution."""
        solution = solution_of(solution_name)
        return [self._state(each) for each in self._launches(solution)]

    def state(self, solution_name: str, name: str = "") -> LaunchState:
        """A launch, by its solution's name if it has no other. Raises NotFound."""
        return self._state(self._launch(solution_name, name))

    def report(self, solution_name: str, name: str = "") -> bytes:
        """The report, as HTML. Raises NotFound."""
        return self._reports.page(self._launch(solution_name, name))

    def launch(self, asked: LaunchAsked) -> LaunchState:
        """Begin a launch, or go on with what is missing of it; what is there already stays as it is.

        Raises NotFound for an unknown solution or model, InvalidInput (InvalidField) for a name or a file that cannot
        be used or is not that of the present launch, AlreadyExists where something of that name is somebody else's.
        """
        solution = solution_of(asked.solution)
        name = asked.name or solution.name
        Deployment(name, asked.model_id or BUILTIN_MODEL_ID)  # raises InvalidField for a name that cannot be one
        texts = None
        if asked.data is not None:
            texts = read_labelled_csv(asked.data, solution, asked.data_name)
        with self._lock:
            if name in self._deleting and not self._is_deleted(name):
                raise InvalidInput(f"The launch {name} is being deleted: launch it again when that is done.")
            launch = self._begun(solution, name, asked.model_id)
            content = texts.csv(solution) if texts is not None else None
            if not self._steps.is_done(Step.DATA, launch):
                self._steps.write_data(launch, content or solution.sample.read_bytes())
            elif content is not None and content != self._data(launch):
                raise InvalidField(
                    "data",
                    f"{name} is launched already, with other texts: delete it first, or launch under another name.",
                )
            self._reports.drop_unmeasured(launch)
            if not self._is_complete(launch):
                self._launcher.begin(launch)
        return self._state(launch, texts.left_out if texts is not None else {})

    def removal(self, solution_name: str, name: str = "") -> list[Removal]:
        """What deleting a launch removes, all launches if none is named; nothing once they are deleted.

        Raises NotFound for an unknown solution.
        """
        found = [each for each in self._launches(solution_of(solution_name)) if name in {"", each.name}]
        return [Removal(each, self._things(each), self._others(each)) for each in found]

    def delete(self, solution_name: str, name: str = "", *, with_others: bool = False) -> str:
        """Begin to delete what a launch made, all launches if none is named, and return the clean-up's id.

        A bucket in which somebody keeps objects stays with them, unless `with_others`. Raises NotFound.
        """
        solution = solution_of(solution_name)
        with self._lock:
            launches = [each for each in self._launches(solution) if name in {"", each.name}]
            if not launches:
                raise self._unknown(solution, name or solution.name)
            for launch in launches:
                self._launcher.forget(launch.name)
            things = [thing for launch in launches for thing in self._things(launch)]
            ways = {
                Thing(Kind.BUCKET, launch.bucket): partial(self._remove_bucket, launch, with_others=with_others)
                for launch in launches
                if launch.bucket
            }
            begun = self._clean_up.begin(things, ways)
            self._deleting |= {launch.name: begun for launch in launches}
        return begun

    def published_data(self) -> bytes:
        """The resolutions as CSV: of the newest launch that has some, or the shipped sample."""
        for launch in self._launches(SOLUTION):
            with contextlib.suppress(NotFound):  # it has none yet, or somebody deleted them
                if launch.bucket:
                    return self._data(launch)
        return SOLUTION.sample.read_bytes()

    def _remove_bucket(self, launch: Launch, *, with_others: bool) -> None:
        """Remove a launch's objects and its bucket. Raises NotEmpty where objects of others keep it."""
        try:
            kept = set() if with_others else set(self._others(launch))
            for key in self._keys(launch):
                if key not in kept:
                    self._store.delete(launch.bucket, key)
            self._store.delete_bucket(launch.bucket)
        except NotEmpty:
            if with_others:
                raise
            self._untag(launch)
            raise NotEmpty(
                f"It stays with what you put into it ({', '.join(self._others(launch))[:200]}), and is no part of the "
                "solution any more."
            ) from None
        except UnknownBucket:
            pass
        self._untag(launch)

    def _untag(self, launch: Launch) -> None:
        with self._database.transaction() as connection:
            delete_tags(connection, BUCKET_ARN + launch.bucket)

    def _begun(self, solution: Solution, name: str, model_id: str) -> Launch:
        """The launch of that name; a new one is noted before anything of it is made."""
        found = next((each for each in self._launches(solution) if each.name == name), None)
        if found is not None and model_id and self._artefacts.find(model_id).model_id != found.model_id:
            raise InvalidField(
                "model",
                f"{name} is launched already, with the model {found.model_id}: delete it first, or launch under "
                "another name.",
            )
        bucket = f"{name[:50].lower().strip('-')}-{secrets.token_hex(4)}"
        if found is not None:
            launch = replace(found, bucket=found.bucket or bucket)
        else:
            model_id = self._artefacts.find(model_id or BUILTIN_MODEL_ID).model_id
            launch = Launch(solution, name, bucket, model_id, datetime.now(UTC).replace(microsecond=0))
        with self._database.transaction() as connection:
            self._refuse_foreign(connection, launch)
            put_tags(connection, BUCKET_ARN + launch.bucket, launch.tags)
        return launch

    def _refuse_foreign(self, connection: Connection, launch: Launch) -> None:
        for kind in RESOURCES:
            if _FINDERS[kind](connection, launch.name) is None:
                continue
            tags = list_tags(connection, self._arns.of(kind.value, launch.name))
            if tags.get(SOLUTION_TAG) != launch.solution.name or tags.get(LAUNCH_TAG) != launch.name:
                raise AlreadyExists(
                    f"There is {_A[kind]} {launch.name} that this solution did not make: launch under another name, or "
                    "delete that first."
                )

    def _launches(self, solution: Solution) -> list[Launch]:
        """By the tags, the newest first."""
        with self._database.transaction() as connection:
            arns = [arn for arn, value in tagged(connection, SOLUTION_TAG).items() if value == solution.name]
            marked = {arn: list_tags(connection, arn) for arn in arns}
        found: dict[str, Launch] = {}
        for arn in sorted(marked, key=lambda arn: not arn.startswith(BUCKET_ARN)):
            tags = marked[arn]
            launch = _launch(solution, arn, tags)
            if launch is not None:
                found.setdefault(launch.name, launch)
        return sorted(found.values(), key=lambda each: (each.launched_at, each.name), reverse=True)

    def _launch(self, solution_name: str, name: str) -> Launch:
        solution = solution_of(solution_name)
        wanted = name or solution.name
        launches = self._launches(solution)
        for launch in launches:
            if launch.name == wanted:
                return launch
        if not name and launches:
            return launches[0]
        raise self._unknown(solution, wanted)

    @staticmethod
    def _unknown(solution: Solution, name: str) -> NotFound:
        return NotFound(
            f"{shortened(name)} is not launched: zerostart solutions launch {solution.name}, or Launch on its page."
        )

    def _things(self, launch: Launch) -> list[Thing]:
        """What there is that carries the launch's tags."""
        wanted = {SOLUTION_TAG: launch.solution.name, LAUNCH_TAG: launch.name}
        with self._database.transaction() as connection:
            arns = [
                arn
                for arn, value in tagged(connection, LAUNCH_TAG).items()
                if value == launch.name and wanted.items() <= list_tags(connection, arn).items()
            ]
        return [thing for arn in arns if (thing := _thing(arn)) is not None]

    def _keys(self, launch: Launch) -> list[str]:
        """Every key in a launch's bucket."""
        keys: list[str] = []
        start = b""
        while page := self._store.list(launch.bucket, start=start):
            keys += [each.key for each in page]
            start = page[-1].key.encode() + b"\0"
        return keys

    def _others(self, launch: Launch) -> list[str]:
        if not launch.bucket:
            return []
        try:
            keys = self._keys(launch)
        except UnknownBucket:
            return []
        own = launch.own_keys
        return [key for key in keys if key not in own and not key.startswith(PARTS)]

    def _data(self, launch: Launch) -> bytes:
        return read_bytes(self._store, launch.bucket, launch.data_key, LARGEST_BYTES)

    def _is_complete(self, launch: Launch) -> bool:
        return all(self._steps.is_done(step, launch) for step in Step)

    def _is_deleted(self, name: str) -> bool:
        try:
            return self._clean_up.state(self._deleting[name]).is_done
        except NotFound:
            return True

    def _state(self, launch: Launch, left_out: Mapping[str, int] | None = None) -> LaunchState:
        now, failure = self._launcher.step(launch.name), self._launcher.failure(launch.name)
        done = {step: self._steps.is_done(step, launch) for step in Step}
        steps = []
        for step in Step:
            status = StepStatus.DONE if done[step] else StepStatus.WAITING
            if not done[step] and step is now:
                status = StepStatus.RUNNING
            elif not done[step] and failure is not None and step is failure.step:
                status = StepStatus.FAILED
            steps.append(StepState(step, status, _TITLES[step], self._detail(step, launch, status)))
        return LaunchState(
            launch,
            self._status(launch, running=now is not None, failed=failure is not None, complete=all(done.values())),
            steps,
            failure.reason if failure is not None else "",
            self._steps.first_call(launch) if done[Step.FIRST_CALL] else None,
            self._reports.headline(launch) if done[Step.REPORT] else None,
            left_out or {},
        )

    def _status(self, launch: Launch, *, running: bool, failed: bool, complete: bool) -> LaunchStatus:
        if launch.name in self._deleting and not self._is_deleted(launch.name):
            return LaunchStatus.DELETING
        if complete:
            return LaunchStatus.LAUNCHED
        if running:
            return LaunchStatus.RUNNING
        return LaunchStatus.FAILED if failed else LaunchStatus.INTERRUPTED

    def _detail(self, step: Step, launch: Launch, status: StepStatus) -> str:
        if step is Step.DATA:
            return f"s3://{launch.bucket}" if launch.bucket else ""
        if step in {Step.MODEL, Step.ENDPOINT}:
            return launch.model_id if step is Step.MODEL else launch.name
        state = self._steps.job(launch) if step is Step.JOB_DONE else None
        if state is not None and (state.progress.records or status is StepStatus.RUNNING):
            failed = f", {state.progress.failed:,} failed" if state.progress.failed else ""
            return f"{state.progress.records:,} texts{failed}"
        return ""


_A = {
    Kind.MODEL: "a model",
    Kind.ENDPOINT_CONFIG: "an endpoint config",
    Kind.ENDPOINT: "an endpoint",
    Kind.TRANSFORM_JOB: "a transform job",
}
_TITLES = {
    Step.DATA: "Bucket with the texts",
    Step.MODEL: "Model",
    Step.ENDPOINT_CONFIG: "Endpoint config",
    Step.ENDPOINT: "Endpoint",
    Step.IN_SERVICE: "Endpoint in service",
    Step.FIRST_CALL: "First real-time call",
    Step.JOB: "Batch transform job",
    Step.JOB_DONE: "Job finished",
    Step.REPORT: "Report",
}


def _launch(solution: Solution, arn: str, tags: Mapping[str, str]) -> Launch | None:
    """The launch that tags tell of; None for those that somebody set by hand."""
    try:
        launched_at = datetime.fromisoformat(tags[LAUNCHED_TAG])
        bucket = arn.removeprefix(BUCKET_ARN) if arn.startswith(BUCKET_ARN) else ""
        return Launch(solution, tags[LAUNCH_TAG], bucket, tags[MODEL_TAG], launched_at)
    except (KeyError, ValueError):
        return None


def _thing(arn: str) -> Thing | None:
    if arn.startswith(BUCKET_ARN):
        return Thing(Kind.BUCKET, arn.removeprefix(BUCKET_ARN))
    kind, _, name = arn.rpartition(":")[2].partition("/")
    return Thing(Kind(kind), name) if kind in set(Kind) else None
