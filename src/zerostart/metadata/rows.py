"""Rows with a name: adding one, and listing them with the filters, order and continuation that all AWS lists share."""

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, Literal, TypeVar

from sqlalchemy import ColumnElement, Connection, Row, Select, Table, and_, insert, or_, select
from sqlalchemy.exc import IntegrityError

from zerostart.errors import InvalidNextToken

Record = TypeVar("Record")
SortBy = Literal["name", "created_at", "modified_at", "status", "started_at"]


@dataclass(frozen=True)
class PageRequest:
    """Which rows, in which order. Times bound `created_at`, and `modified_at` where the table has it."""

    name_contains: str | None = None
    status: str | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None
    modified_after: datetime | None = None
    modified_before: datetime | None = None
    sort_by: SortBy = "created_at"
    descending: bool = True
    limit: int = 10
    next_token: str | None = None


@dataclass(frozen=True)
class Page(Generic[Record]):
    """Records, and the token of the next page if there is one."""

    records: tuple[Record, ...]
    next_token: str | None


def insert_named(connection: Connection, table: Table, values: Mapping[str, Any]) -> bool:
    """Add a row; False if its name is taken. The transaction can go on after either."""
    try:
        with connection.begin_nested():
            connection.execute(insert(table).values(values))
    except IntegrityError:
        return False
    return True


def read_page(
    connection: Connection,
    table: Table,
    request: PageRequest,
    record: Callable[[Row[Any]], Record],
    *,
    key: str = "name",
    where: ColumnElement[bool] | None = None,
) -> Page[Record]:
    """One page of `table`, or of its rows `where`, sorted by a column, then by the column `key`, which is unique.

    Raises InvalidNextToken for a token that was not given out.
    """
    query = _filtered(select(table), table, request)
    if where is not None:
        query = query.where(where)
    first, second = table.c[request.sort_by], table.c[key]
    if request.next_token is not None:
        query = query.where(_after(first, second, request))
    order = (first.desc(), second.desc()) if request.descending else (first.asc(), second.asc())
    rows: Sequence[Row[Any]] = connection.execute(query.order_by(*order).limit(request.limit + 1)).all()
    shown = rows[: request.limit]
    token = _token(getattr(shown[-1], request.sort_by), getattr(shown[-1], key)) if len(rows) > request.limit else None
    return Page(tuple(record(row) for row in shown), token)


def _filtered(query: Select[Any], table: Table, request: PageRequest) -> Select[Any]:
    columns = table.c
    if request.name_contains is not None:
        query = query.where(columns.name.contains(request.name_contains, autoescape=True))
    if request.status is not None:
        query = query.where(columns.status == request.status)
    bounds = (
        ("created_at", request.created_after, request.created_before),
        ("modified_at", request.modified_after, request.modified_before),
    )
    for name, after, before in bounds:
        if after is not None:
            query = query.where(columns[name] > after)
        if before is not None:
            query = query.where(columns[name] < before)
    return query


def _after(first: ColumnElement[Any], second: ColumnElement[Any], request: PageRequest) -> ColumnElement[bool]:
    """Rows past the last one shown: by the sort column, and by the key where it is equal."""
    value, key = _read_token(request.next_token or "", timed=request.sort_by.endswith("_at"))
    if request.descending:
        return or_(first < value, and_(first == value, second < key))
    return or_(first > value, and_(first == value, second > key))


def _token(value: Any, key: str) -> str:
    shown = value.isoformat() if isinstance(value, datetime) else value
    return base64.urlsafe_b64encode(json.dumps([shown, key]).encode()).decode()


def _read_token(token: str, *, timed: bool) -> tuple[Any, str]:
    try:
        value, key = json.loads(base64.urlsafe_b64decode(token.encode()))
        return (datetime.fromisoformat(value) if timed else str(value)), str(key)
    except (ValueError, TypeError) as error:
        raise InvalidNextToken(f"NextToken {token[:60]!r} was not given out by this list: start without it.") from error
