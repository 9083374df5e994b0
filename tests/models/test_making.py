import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.processes import wait_for
from zerostart.errors import InvalidArtefact
from zerostart.models.making import making


def visible(models: Path) -> list[str]:
    return sorted(path.name for path in models.iterdir())


def make(models: Path, name: str) -> None:
    with making(models, name) as folder:
        (folder / "file").write_text(name)


def start_making(models: Path, name: str) -> subprocess.Popen[bytes]:
    """Another process in the middle of making an artefact."""
    code = (
        "import sys, time; from pathlib import Path; from zerostart.models.making import making\n"
        "with making(Path(sys.argv[1]), sys.argv[2]) as folder:\n"
        "    (folder / 'started').touch(); time.sleep(60)"
    )
    started = subprocess.Popen([sys.executable, "-c", code, str(models), name])
    wait_for(lambda: list(models.glob(f".adding-*/{name}/started")))
    return started


def test_what_was_made_appears_whole(tmp_path: Path) -> None:
    make(tmp_path / "models", "one")
    assert visible(tmp_path / "models") == ["one"]
    assert (tmp_path / "models" / "one" / "file").read_text() == "one"


def test_an_error_leaves_nothing(tmp_path: Path) -> None:
    def interrupted() -> None:
        with making(tmp_path / "models", "one") as folder:
            (folder / "file").touch()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert visible(tmp_path / "models") == []


def test_a_killed_making_leaves_nothing_after_the_next_one(tmp_path: Path) -> None:
    killed = start_making(tmp_path, "killed")
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert [name for name in visible(tmp_path) if not name.startswith(".adding-")] == []
    make(tmp_path, "next")
    assert visible(tmp_path) == ["next"]


def test_a_making_that_still_goes_on_is_left_alone(tmp_path: Path) -> None:
    other = start_making(tmp_path, "other")
    try:
        make(tmp_path, "mine")
        assert len(list(tmp_path.glob(".adding-*/other/started"))) == 1
    finally:
        other.kill()
        other.wait()


def test_of_two_makings_of_one_name_the_first_to_end_stands(tmp_path: Path) -> None:
    def slow() -> None:
        with making(tmp_path, "same") as folder:
            (folder / "file").write_text("slow")
            make(tmp_path, "same")

    with pytest.raises(InvalidArtefact, match="exists: remove it first"):
        slow()
    assert (tmp_path / "same" / "file").read_text() == "same"
    assert visible(tmp_path) == ["same"]
