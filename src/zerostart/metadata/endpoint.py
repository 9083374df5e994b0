"""Endpoints: a status that follows the instances, and the variants to run."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Row, delete, select, update

from zerostart.metadata.endpoint_config import ProductionVariant
from zerostart.metadata.rows import Page, PageRequest, insert_named, read_page
from zerostart.metadata.tables import endpoints


class EndpointStatus(StrEnum):
    """AWS's values. SystemUpdating: the server was restarted and brings the instances back."""

    CREATING = "Creating"
    IN_SERVICE = "InService"
    SYSTEM_UPDATING = "SystemUpdating"
    DELETING = "Deleting"
    FAILED = "Failed"


@dataclass(frozen=True)
class DeployedVariant(ProductionVariant):
    """A variant whose model was resolved when the endpoint was made, so that deleting the model stops nothing."""

    model_id: str


@dataclass(frozen=True)
class Endpoint:
    """An endpoint as it is now."""

    name: str
    config_name: str
    status: EndpointStatus
    variants: tuple[DeployedVariant, ...]
    created_at: datetime
    modified_at: datetime
    failure_reason: str | None = None


def insert_endpoint(connection: Connection, endpoint: Endpoint) -> bool:
    """Add a row; False if the name is taken."""
    values = {
        "name": endpoint.name,
        "config_name": endpoint.config_name,
        "status": endpoint.status.value,
        "failure_reason": endpoint.failure_reason,
        "variants": [asdict(variant) for variant in endpoint.variants],
        "created_at": endpoint.created_at,
        "modified_at": endpoint.modified_at,
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


def delete_endpoint(connection: Connection, name: str) -> bool:
    """Remove the row of an endpoint that is Deleting; False if there was none."""
    query = delete(endpoints).where(endpoints.c.name == name, endpoints.c.status == EndpointStatus.DELETING.value)
    return connection.execute(query).rowcount == 1


def _endpoint(row: Row[Any]) -> Endpoint:
    return Endpoint(
        name=row.name,
        config_name=row.config_name,
        status=EndpointStatus(row.status),
        variants=tuple(DeployedVariant(**variant) for variant in row.variants),
        created_at=row.created_at,
        modified_at=row.modified_at,
        failure_reason=row.failure_reason,
    )
