"""Scaling activities: what autoscaling did to a variant, and why; kept for six weeks, as AWS keeps them."""

import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select, update

from zerostart.metadata.rows import Page, PageRequest, read_page
from zerostart.metadata.scalable_target import ScaledVariant, is_of
from zerostart.metadata.tables import scaling_activities as table

_KEPT = timedelta(weeks=6)


class ActivityStatus(StrEnum):
    """Those of AWS's values that occur here."""

    IN_PROGRESS = "InProgress"
    SUCCESSFUL = "Successful"
    FAILED = "Failed"


@dataclass(frozen=True)
class ScalingActivity:
    """A change of a variant's count of instances, or one that was not allowed; `message` says what came of it."""

    of: ScaledVariant
    id: str
    description: str
    cause: str
    status: ActivityStatus
    started_at: datetime
    message: str | None = None
    ended_at: datetime | None = None

    @property
    def is_failed(self) -> bool:
        """Whether it did not come to what was wanted."""
        return self.status is ActivityStatus.FAILED


def begin_scaling_activity(connection: Connection, of: ScaledVariant, count: int, cause: str, at: datetime) -> None:
    """Note that a variant is to have `count` instances from now on; forgets what is too old."""
    _insert(connection, of, count, cause, at, ActivityStatus.IN_PROGRESS)
    connection.execute(delete(table).where(table.c.started_at < at - _KEPT))


def note_scaling_failure(
    connection: Connection, of: ScaledVariant, count: int, cause: str, at: datetime, message: str
) -> None:
    """Note that a variant was to have `count` instances, and does not get them."""
    _insert(connection, of, count, cause, at, ActivityStatus.FAILED, message)


def end_scaling_activities(connection: Connection, endpoint: str, at: datetime, failure: str | None = None) -> None:
    """Note that the instances of an endpoint are as many as were wanted; or why they will not be."""
    wanted = table.c.endpoint == endpoint, table.c.status == ActivityStatus.IN_PROGRESS.value
    status = ActivityStatus.FAILED if failure else ActivityStatus.SUCCESSFUL
    message = failure or "Change successfully fulfilled by sagemaker."
    connection.execute(update(table).where(*wanted).values(status=status.value, message=message, ended_at=at))


def endpoints_being_scaled(connection: Connection) -> set[str]:
    """The names of endpoints with an activity that is InProgress."""
    query = select(table.c.endpoint).where(table.c.status == ActivityStatus.IN_PROGRESS.value)
    return set(connection.execute(query).scalars())


def latest_scaling_activity(connection: Connection, of: ScaledVariant) -> ScalingActivity | None:
    """What was done last to a variant."""
    query = select(table).where(is_of(table, [of])).order_by(table.c.started_at.desc(), table.c.id).limit(1)
    row = connection.execute(query).one_or_none()
    return _activity(row) if row else None


def list_scaling_activities(
    connection: Connection, request: PageRequest, of: ScaledVariant | None
) -> Page[ScalingActivity]:
    """One page of activities: of all variants, or of one."""
    return read_page(connection, table, request, _activity, key="id", where=is_of(table, [of]) if of else None)


def _insert(
    connection: Connection,
    of: ScaledVariant,
    count: int,
    cause: str,
    at: datetime,
    status: ActivityStatus,
    message: str | None = None,
) -> None:
    values = {
        "id": str(uuid.uuid4()),
        "endpoint": of.endpoint,
        "variant": of.variant,
        "description": f"Setting desired instance count to {count}.",
        "cause": cause,
        "status": status.value,
        "message": message,
        "started_at": at,
        "ended_at": None if status is ActivityStatus.IN_PROGRESS else at,
    }
    connection.execute(insert(table).values(values))


def _activity(row: Row[Any]) -> ScalingActivity:
    return ScalingActivity(
        of=ScaledVariant(row.endpoint, row.variant),
        id=row.id,
        description=row.description,
        cause=row.cause,
        status=ActivityStatus(row.status),
        started_at=row.started_at,
        message=row.message,
        ended_at=row.ended_at,
    )
