"""The examples in docs/decisions-api.md run as they are written, with the real clients."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.processes import ServerProcess, clean_environment
from tests.sdk.test_flows import SDKS

PAGE = Path(__file__).parents[2] / "docs" / "decisions-api.md"
PYTHON = SDKS / "decisions" / "bin" / "python"
pytestmark = pytest.mark.slow


def examples(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server on which the first example has deployed its endpoint."""
    with ServerProcess(tmp_path_factory.mktemp("page") / "home") as process:
        answered = run(process, ["bash", "-euc", examples("sh")[0]])
        assert '"choice":"billing"' in answered
        yield process


def run(server: ServerProcess, command: list[str]) -> str:
    """What an example prints, asked of this server in place of the one at the usual address."""
    *program, code = command
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = clean_environment(server.home, PATH=path, AWS_SECRET_ACCESS_KEY=server.keys.secret_access_key)
    done = subprocess.run(
        [*program, code.replace("http://127.0.0.1:8480", server.address)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("code", examples("sh")[1:])
def test_commands_run_as_they_are_written(server: ServerProcess, code: str) -> None:
    assert "billing" in run(server, ["bash", "-euc", code])


@pytest.mark.skipif(not (SDKS / "decisions" / ".installed").exists(), reason="make test makes .sdks/decisions")
@pytest.mark.parametrize("code", examples("python"), ids=["openai", "langchain", "typesafe"])
def test_programs_run_as_they_are_written(server: ServerProcess, code: str) -> None:
    assert "billing" in run(server, [str(PYTHON), "-c", code])
