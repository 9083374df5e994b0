"""What ran, and for how long: a row for each endpoint and each transform job, added to while it runs."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import Connection, case, insert, select, update

from zerostart.metadata.tables import usage as table


class UsageKind(StrEnum):
    """Whose instances."""

    ENDPOINT = "endpoint"
    TRANSFORM_JOB = "transform-job"


@dataclass(frozen=True)
class Usage:
    """Seconds of instances, memory over time in MB (10^6 bytes) times seconds, and the most memory at one moment."""

    kind: UsageKind
    name: str
    instance_s: float
    memory_mb_s: float
    peak_bytes: int
    first_at: datetime
    last_at: datetime


def add_usage(connection: Connection, added: Collection[Usage]) -> None:
    """Add to what is known of each."""
    for each in added:
        values = {
            "instance_s": table.c.instance_s + each.instance_s,
            "memory_mb_s": table.c.memory_mb_s + each.memory_mb_s,
            "peak_bytes": case((table.c.peak_bytes < each.peak_bytes, each.peak_bytes), else_=table.c.peak_bytes),
            "last_at": each.last_at,
        }
        query = update(table).where(table.c.kind == each.kind.value, table.c.name == each.name)
        if connection.execute(query.values(values)).rowcount == 0:
            connection.execute(
                insert(table).values(
                    kind=each.kind.value,
                    name=each.name,
                    instance_s=each.instance_s,
                    memory_mb_s=each.memory_mb_s,
                    peak_bytes=each.peak_bytes,
                    first_at=each.first_at,
                    last_at=each.last_at,
                )
            )


def all_usage(connection: Connection) -> list[Usage]:
    """Everything that ever ran, what ran last first."""
    rows = connection.execute(select(table).order_by(table.c.last_at.desc(), table.c.kind, table.c.name))
    return [
        Usage(UsageKind(row.kind), row.name, row.instance_s, row.memory_mb_s, row.peak_bytes, row.first_at, row.last_at)
        for row in rows
    ]
