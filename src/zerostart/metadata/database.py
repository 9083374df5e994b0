"""The database: one place that opens it, migrates it and commits."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, InterfaceError, OperationalError

from zerostart.errors import InvalidSettings, MissingExtra

_WAIT_FOR_LOCK_S = 10
_WAIT_FOR_LAST_SERVER_S = 5
_POSTGRESQL_LOCK = 0x7A65726F  # "zero": the one advisory lock of this program's transactions
_POSTGRESQL_SERVER = 0x73746172  # "star": that of the server


class Database:
    """Opened metadata, on SQLite or PostgreSQL. Every statement of the program runs inside `transaction()`.

    Raises InvalidSettings for another URL, MissingExtra for PostgreSQL without its driver.
    """

    def __init__(self, url: str) -> None:
        self._engine = _open(url)
        self._held: Any = None

    def migrate(self) -> None:
        """Bring the schema to the newest revision; does nothing when it is there. Raises InvalidSettings."""
        import alembic.command  # 0.1 s of a worker's start, which never migrates
        import alembic.config

        config = alembic.config.Config()
        config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
        with self._connected() as connection:
            config.attributes["connection"] = connection
            alembic.command.upgrade(config, "head")

    def hold(self) -> None:
        """Keep other servers out of a database that a network reaches, as long as this process lives.

        Two would take each other's endpoints and jobs for their own. Raises InvalidSettings if another one is there;
        one that was just killed is waited for. In the home folder, its lock is enough.
        """
        if self._engine.dialect.name != "postgresql":
            return
        self._held = self._engine.raw_connection()
        driver: Any = self._held.driver_connection
        driver.autocommit = True
        deadline_s = time.monotonic() + _WAIT_FOR_LAST_SERVER_S
        while not driver.run(f"SELECT pg_try_advisory_lock({_POSTGRESQL_SERVER})")[0][0]:
            if time.monotonic() > deadline_s:
                raise InvalidSettings(
                    "Another server uses the database of database_url: stop it, or give this one a database of its own."
                )
            time.sleep(0.1)

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """A connection whose work is committed as a whole at the end, or rolled back by an exception."""
        with self._engine.begin() as connection:
            yield connection

    def _connected(self) -> Connection:
        try:
            return self._engine.connect()
        except (OperationalError, InterfaceError) as error:
            raise InvalidSettings(f"The database of database_url cannot be opened: {error.orig}") from error

    def close(self) -> None:
        """Close every connection."""
        if self._held is not None:
            self._held.invalidate()
        self._engine.dispose()


def _open(url: str) -> Engine:
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise InvalidSettings(f"database_url is not a URL ({error}): use postgresql://USER@HOST/NAME.") from error
    kind = parsed.get_backend_name()
    if kind == "sqlite":
        engine = create_engine(parsed)
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_immediate)
        return engine
    if kind != "postgresql":
        raise InvalidSettings(f"database_url names {kind[:60]!r}: use postgresql://USER@HOST/NAME, or leave it empty.")
    return _open_postgresql(parsed)


def _open_postgresql(url: URL) -> Engine:
    if url.drivername == "postgresql":
        url = url.set(drivername="postgresql+pg8000")
    try:
        engine = create_engine(url, pool_pre_ping=True)
    except ModuleNotFoundError as error:
        raise MissingExtra(
            "PostgreSQL needs its driver: pip install 'zerostart[postgresql]', or leave database_url empty."
        ) from error
    event.listen(engine, "begin", _begin_alone)
    return engine


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # SQLAlchemy's own BEGIN below, not the driver's
    for pragma in ("journal_mode=WAL", "synchronous=FULL", f"busy_timeout={_WAIT_FOR_LOCK_S}000", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_immediate(connection: Connection) -> None:
    """Take the write lock first: a transaction that reads and then writes must not lose to another one halfway."""
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _begin_alone(connection: Connection) -> None:
    """The same on PostgreSQL: transactions follow each other. A process that vanished holds nobody up for long."""
    connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{_WAIT_FOR_LOCK_S}s'")
    connection.exec_driver_sql("SET LOCAL idle_in_transaction_session_timeout = '30s'")
    connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_POSTGRESQL_LOCK})")
