"""Transform jobs: a row each, the files that one reads, and shards of these that workers hold by leases.

Every change of a shard names the lease in its WHERE: a worker that was thought dead, and was not, changes nothing.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Row, and_, delete, func, insert, or_, select, update

from zerostart.metadata.rows import Page, PageRequest, insert_named, read_page
from zerostart.metadata.tables import transform_files as files
from zerostart.metadata.tables import transform_jobs as jobs
from zerostart.metadata.tables import transform_shards as shards


class TransformJobStatus(StrEnum):
    """AWS's values. A job that no worker holds yet is InProgress."""

    IN_PROGRESS = "InProgress"
    COMPLETED = "Completed"
    FAILED = "Failed"
    STOPPING = "Stopping"
    STOPPED = "Stopped"


@dataclass(frozen=True)
class TransformOptions:
    """What a job does with its input, resolved when it was created: nothing of it changes between two attempts."""

    input_uri: str
    manifest: bool
    compressed: bool
    content_type: str
    split_lines: bool
    output_uri: str
    assemble_lines: bool
    accept: str
    kms_key_id: str | None
    instance_count: int
    threads: int
    precision: str
    max_record_bytes: int
    input_filter: str = "$"
    output_filter: str = "$"
    join_input: bool = False
    collect_errors: bool = False
    max_error_rate: float = 1.0
    defaults: Mapping[str, Any] = field(default_factory=dict)
    text_column: str | None = None
    profile: str | None = None


@dataclass(frozen=True)
class TransformJob:
    """A job as it is now. `asked` is the request in AWS's words, to be shown again."""

    name: str
    status: TransformJobStatus
    model_id: str
    asked: Mapping[str, Any]
    options: TransformOptions
    created_at: datetime
    modified_at: datetime
    failure_reason: str | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    planned: bool = False


@dataclass(frozen=True)
class TransformFile:
    """An input object: `name` is its key relative to the input, which names its output; `error` why it has none."""

    number: int
    key: str
    name: str
    etag: str
    size: int
    error: str | None = None


@dataclass(frozen=True)
class TransformShard:
    """The records of a file that begin at byte `first` or later, and before `end`."""

    number: int
    file: int
    first: int
    end: int
    part: str | None = None
    records: int = 0
    failed: int = 0
    lines: int = 0


@dataclass(frozen=True)
class TransformProgress:
    """How far a job is: bytes and shards of all, records so far, and those of the shards that are done."""

    shards: int = 0
    shards_done: int = 0
    bytes_total: int = 0
    bytes_done: int = 0
    records: int = 0
    failed: int = 0
    records_done: int = 0


def insert_transform_job(connection: Connection, job: TransformJob) -> bool:
    """Add a row; False if the name is taken."""
    values = {**asdict(job), "status": job.status.value, "options": asdict(job.options)}
    return insert_named(connection, jobs, values)


def get_transform_job(connection: Connection, name: str) -> TransformJob | None:
    """The job of that name."""
    row = connection.execute(select(jobs).where(jobs.c.name == name)).one_or_none()
    return _job(row) if row is not None else None


def list_transform_jobs(connection: Connection, request: PageRequest) -> Page[TransformJob]:
    """One page of jobs."""
    return read_page(connection, jobs, request, _job)


def transform_jobs_in(connection: Connection, status: Collection[TransformJobStatus]) -> list[TransformJob]:
    """The jobs with one of these statuses, oldest first."""
    query = select(jobs).where(jobs.c.status.in_([each.value for each in status]))
    return [_job(row) for row in connection.execute(query.order_by(jobs.c.created_at, jobs.c.name))]


def change_transform_job(
    connection: Connection, name: str, *, old: Collection[TransformJobStatus], at: datetime, **values: Any
) -> bool:
    """Change a job if its status is one of `old`; whether it was."""
    query = update(jobs).where(jobs.c.name == name, jobs.c.status.in_([each.value for each in old]))
    return connection.execute(query.values(modified_at=at, **values)).rowcount == 1


def end_transform_job(
    connection: Connection,
    name: str,
    status: TransformJobStatus,
    at: datetime,
    *,
    old: TransformJobStatus = TransformJobStatus.IN_PROGRESS,
    reason: str | None = None,
) -> bool:
    """Give a job its last status, unless somebody else changed it before; whether it was given."""
    values = {"status": status.value, "ended_at": at, "failure_reason": reason[:4000] if reason else None}
    return change_transform_job(connection, name, old=[old], at=at, **values)


def delete_transform_job(connection: Connection, name: str) -> bool:
    """Remove a job that ended, with its files and shards; False if it did not, or is not there."""
    ended = jobs.c.status.not_in([TransformJobStatus.IN_PROGRESS.value, TransformJobStatus.STOPPING.value])
    if connection.execute(delete(jobs).where(jobs.c.name == name, ended)).rowcount != 1:
        return False
    for table in (files, shards):
        connection.execute(delete(table).where(table.c.job == name))
    return True


def lease_transform_job(connection: Connection, name: str, lease: str, now: datetime, until: datetime) -> bool:
    """Take, or keep, the right to plan a job or to end it; whether it was given."""
    free = or_(jobs.c.lease.is_(None), jobs.c.lease == lease, jobs.c.lease_until < now)
    query = update(jobs).where(jobs.c.name == name, jobs.c.status == TransformJobStatus.IN_PROGRESS.value, free)
    return connection.execute(query.values(lease=lease, lease_until=until)).rowcount == 1


def plan_transform_job(
    connection: Connection, name: str, lease: str, found: Sequence[TransformFile], cut: Sequence[TransformShard]
) -> bool:
    """Write what a job reads, once; False if the lease was lost."""
    query = update(jobs).where(jobs.c.name == name, jobs.c.lease == lease, jobs.c.planned.is_(False))
    if connection.execute(query.values(planned=True, lease=None)).rowcount != 1:
        return False
    if found:
        connection.execute(insert(files), [{"job": name, **asdict(each)} for each in found])
    if cut:
        connection.execute(insert(shards), [{"job": name, "status": _WAITING, **asdict(each)} for each in cut])
    return True


def claim_transform_shard(
    connection: Connection, name: str, lease: str, now: datetime, until: datetime
) -> TransformShard | None:
    """Hold the first shard that nobody holds, or whose lease ran out; None if there is none."""
    free = or_(shards.c.status == _WAITING, and_(shards.c.status == _HELD, shards.c.lease_until < now))
    candidates = select(shards).where(shards.c.job == name, free).order_by(shards.c.number).limit(1)
    while (row := connection.execute(candidates).one_or_none()) is not None:
        query = update(shards).where(shards.c.job == name, shards.c.number == row.number, free)
        values = {"status": _HELD, "lease": lease, "lease_until": until, "attempts": row.attempts + 1}
        values |= {"records": 0, "failed": 0}
        if connection.execute(query.values(**values)).rowcount == 1:
            return _shard(row)
    return None


def keep_transform_shard(
    connection: Connection, name: str, number: int, lease: str, until: datetime, records: int, failed: int
) -> bool:
    """A heartbeat; False if the lease was lost."""
    query = update(shards).where(*_held(name, number, lease))
    values = {"lease_until": until, "records": records, "failed": failed}
    return connection.execute(query.values(**values)).rowcount == 1


def finish_transform_shard(connection: Connection, name: str, shard: TransformShard, lease: str) -> bool:
    """A shard's part is written; False if the lease was lost, and somebody else's part counts."""
    query = update(shards).where(*_held(name, shard.number, lease))
    values = {"status": _DONE, "lease": None, "part": shard.part, "lines": shard.lines}
    values |= {"records": shard.records, "failed": shard.failed}
    return connection.execute(query.values(**values)).rowcount == 1


def fail_transform_file(connection: Connection, name: str, number: int, error: str) -> None:
    """A file that gets no output: its other shards need not be done. The first error counts."""
    connection.execute(
        update(files)
        .where(files.c.job == name, files.c.number == number, files.c.error.is_(None))
        .values(error=error[:4000])
    )
    connection.execute(
        update(shards)
        .where(shards.c.job == name, shards.c.file == number, shards.c.status != _DONE)
        .values(status=_DONE, lease=None)
    )


def release_transform_leases(connection: Connection, name: str, holders: str | None = None) -> None:
    """Give back what workers hold whose leases begin with `holders`; None is all."""
    mine = [] if holders is None else [shards.c.lease.startswith(holders, autoescape=True)]
    connection.execute(
        update(shards).where(shards.c.job == name, shards.c.status == _HELD, *mine).values(status=_WAITING, lease=None)
    )
    own = [] if holders is None else [jobs.c.lease.startswith(holders, autoescape=True)]
    connection.execute(update(jobs).where(jobs.c.name == name, *own).values(lease=None))


def read_transform_files(connection: Connection, name: str) -> list[TransformFile]:
    """The files of a job, by number."""
    found = connection.execute(select(files).where(files.c.job == name).order_by(files.c.number))
    return [_file(row) for row in found]


def read_transform_file(connection: Connection, name: str, number: int) -> TransformFile:
    """One file of a job."""
    return _file(connection.execute(select(files).where(files.c.job == name, files.c.number == number)).one())


def read_transform_shards(connection: Connection, name: str, file: int | None = None) -> list[TransformShard]:
    """The shards of a job, or of one of its files, in the order of the input."""
    query = select(shards).where(shards.c.job == name).order_by(shards.c.number)
    if file is not None:
        query = query.where(shards.c.file == file)
    return [_shard(row) for row in connection.execute(query)]


def open_transform_shards(connection: Connection, name: str) -> int:
    """How many shards are not done."""
    query = select(func.count()).where(shards.c.job == name, shards.c.status != _DONE)
    return int(connection.execute(query).scalar_one())


def transform_progress(connection: Connection, name: str) -> TransformProgress:
    """How far a job is."""
    size = shards.c.end - shards.c.first
    done = shards.c.status == _DONE
    query = select(
        func.count(),
        func.count().filter(done),
        func.coalesce(func.sum(size), 0),
        func.coalesce(func.sum(size).filter(done), 0),
        func.coalesce(func.sum(shards.c.records), 0),
        func.coalesce(func.sum(shards.c.failed), 0),
        func.coalesce(func.sum(shards.c.records).filter(done), 0),
    ).where(shards.c.job == name)
    return TransformProgress(*(int(value) for value in connection.execute(query).one()))


_WAITING, _HELD, _DONE = "waiting", "held", "done"


def _held(name: str, number: int, lease: str) -> tuple[Any, ...]:
    return shards.c.job == name, shards.c.number == number, shards.c.lease == lease, shards.c.status == _HELD


def _job(row: Row[Any]) -> TransformJob:
    return TransformJob(
        name=row.name,
        status=TransformJobStatus(row.status),
        model_id=row.model_id,
        asked=row.asked,
        options=TransformOptions(**row.options),
        created_at=row.created_at,
        modified_at=row.modified_at,
        failure_reason=row.failure_reason,
        started_at=row.started_at,
        ended_at=row.ended_at,
        planned=row.planned,
    )


def _file(row: Row[Any]) -> TransformFile:
    return TransformFile(row.number, row.key, row.name, row.etag, row.size, row.error)


def _shard(row: Row[Any]) -> TransformShard:
    return TransformShard(row.number, row.file, row.first, row.end, row.part, row.records, row.failed, row.lines)
