"""Endpoints: a status that follows the instances, and the variants to run."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Row, delete, select, update

from zerostart.metadata.endpoint_config import Asynchronous, ProductionVariant, variant_values
from zerostart.metadata.rows import Page, PageRequest, insert_named, read_page
from zerostart.metadata.scalable_target import remove_scaling
from zerostart.metadata.tables import endpoints


class EndpointStatus(StrEnum):
    """AWS's values. SystemUpdating: the server was restarted and brings the instances back."""

    CREATING = "Creating"
    IN_SERVICE = "InService"
    UPDATING = "Updating"
    SYSTEM_UPDATING = "SystemUpdating"
    DELETING = "Deleting"
    FAILED = "Failed"


@dataclass(frozen=True)
class DeployedVariant(ProductionVariant):
    """A variant whose model was resolved when the endpoint was made, so that deleting the model stops nothing.

    `profile` is the JSON of the model's profile.
    """

    model_id: str = field(kw_only=True)
    network_isolation: bool = field(default=False, kw_only=True)
    profile: str | None = field(default=None, kw_only=True)
    idle_timeout_s: float | None = field(default=None, kw_only=True)


@dataclass(frozen=True)
class EndpointUpdate:
    """What an endpoint is going to serve, once instances of it are ready."""

    config_name: str
    variants: tuple[DeployedVariant, ...]
    asynchronous: Asynchronous | None = None


@dataclass(frozen=True)
class Endpoint:
    """An endpoint as it is now. `generation` counts its updates; `coming` is the one on its way.

    Since `asleep_at` its instances are stopped until it is called.
    """

    name: str
    config_name: str
    status: EndpointStatus
    variants: tuple[DeployedVariant, ...]
    created_at: datetime
    modified_at: datetime
    failure_reason: str | None = None
    generation: int = 0
    coming: EndpointUpdate | None = None
    asynchronous: Asynchronous | None = None
    asleep_at: datetime | None = None


def instances_wanted(endpoints: Iterable[Endpoint]) -> int:
    """How many instances endpoints have at most, by their rows; in an update, the larger one of its two generations."""
    return sum(
        max(_instances(each.variants), _instances(each.coming.variants) if each.coming else 0)
        for each in endpoints
        if each.status is not EndpointStatus.FAILED
    )


def insert_endpoint(connection: Connection, endpoint: Endpoint) -> bool:
    """Add a row; False if the name is taken."""
    values = {
        "name": endpoint.name,
        "config_name": endpoint.config_name,
        "status": endpoint.status.value,
        "failure_reason": endpoint.failure_reason,
        "variants": _stored(endpoint.variants),
        "created_at": endpoint.created_at,
        "modified_at": endpoint.modified_at,
        "asynchronous": _stored_asynchronous(endpoint.asynchronous),
    }
    return insert_named(connection, endpoints, values)


def get_endpoint(connection: Connection, name: str) -> Endpoint | None:
    """The endpoint of that name."""
    row = connection.execute(select(endpoints).where(endpoints.c.name == name)).one_or_none()
    return _endpoint(row) if row else None


def list_endpoints(connection: Connection, request: PageRequest) -> Page[Endpoint]:
    """One page of endpoints."""
    return read_page(connection, endpoints, request, _endpoint)


def all_endpoints(connection: Connection) -> list[Endpoint]:
    """Every endpoint, by name."""
    return [_endpoint(row) for row in connection.execute(select(endpoints).order_by(endpoints.c.name))]


def change_endpoint_status(
    connection: Connection,
    name: str,
    *,
    old: Sequence[EndpointStatus],
    new: EndpointStatus,
    at: datetime,
    failure_reason: str | None = None,
) -> bool:
    """Move an endpoint from one of the statuses `old` to `new`; False if it was in none of them, or is not there."""
    query = update(endpoints).where(endpoints.c.name == name, endpoints.c.status.in_([each.value for each in old]))
    return (
        connection.execute(query.values(status=new.value, failure_reason=failure_reason, modified_at=at)).rowcount == 1
    )


def begin_endpoint_update(connection: Connection, name: str, coming: EndpointUpdate, at: datetime) -> bool:
    """Note what an endpoint that is InService is to serve; False if it is not InService."""
    stored = {
        "config_name": coming.config_name,
        "variants": _stored(coming.variants),
        "asynchronous": _stored_asynchronous(coming.asynchronous),
    }
    return _replace(connection, name, EndpointStatus.IN_SERVICE, status=EndpointStatus.UPDATING, coming=stored, at=at)


def replace_endpoint_variants(
    connection: Connection, name: str, variants: Sequence[DeployedVariant], at: datetime
) -> bool:
    """Give an endpoint that is InService other weights and counts; False if it is not InService."""
    values = {"variants": _stored(variants), "status": EndpointStatus.UPDATING}
    return _replace(connection, name, EndpointStatus.IN_SERVICE, **values, at=at)


def finish_endpoint_update(connection: Connection, endpoint: Endpoint, at: datetime) -> bool:
    """Make what was coming what the endpoint serves; False if it is not Updating any more.

    What cannot be scaled any more, because it is gone or serverless now, is no scalable target any more.
    """
    assert endpoint.coming is not None  # noqa: S101 - the caller saw it
    values = {
        "config_name": endpoint.coming.config_name,
        "variants": _stored(endpoint.coming.variants),
        "generation": endpoint.generation + 1,
        "asynchronous": _stored_asynchronous(endpoint.coming.asynchronous),
        "status": EndpointStatus.IN_SERVICE,
        "failure_reason": None,
    }
    if not _replace(connection, endpoint.name, EndpointStatus.UPDATING, **values, coming=None, at=at):
        return False
    scalable = [variant.name for variant in endpoint.coming.variants if variant.serverless is None]
    remove_scaling(connection, endpoint.name, but=scalable)
    return True


def abandon_endpoint_update(connection: Connection, endpoint: Endpoint, reason: str, at: datetime) -> bool:
    """Go on with what the endpoint served before; False if it is not Updating any more."""
    values = {"status": EndpointStatus.IN_SERVICE, "failure_reason": reason}
    return _replace(connection, endpoint.name, EndpointStatus.UPDATING, **values, coming=None, at=at)


def put_endpoint_to_sleep(
    connection: Connection,
    name: str,
    at: datetime,
    *,
    old: Sequence[EndpointStatus] = (EndpointStatus.IN_SERVICE,),
    failure_reason: str | None = None,
    variants: Sequence[DeployedVariant] | None = None,
) -> bool:
    """Note that an endpoint in one of the statuses `old` is to have no instances until it is called; else False.

    `variants` is what it has when it is called, where that changes.
    """
    table = endpoints.c
    told: dict[str, Any] = {"failure_reason": failure_reason} if failure_reason else {}
    if variants is not None:
        told["variants"] = _stored(variants)
    query = update(endpoints).where(table.name == name, table.status.in_([each.value for each in old]))
    return connection.execute(query.where(table.asleep_at.is_(None)).values(asleep_at=at, **told)).rowcount == 1


def wake_endpoint(connection: Connection, name: str, failure_reason: str | None) -> bool:
    """Note that an endpoint is to have its instances again; False if it did not sleep."""
    query = update(endpoints).where(endpoints.c.name == name, endpoints.c.asleep_at.is_not(None))
    return connection.execute(query.values(asleep_at=None, failure_reason=failure_reason)).rowcount == 1


def delete_endpoint(connection: Connection, name: str) -> bool:
    """Remove the row of an endpoint that is Deleting, and its autoscaling; False if there was none."""
    query = delete(endpoints).where(endpoints.c.name == name, endpoints.c.status == EndpointStatus.DELETING.value)
    if connection.execute(query).rowcount == 0:
        return False
    remove_scaling(connection, name)
    return True


def _replace(connection: Connection, name: str, old: EndpointStatus, *, at: datetime, **values: Any) -> bool:
    query = update(endpoints).where(endpoints.c.name == name, endpoints.c.status == old.value)
    return connection.execute(query.values(**values, modified_at=at)).rowcount == 1


def _instances(variants: Sequence[DeployedVariant]) -> int:
    return sum(variant.instance_count for variant in variants)


def _stored(variants: Sequence[DeployedVariant]) -> list[dict[str, Any]]:
    return [asdict(variant) for variant in variants]


def _variants(stored: Sequence[Mapping[str, Any]]) -> tuple[DeployedVariant, ...]:
    return tuple(DeployedVariant(**variant_values(variant)) for variant in stored)


def _stored_asynchronous(asynchronous: Asynchronous | None) -> dict[str, Any] | None:
    return asdict(asynchronous) if asynchronous else None


def _asynchronous(stored: Mapping[str, Any] | None) -> Asynchronous | None:
    return Asynchronous(**stored) if stored else None


def _update(stored: Mapping[str, Any]) -> EndpointUpdate:
    return EndpointUpdate(
        stored["config_name"], _variants(stored["variants"]), _asynchronous(stored.get("asynchronous"))
    )


def _endpoint(row: Row[Any]) -> Endpoint:
    return Endpoint(
        name=row.name,
        config_name=row.config_name,
        status=EndpointStatus(row.status),
        variants=_variants(row.variants),
        created_at=row.created_at,
        modified_at=row.modified_at,
        failure_reason=row.failure_reason,
        generation=row.generation,
        coming=_update(row.coming) if row.coming else None,
        asynchronous=_asynchronous(row.asynchronous),
        asleep_at=row.asleep_at,
    )
