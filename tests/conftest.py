"""What many tests need: a real server in a process of its own, and real clients of it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.postgresql import PostgreSQL, postgresql_folder
from tests.processes import ServerProcess


# How long an example takes says nothing on a busy machine.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def server(home: Path) -> Iterator[ServerProcess]:
    """A server of its own for a test that stops, kills or fills it; with the fake engine, which starts quickly."""
    with ServerProcess(home, ZEROSTART_ENGINE="fake") as process:
        yield process


@pytest.fixture(scope="session")
def shared_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """One server with the real engine and an endpoint named `shared`; tests leave it as they found it."""
    with ServerProcess(tmp_path_factory.mktemp("shared") / "home", ZEROSTART_MAX_INSTANCES="20") as process:
        process.deploy("shared")
        yield process


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgreSQL]:
    """A real PostgreSQL."""
    binaries = postgresql_folder()
    if binaries is None:
        pytest.skip("PostgreSQL is not installed: apt-get install postgresql")
    running = PostgreSQL(binaries)
    yield running
    running.stop()


def _database_url(request: pytest.FixtureRequest) -> str:
    if request.param == "sqlite":
        return ""
    running: PostgreSQL = request.getfixturevalue("postgresql")
    return running.database()


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """What `database_url` is set to: each database that the metadata may be in; empty is SQLite in the home folder."""
    return _database_url(request)


@pytest.fixture(params=["sqlite", "postgresql"])
def own_database_url(request: pytest.FixtureRequest) -> str:
    """The same for a test whose server no other one may meet in its database."""
    return _database_url(request)


@pytest.fixture(params=["sqlite", "postgresql"])
def new_database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database of each kind for one test, empty."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'metadata.db'}"
    running: PostgreSQL = request.getfixturevalue("postgresql")
    return running.database()
