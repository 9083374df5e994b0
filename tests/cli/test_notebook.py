"""`zerostart notebook`: the notebook as a file of the user's own."""

import json
from pathlib import Path

from tests.cli.test_cli import refused, run


def test_the_notebook_is_copied_with_the_command_that_opens_it(home: Path, tmp_path: Path) -> None:
    done = run(home, "notebook", str(tmp_path))
    target = tmp_path / "zero_shot_text_classification.ipynb"
    assert done.returncode == 0
    assert done.stdout.splitlines()[-1].strip() == f"zerostart run -- jupyter lab {target}"
    notebook = json.loads(target.read_text("utf-8"))
    assert notebook["nbformat"] == 4
    assert notebook["metadata"]["kernelspec"]["name"] == "python3"


def test_nothing_is_written_over_and_folders_are_not_made(home: Path, tmp_path: Path) -> None:
    target = tmp_path / "zero_shot_text_classification.ipynb"
    target.write_text("mine")
    assert f"{target} is there already" in refused(home, "notebook", str(tmp_path))
    assert target.read_text() == "mine"
    assert "is no folder" in refused(home, "notebook", str(tmp_path / "none"))


def test_it_is_shipped_without_outputs_and_knows_no_address(home: Path, tmp_path: Path) -> None:
    run(home, "notebook", str(tmp_path))
    cells = json.loads((tmp_path / "zero_shot_text_classification.ipynb").read_text("utf-8"))["cells"]
    code = [each for each in cells if each["cell_type"] == "code"]
    assert all(each["outputs"] == [] and each["execution_count"] is None for each in code)
    assert not any("endpoint_url" in "".join(each["source"]) or "://127" in "".join(each["source"]) for each in cells)
    assert all(len("".join(each["source"]).splitlines()) <= 30 for each in code)  # short enough to be read
