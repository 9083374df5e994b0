"""Metadata on a real database."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy.exc import StatementError

from tests.postgresql import PostgreSQL
from tests.processes import ServerProcess
from zerostart.errors import InvalidInput
from zerostart.metadata.database import Database
from zerostart.metadata.endpoint import (
    DeployedVariant,
    Endpoint,
    EndpointStatus,
    change_endpoint_status,
    delete_endpoint,
    get_endpoint,
    insert_endpoint,
    list_endpoints,
)
from zerostart.metadata.model import Model, get_model, insert_model, list_models
from zerostart.metadata.rows import PageRequest
from zerostart.metadata.tables import metadata
from zerostart.metadata.tag import delete_tags, list_tags, put_tags

NOW = datetime(2026, 11, 23, 12, 0, 0, 123456, tzinfo=UTC)
VARIANT = DeployedVariant("v", "m", 2, "ml.m5.large", 1.0, model_id="zerostart-zstc-small")
ENDPOINT = Endpoint("e", "c", EndpointStatus.CREATING, (VARIANT,), NOW, NOW)


@pytest.fixture
def database(new_database_url: str) -> Iterator[Database]:
    database = Database(new_database_url)
    database.migrate()
    yield database
    database.close()


def test_migrations_make_the_tables_that_the_code_declares(database: Database) -> None:
    with database.transaction() as connection:
        differences = compare_metadata(MigrationContext.configure(connection), metadata)
    assert differences == []


def test_migrating_twice_keeps_the_rows(database: Database) -> None:
    with database.transaction() as connection:
        assert insert_endpoint(connection, ENDPOINT)
    database.migrate()
    with database.transaction() as connection:
        assert get_endpoint(connection, "e") == ENDPOINT


def test_a_taken_name_is_not_inserted_and_the_transaction_goes_on(database: Database) -> None:
    with database.transaction() as connection:
        assert insert_endpoint(connection, ENDPOINT)
        assert not insert_endpoint(connection, replace(ENDPOINT, config_name="other"))
        assert insert_endpoint(connection, replace(ENDPOINT, name="f"))
    with database.transaction() as connection:
        assert get_endpoint(connection, "e") == ENDPOINT
        assert get_endpoint(connection, "f") is not None


def test_times_are_utc_and_naive_ones_are_refused(database: Database) -> None:
    elsewhere = NOW.astimezone(timezone(timedelta(hours=5)))
    with database.transaction() as connection:
        insert_model(connection, Model("m", "id", {}, elsewhere))
        found = get_model(connection, "m")
    assert found is not None
    assert found.created_at == NOW
    assert found.created_at.tzinfo is UTC
    with pytest.raises(StatementError, match="no time zone"), database.transaction() as connection:
        insert_model(connection, Model("n", "id", {}, NOW.replace(tzinfo=None)))


def test_a_status_changes_only_from_where_it_is_expected(database: Database) -> None:
    later = NOW + timedelta(seconds=5)
    with database.transaction() as connection:
        insert_endpoint(connection, ENDPOINT)
        creating, in_service, deleting = EndpointStatus.CREATING, EndpointStatus.IN_SERVICE, EndpointStatus.DELETING
        assert change_endpoint_status(connection, "e", old=[creating], new=deleting, at=later)
        assert not change_endpoint_status(connection, "e", old=[creating], new=in_service, at=later)
        found = get_endpoint(connection, "e")
        assert found is not None
        assert (found.status, found.modified_at) == (deleting, later)
        assert delete_endpoint(connection, "e")
        assert not delete_endpoint(connection, "e")


def test_an_endpoint_that_is_not_deleting_is_not_removed(database: Database) -> None:
    with database.transaction() as connection:
        insert_endpoint(connection, ENDPOINT)
        assert not delete_endpoint(connection, "e")


def test_pages_hold_every_row_once_though_times_are_equal(database: Database) -> None:
    with database.transaction() as connection:
        for n in range(7):
            insert_model(connection, Model(f"m{n}", "id", {}, NOW))
        seen: list[str] = []
        token = None
        while True:
            page = list_models(connection, PageRequest(limit=3, next_token=token))
            seen += [model.name for model in page.records]
            if (token := page.next_token) is None:
                break
    assert sorted(seen) == [f"m{n}" for n in range(7)]


def test_filters(database: Database) -> None:
    with database.transaction() as connection:
        insert_endpoint(connection, ENDPOINT)
        insert_endpoint(connection, replace(ENDPOINT, name="f_1", status=EndpointStatus.FAILED))
        insert_endpoint(connection, replace(ENDPOINT, name="fx1", created_at=NOW + timedelta(days=1)))

        def names(**request: object) -> list[str]:
            return [e.name for e in list_endpoints(connection, PageRequest(**request)).records]  # type: ignore[arg-type]

        assert names(status="Failed") == ["f_1"]
        assert names(name_contains="f_") == ["f_1"], "an underscore is no wildcard"
        assert names(created_after=NOW) == ["fx1"]
        assert names(sort_by="status", descending=False) == ["e", "fx1", "f_1"]
        with pytest.raises(InvalidInput, match="was not given out by this list"):
            names(next_token="nonsense")


def test_tags(database: Database) -> None:
    with database.transaction() as connection:
        put_tags(connection, "arn", {"b": "1", "a": "2"})
        put_tags(connection, "arn", {"b": "3"})
        assert list_tags(connection, "arn") == {"a": "2", "b": "3"}
        delete_tags(connection, "arn", ["a"])
        assert list_tags(connection, "arn") == {"b": "3"}
        delete_tags(connection, "arn")
        assert list_tags(connection, "arn") == {}


def test_many_writers_at_once_lose_nothing(database: Database) -> None:
    def write(worker: int) -> None:
        for n in range(20):
            with database.transaction() as connection:
                assert get_model(connection, f"m{worker}-{n}") is None
                insert_model(connection, Model(f"m{worker}-{n}", "id", {}, NOW))

    threads = [threading.Thread(target=write, args=(worker,)) for worker in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with database.transaction() as connection:
        assert len(list_models(connection, PageRequest(limit=1000)).records) == 160


def test_one_server_at_a_time_uses_a_database(home: Path, tmp_path: Path, postgresql: PostgreSQL) -> None:
    """A second one would take the first one's jobs for its own. After a kill the next one starts."""
    url = postgresql.database()
    with ServerProcess(home, ZEROSTART_ENGINE="fake", ZEROSTART_DATABASE_URL=url) as first:
        with pytest.raises(AssertionError, match="Another server uses the database of database_url"):
            ServerProcess(tmp_path / "other", ZEROSTART_ENGINE="fake", ZEROSTART_DATABASE_URL=url)
        first.kill()
        with ServerProcess(tmp_path / "other", ZEROSTART_ENGINE="fake", ZEROSTART_DATABASE_URL=url) as second:
            assert second.sagemaker().list_endpoints()["Endpoints"] == []
