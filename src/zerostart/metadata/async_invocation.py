"""Asynchronous invocations: a row from the moment one is taken until its answer is stored."""

from collections.abc import Collection
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select

from zerostart.metadata.tables import async_invocations


@dataclass(frozen=True)
class AsyncRequest:
    """What to read, and where to write; locations are s3:// URIs."""

    input_uri: str
    output_uri: str
    failure_uri: str
    content_type: str
    accept: str
    timeout_s: float
    kms_key_id: str | None = None


@dataclass(frozen=True)
class AsyncInvocation:
    """An invocation that waits for its answer until `expires_at`."""

    id: str
    endpoint: str
    request: AsyncRequest
    created_at: datetime
    expires_at: datetime


def insert_async_invocation(connection: Connection, invocation: AsyncInvocation) -> None:
    """Add a row."""
    connection.execute(
        insert(async_invocations).values(
            id=invocation.id,
            endpoint=invocation.endpoint,
            request=asdict(invocation.request),
            created_at=invocation.created_at,
            expires_at=invocation.expires_at,
        )
    )


def oldest_async_invocations(
    connection: Connection, limit: int, besides: Collection[str], full: Collection[str]
) -> list[AsyncInvocation]:
    """The oldest ones, without those whose ids are in `besides` or whose endpoints are `full`."""
    table = async_invocations
    query = select(table).where(table.c.id.not_in(list(besides)), table.c.endpoint.not_in(list(full)))
    return [_invocation(row) for row in connection.execute(query.order_by(table.c.created_at).limit(limit))]


def delete_async_invocation(connection: Connection, invocation_id: str) -> None:
    """Remove a row."""
    connection.execute(delete(async_invocations).where(async_invocations.c.id == invocation_id))


def delete_async_invocations_of(connection: Connection, endpoint: str) -> None:
    """Remove the rows of an endpoint."""
    connection.execute(delete(async_invocations).where(async_invocations.c.endpoint == endpoint))


def _invocation(row: Row[Any]) -> AsyncInvocation:
    return AsyncInvocation(row.id, row.endpoint, AsyncRequest(**row.request), row.created_at, row.expires_at)
