"""The proof that nothing is left: it looks at the system, not at what the server believes."""

import os
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Column, Connection, Select, func, select

from zerostart.errors import UnknownBucket
from zerostart.hosting.launcher import Instance
from zerostart.metadata import tables
from zerostart.metadata.database import Database
from zerostart.metadata.object import all_buckets
from zerostart.metadata.tag import BUCKET_ARN
from zerostart.services.evaluation_process import PROGRAM
from zerostart.services.evaluations import BUCKET
from zerostart.services.inventory import Places, bytes_in
from zerostart.storage.base import ObjectStore
from zerostart.transform.parts import PARTS
from zerostart.transform.supervisor import RunningWorker

_INSTANCE = "instance"
_PROGRAMS = {b"model-server": _INSTANCE, b"transform-worker": "worker", PROGRAM.encode(): "evaluation"}
_NAMED = (tables.transform_jobs, tables.endpoints, tables.endpoint_configs, tables.models)
_COUNTED = (
    *(tables.transform_files, tables.transform_shards, tables.async_invocations),
    *(tables.scalable_targets, tables.scaling_policies, tables.scaling_activities),
)
_OF_BUCKETS = (tables.objects, tables.uploads, tables.upload_parts)
_MOST_NAMES = 5


@dataclass(frozen=True)
class Check:
    """What was looked for, where, and what was found there that should be gone."""

    what: str
    where: str
    left: Sequence[str]


class ProofService:
    """Checks. `instances` and `workers` are what the server believes to run, which counts too."""

    def __init__(
        self,
        database: Database,
        store: ObjectStore,
        places: Places,
        sockets: Path,
        instances: Callable[[], Collection[Instance]],
        workers: Callable[[], Collection[RunningWorker]],
    ) -> None:
        self._database = database
        self._store = store
        self._places = places
        self._sockets = sockets
        self._instances = instances
        self._workers = workers

    def no_instance(self) -> list[Check]:
        """That no endpoint has a process or a socket."""
        return [self._processes(instances_only=True), self._socket_files()]

    def nothing(self, *, buckets: bool) -> list[Check]:
        """That nothing runs and nothing is kept; whether buckets are looked at too is the caller's choice."""
        buckets = buckets and self._places.buckets is not None
        return [self._processes(), self._socket_files(), self._rows(buckets=buckets), self._bytes(buckets=buckets)]

    def _processes(self, *, instances_only: bool = False) -> Check:
        found = [f"process {pid}, {kind}" for pid, kind in _children() if kind == _INSTANCE or not instances_only]
        believed = [f"instance {each.id} of endpoint {each.spec.endpoint}" for each in self._instances()]
        if not instances_only:
            believed += [f"worker of job {each.job}, {each.process.where}" for each in self._workers()]
        return Check("processes", "children of the server", found if len(found) > len(believed) else believed)

    def _socket_files(self) -> Check:
        left = sorted(str(path) for path in self._sockets.glob("*/*"))
        return Check("sockets", str(self._sockets), left)

    def _rows(self, *, buckets: bool) -> Check:
        with self._database.transaction() as connection:
            left = [_names(connection, table.name, table.c.name) for table in (*_NAMED, *([tables.buckets] * buckets))]
            counted = (*_COUNTED, *(_OF_BUCKETS if buckets else ()))
            left += [_count(connection, table.name, select(func.count()).select_from(table)) for table in counted]
            tags = select(func.count()).select_from(tables.tags)
            if not buckets:
                tags = tags.where(tables.tags.c.arn.not_like(f"{BUCKET_ARN}%"))
            left.append(_count(connection, "tags", tags))
        return Check("rows", "the database", [each for each in left if each])

    def _bytes(self, *, buckets: bool) -> Check:
        roots = [self._places.endpoint_logs, self._places.job_logs]
        if buckets and self._places.buckets is not None:
            roots.append(self._places.buckets)
        left = [
            f"{folder}: {files} files, {bytes_in(folder):,} bytes"
            for root in roots
            for folder in sorted(root.glob("*"))
            if (files := sum(path.is_file() for path in (folder, *folder.rglob("*"))))
        ]
        if not buckets and self._places.buckets is not None:
            left += self._parts()
        if not buckets and self._evaluations_are_left():
            left.append(f"s3://{BUCKET}")
        return Check("bytes", ", ".join(map(str, roots)), left)

    def _evaluations_are_left(self) -> bool:
        try:
            return bool(self._store.list(BUCKET, limit=1))
        except UnknownBucket:
            return False

    def _parts(self) -> Iterator[str]:
        """What jobs that ended left in buckets."""
        with self._database.transaction() as connection:
            names = [bucket.name for bucket in all_buckets(connection)]
        for name in names:
            if self._store.list(name, PARTS, limit=1):
                yield f"s3://{name}/{PARTS}"


def _names(connection: Connection, table: str, column: Column[str]) -> str:
    names = list(connection.execute(select(column).order_by(column).limit(_MOST_NAMES + 1)).scalars())
    shown = ", ".join(names[:_MOST_NAMES]) + (" and more" if len(names) > _MOST_NAMES else "")
    return f"{table}: {shown}" if names else ""


def _count(connection: Connection, table: str, query: Select[int]) -> str:
    count = int(connection.execute(query).scalar_one())
    return f"{table}: {count:,}" if count else ""


def _children() -> Iterator[tuple[int, str]]:
    """This process's children that run a model, as the kernel lists them; none where it lists nothing."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            state, parent = (folder / "stat").read_text().rpartition(")")[2].split()[:2]
            arguments = (folder / "cmdline").read_bytes().split(b"\0")
        except (OSError, ValueError):
            continue  # it ended meanwhile
        kinds = [kind for program, kind in _PROGRAMS.items() if program in arguments]
        if int(parent) == os.getpid() and state != "Z" and kinds:
            yield int(folder.name), kinds[0]
