"""What many tests need: a real server in a process of its own, and real clients of it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.processes import ServerProcess


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
