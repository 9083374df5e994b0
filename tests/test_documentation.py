"""The documentation says what the code says."""

import dataclasses
from pathlib import Path

import pytest

from zerostart.server.aws.control_plane import OPERATIONS
from zerostart.settings import Settings

DOCS = Path(__file__).parents[1] / "docs"


@pytest.mark.parametrize("setting", dataclasses.fields(Settings), ids=lambda each: each.name)
def test_every_setting_is_described(setting: dataclasses.Field[object]) -> None:
    page = (DOCS / "settings.md").read_text("utf-8")
    row = next(line for line in page.splitlines() if line.startswith(f"| `{setting.name}` |"))
    assert setting.metadata["description"] in row
    if setting.name != "home":
        assert f"`{setting.default}`" in row or (setting.default == "" and "empty" in row)


def test_no_setting_is_described_that_is_not_there() -> None:
    page = (DOCS / "settings.md").read_text("utf-8")
    rows = {line.split("`")[1] for line in page.splitlines() if line.startswith("| `")}
    assert rows == {each.name for each in dataclasses.fields(Settings)}


def test_every_operation_is_listed() -> None:
    page = (DOCS / "sagemaker.md").read_text("utf-8")
    assert [name for name in OPERATIONS if name not in page] == []


def test_every_decision_is_in_the_index() -> None:
    index = (DOCS / "decisions" / "README.md").read_text("utf-8")
    files = [path.name for path in (DOCS / "decisions").glob("0*.md")]
    assert len(files) >= 7
    assert [name for name in files if name not in index] == []
