"""Scalable targets: variants of endpoints whose count of instances follows the load, and its bounds."""

from collections.abc import Collection
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Row, Table, and_, delete, insert, or_, select, update

from zerostart.metadata.rows import Page, PageRequest, read_page
from zerostart.metadata.tables import scalable_targets, scaling_activities, scaling_policies


class ScaledVariant(NamedTuple):
    """The variant of an endpoint that is scaled."""

    endpoint: str
    variant: str

    @property
    def resource_id(self) -> str:
        """AWS's name of it."""
        return f"endpoint/{self.endpoint}/variant/{self.variant}"


@dataclass(frozen=True)
class Suspended:
    """What is not done for now. Of `scheduled` there is nothing to suspend: it is kept and shown."""

    scale_in: bool = False
    scale_out: bool = False
    scheduled: bool = False


@dataclass(frozen=True)
class ScalableTarget:
    """A variant has between `min_capacity` and `max_capacity` instances; with 0 it may sleep."""

    of: ScaledVariant
    id: str
    min_capacity: int
    max_capacity: int
    created_at: datetime
    role_arn: str | None = None
    suspended: Suspended = field(default_factory=Suspended)


def put_scalable_target(connection: Connection, target: ScalableTarget) -> None:
    """Add a target, or replace the one of this variant."""
    values = {
        "id": target.id,
        "min_capacity": target.min_capacity,
        "max_capacity": target.max_capacity,
        "role_arn": target.role_arn,
        "suspended": asdict(target.suspended),
        "created_at": target.created_at,
    }
    replace_row(connection, scalable_targets, target.of, values)


def get_scalable_target(connection: Connection, of: ScaledVariant) -> ScalableTarget | None:
    """The target of a variant."""
    row = connection.execute(select(scalable_targets).where(is_of(scalable_targets, [of]))).one_or_none()
    return _target(row) if row else None


def all_scalable_targets(connection: Connection) -> list[ScalableTarget]:
    """Every target, by endpoint and variant."""
    order = (scalable_targets.c.endpoint, scalable_targets.c.variant)
    return [_target(row) for row in connection.execute(select(scalable_targets).order_by(*order))]


def list_scalable_targets(
    connection: Connection, request: PageRequest, among: Collection[ScaledVariant] = ()
) -> Page[ScalableTarget]:
    """One page of targets: all, or those of some variants."""
    where = is_of(scalable_targets, among) if among else None
    return read_page(connection, scalable_targets, request, _target, key="id", where=where)


def delete_scalable_target(connection: Connection, of: ScaledVariant) -> bool:
    """Remove a target and its policy; False if there was none."""
    connection.execute(delete(scaling_policies).where(is_of(scaling_policies, [of])))
    return connection.execute(delete(scalable_targets).where(is_of(scalable_targets, [of]))).rowcount == 1


def remove_scaling(connection: Connection, endpoint: str, but: Collection[str] = ()) -> None:
    """Remove the targets, policies and activities of an endpoint, except those of the variants `but`."""
    for table in (scalable_targets, scaling_policies, scaling_activities):
        connection.execute(
            delete(table).where(table.c.endpoint == endpoint, table.c.variant.not_in(list(but))),
        )


def is_of(table: Table, among: Collection[ScaledVariant]) -> ColumnElement[bool]:
    """Whether a row is of one of the variants."""
    return or_(*(and_(table.c.endpoint == of.endpoint, table.c.variant == of.variant) for of in among))


def replace_row(connection: Connection, table: Table, of: ScaledVariant, values: dict[str, Any]) -> None:
    """Write the one row that a table has of a variant."""
    if connection.execute(update(table).where(is_of(table, [of])).values(values)).rowcount == 0:
        connection.execute(insert(table).values(endpoint=of.endpoint, variant=of.variant, **values))


def _target(row: Row[Any]) -> ScalableTarget:
    return ScalableTarget(
        of=ScaledVariant(row.endpoint, row.variant),
        id=row.id,
        min_capacity=row.min_capacity,
        max_capacity=row.max_capacity,
        created_at=row.created_at,
        role_arn=row.role_arn,
        suspended=Suspended(**row.suspended),
    )
