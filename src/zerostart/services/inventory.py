"""What exists in this installation, and what each thing costs in memory and on disk."""

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from sqlalchemy import Connection

from zerostart.metadata.database import Database
from zerostart.metadata.endpoint_config import list_endpoint_configs
from zerostart.metadata.model import list_models
from zerostart.metadata.object import all_buckets, bucket_sizes
from zerostart.metadata.rows import Page, PageRequest, Record
from zerostart.metadata.tag import BUCKET_ARN, tagged
from zerostart.metadata.transform_job import TransformJob, list_transform_jobs
from zerostart.models.local_artefacts import LocalArtefacts
from zerostart.services.activity import Activity, ActivityService
from zerostart.services.evaluations import BUCKET, Evaluations

SOLUTION_TAG = "zerostart:solution"
_NAME = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}")  # AWS's, of endpoints and jobs: it is no path


class Kind(StrEnum):
    """What can be deleted, in the order in which that is done."""

    EVALUATION = "evaluation"
    TRANSFORM_JOB = "transform-job"
    ENDPOINT = "endpoint"
    ENDPOINT_CONFIG = "endpoint-config"
    MODEL = "model"
    LOGS = "logs"
    BUCKET = "bucket"
    WEIGHTS = "weights"


@dataclass(frozen=True)
class Thing:
    """One of these."""

    kind: Kind
    name: str


@dataclass(frozen=True)
class Listed:
    """A thing that exists, and its cost. `idle_s` is known of endpoints; `solution` names what it was made for."""

    thing: Thing
    note: str
    memory_bytes: int = 0
    disk_bytes: int = 0
    idle_s: float | None = None
    solution: str | None = None


@dataclass(frozen=True)
class Places:
    """The folders that things leave files in."""

    endpoint_logs: Path
    job_logs: Path
    buckets: Path | None
    cache: Path

    def logs_of(self, thing: Thing) -> Path | None:
        """The folder of a thing's logs; those of the kind `logs` are named endpoint/NAME or transform-job/NAME."""
        kind, _, name = thing.name.partition("/") if thing.kind is Kind.LOGS else (thing.kind.value, "", thing.name)
        root = {Kind.ENDPOINT.value: self.endpoint_logs, Kind.TRANSFORM_JOB.value: self.job_logs}.get(kind)
        return root / name if root is not None and _NAME.fullmatch(name) else None


class Inventory:
    """Lists what exists. `places.buckets` is None where the buckets are in a service of others: those are not ours."""

    def __init__(
        self,
        database: Database,
        activity: ActivityService,
        artefacts: LocalArtefacts,
        evaluations: Evaluations,
        places: Places,
    ) -> None:
        self._database = database
        self._activity = activity
        self._artefacts = artefacts
        self._evaluations = evaluations
        self._places = places

    def things(self) -> list[Listed]:
        """Everything, weights aside, in the order of the kinds."""
        activity = self._activity.all()
        with self._database.transaction() as connection:
            jobs = list(_everything(connection, list_transform_jobs))
            configs = [each.name for each in _everything(connection, list_endpoint_configs)]
            models = [(each.name, each.model_id) for each in _everything(connection, list_models)]
            solutions = tagged(connection, SOLUTION_TAG)
            buckets = self._buckets(connection, [arn for arn in solutions if arn.startswith(BUCKET_ARN)])
        evaluations = self._evaluations_kept()
        if evaluations:  # their bucket holds nothing else, and goes with the last of them
            buckets = [each for each in buckets if each.thing.name != BUCKET]
        listed = [*evaluations, *(self._job(job) for job in jobs)]
        listed += [self._endpoint(each) for each in activity]
        listed += [Listed(Thing(Kind.ENDPOINT_CONFIG, name), "") for name in configs]
        listed += [Listed(Thing(Kind.MODEL, name), model_id) for name, model_id in models]
        listed += self._logs(
            {Kind.ENDPOINT: {each.endpoint.name for each in activity}, Kind.TRANSFORM_JOB: {job.name for job in jobs}}
        )
        by_name = {arn.rpartition(":")[2]: value for arn, value in solutions.items()}
        return [_with_solution(each, by_name) for each in (*listed, *buckets)]

    def weights(self) -> list[Listed]:
        """The models that were fetched or added to this machine; those that are built in are part of the program."""
        here = [each for each in self._artefacts.list() if each.folder.parent == self._artefacts.models_folder]
        return [
            Listed(
                Thing(Kind.WEIGHTS, each.model_id),
                each.manifest.kind,
                disk_bytes=bytes_in(each.folder) + bytes_in(self._places.cache / each.folder.name),
            )
            for each in here
        ]

    def _evaluations_kept(self) -> list[Listed]:
        records = {each.id: each for each in self._evaluations.all()}
        found = []
        for name in self._evaluations.ids():
            note = f"{records[name].file_name}, {records[name].status.value}" if name in records else ""
            found.append(Listed(Thing(Kind.EVALUATION, name), note, disk_bytes=self._evaluations.size(name)))
        return found

    def _job(self, job: TransformJob) -> Listed:
        thing = Thing(Kind.TRANSFORM_JOB, job.name)
        return Listed(thing, job.status.value, disk_bytes=self._log_bytes(thing))

    def _endpoint(self, each: Activity) -> Listed:
        thing = Thing(Kind.ENDPOINT, each.endpoint.name)
        note = f"{each.endpoint.status.value}, asleep" if each.is_asleep else each.endpoint.status.value
        return Listed(thing, note, each.memory_bytes, self._log_bytes(thing), each.idle_s)

    def _buckets(self, connection: Connection, tagged_arns: Collection[str]) -> list[Listed]:
        """Those that are there, and those of which a launch that was interrupted has only noted the name."""
        if self._places.buckets is None:
            return []
        sizes = bucket_sizes(connection)
        found = []
        for bucket in all_buckets(connection):
            count, size = sizes.get(bucket.name, (0, 0))
            note = f"{count:,} object{'' if count == 1 else 's'}"
            found.append(Listed(Thing(Kind.BUCKET, bucket.name), note, disk_bytes=size))
        there = {each.thing.name for each in found}
        noted = [arn.removeprefix(BUCKET_ARN) for arn in tagged_arns]
        return found + [Listed(Thing(Kind.BUCKET, name), "not made yet") for name in noted if name not in there]

    def _logs(self, living: Mapping[Kind, Collection[str]]) -> list[Listed]:
        """Logs of what was deleted."""
        found = []
        for kind, names in living.items():
            root = self._places.endpoint_logs if kind is Kind.ENDPOINT else self._places.job_logs
            for folder in sorted(root.glob("*")):
                if folder.name not in names:
                    thing = Thing(Kind.LOGS, f"{kind.value}/{folder.name}")
                    found.append(Listed(thing, "", disk_bytes=self._log_bytes(thing)))
        return found

    def _log_bytes(self, thing: Thing) -> int:
        folder = self._places.logs_of(thing)
        return bytes_in(folder) if folder is not None else 0


def bytes_in(folder: Path) -> int:
    """The bytes of the files in a folder; 0 if it is not there."""
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.lstat().st_size if path.is_file() else 0
        except FileNotFoundError:  # it went away meanwhile
            continue
    return total


def _with_solution(listed: Listed, solutions: Mapping[str, str]) -> Listed:
    """ARNs end in KIND/NAME, those of buckets in NAME."""
    thing = listed.thing
    last = thing.name if thing.kind is Kind.BUCKET else f"{thing.kind.value}/{thing.name}"
    if last not in solutions:
        return listed
    return Listed(thing, listed.note, listed.memory_bytes, listed.disk_bytes, listed.idle_s, solutions[last])


def _everything(
    connection: Connection, read_page: Callable[[Connection, PageRequest], Page[Record]]
) -> Iterator[Record]:
    token = None
    while True:
        page = read_page(connection, PageRequest(sort_by="name", descending=False, limit=500, next_token=token))
        yield from page.records
        token = page.next_token
        if token is None:
            return
