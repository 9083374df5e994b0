"""What killed commands left goes with the next command, and what others work in stays."""

import os
import time
from pathlib import Path

import pytest

from zerostart.errors import ModelInUse
from zerostart.models.leftovers import held, remove_leftovers, remove_whole

HOUR_S = 3600.0


def made(folder: Path, age_s: float) -> Path:
    """A folder with a file, last written so long ago."""
    folder.mkdir(parents=True)
    (folder / "model.onnx").write_bytes(b"x")
    changed_at_s = time.time() - age_s
    for path in (folder / "model.onnx", folder):
        os.utime(path, (changed_at_s, changed_at_s))
    return folder


@pytest.mark.parametrize("name", [".removing-a", ".adding-a"])
def test_what_a_killed_command_left_is_removed(tmp_path: Path, name: str) -> None:
    left, a_moment_ago = made(tmp_path / name, HOUR_S), made(tmp_path / f"{name}b", 0)
    remove_leftovers(tmp_path)
    assert not left.exists()
    assert not a_moment_ago.exists()


def test_what_can_be_gone_on_with_stays_for_a_week(tmp_path: Path) -> None:
    name = ".fetching/acme--tiny@abc"
    old, of_this_week = made(tmp_path / name, 8 * 24 * HOUR_S), made(tmp_path / f"{name}d", 6 * 24 * HOUR_S)
    remove_leftovers(tmp_path)
    assert not old.exists()
    assert of_this_week.exists()


def test_a_fetch_that_goes_on_slowly_stays(tmp_path: Path) -> None:
    folder = made(tmp_path / ".fetching" / "acme--tiny@abc", 8 * 24 * HOUR_S)
    (folder / "model.onnx").touch()
    remove_leftovers(tmp_path)
    assert folder.exists()


@pytest.mark.parametrize("name", [".fetching/acme--tiny@abc", ".adding-a", ".removing-a"])
def test_what_another_command_works_in_stays(tmp_path: Path, name: str) -> None:
    folder = made(tmp_path / name, 30 * 24 * HOUR_S)
    with held(folder):
        remove_leftovers(tmp_path)
        assert folder.exists()
        with pytest.raises(ModelInUse, match="wait until it ends"), held(folder):
            pass
    remove_leftovers(tmp_path)
    assert not folder.exists()


def test_models_and_links_are_no_leftovers(tmp_path: Path) -> None:
    model, elsewhere = made(tmp_path / "models" / "acme--tiny", 30 * 24 * HOUR_S), made(tmp_path / "else", 0)
    (tmp_path / "models" / ".removing-x").symlink_to(elsewhere)
    remove_leftovers(tmp_path / "models")
    assert model.exists()
    assert (elsewhere / "model.onnx").exists()


def test_removing_a_linked_model_removes_the_link_alone(tmp_path: Path) -> None:
    elsewhere = made(tmp_path / "else", 0)
    (tmp_path / "acme--tiny").symlink_to(elsewhere)
    remove_whole(tmp_path / "acme--tiny")
    assert [path.name for path in tmp_path.iterdir()] == ["else"]
    assert (elsewhere / "model.onnx").exists()
