"""What a user does with models: real processes, and a real server that uses them."""

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.test_cli import refused, run
from tests.processes import ServerProcess, clean_environment
from tests.tiny_models import weightless_artefact
from zerostart.models.artefact import MANIFEST

TINY = "acme/tiny"


@pytest.fixture
def tiny(home: Path) -> Path:
    """A model of the home folder, for the fake engine."""
    return weightless_artefact(home / "models" / "acme--tiny", TINY, max_probability_difference=0.00012).folder


def test_a_model_is_carried_to_another_machine_as_one_file(home: Path, tiny: Path, tmp_path: Path) -> None:
    file, elsewhere = tmp_path / "tiny.tar", tmp_path / "elsewhere"
    done = run(home, "models", "export", TINY, str(file))
    assert "On the other machine: zerostart models add tiny.tar" in done.stdout, done.stderr
    assert f"{file} exists" in refused(home, "models", "export", TINY, str(file))
    added = run(elsewhere, "models", "add", str(file))
    assert f"{TINY} is ready in {elsewhere / 'models' / 'acme--tiny'}" in added.stdout, added.stderr
    assert f"zerostart deploy {TINY} --wait" in added.stdout
    assert "exists: remove it first" in refused(elsewhere, "models", "add", str(file))
    asked = ("classify", "a text", "--labels", "a,b", "--model", TINY, "--format", "json")
    assert json.loads(run(elsewhere, *asked, ZEROSTART_ENGINE="fake").stdout)["sequence"] == "a text"


def test_what_is_no_file_of_export_is_refused(home: Path, tiny: Path, tmp_path: Path) -> None:
    (tmp_path / "tiny.zip").write_bytes(b"PK\x03\x04rest")
    assert "is a zip archive" in refused(home, "models", "add", str(tmp_path / "tiny.zip"))
    assert "an id and the folder of a model" in refused(home, "models", "add", "acme/other")
    assert "go with a folder" in refused(home, "models", "add", str(tmp_path / "tiny.zip"), "--licence", "mit")


def test_local_models_are_listed_with_their_sizes(home: Path, tiny: Path) -> None:
    shown = run(home, "models", "list", "--local").stdout
    row = next(line for line in shown.splitlines() if TINY in line)
    assert "0.0001" in row
    assert "built in" in shown
    listed = json.loads(run(home, "models", "list", "--local", "--format", "json").stdout)
    own = next(each for each in listed if each["model_id"] == TINY)
    assert own["size_bytes"] == sum(path.stat().st_size for path in tiny.iterdir() if path.name != MANIFEST)
    assert (own["revision"], own["max_probability_difference"], own["built_in"]) == ("1", 0.00012, False)


def test_a_model_is_removed_without_a_server(home: Path, tiny: Path) -> None:
    assert "give --yes" in refused(home, "models", "remove", TINY)
    assert "is built in" in refused(home, "models", "remove", "zerostart-zstc-small", "--yes")
    done = run(home, "models", "remove", TINY, "--yes")
    assert f"{TINY} is removed: " in done.stdout, done.stderr
    assert list((home / "models").iterdir()) == []
    assert "is not on this machine" in refused(home, "models", "remove", TINY, "--yes")


@pytest.mark.parametrize(("answer", "stays"), [(b"n\n", True), (b"y\n", False)])
def test_on_a_terminal_it_is_asked_first(home: Path, tiny: Path, answer: bytes, stays: bool) -> None:
    master, slave = pty.openpty()
    os.write(master, answer)
    done = subprocess.run(
        [sys.executable, "-m", "zerostart", "models", "remove", TINY],
        stdin=slave,
        capture_output=True,
        text=True,
        check=False,
        env=clean_environment(home),
        timeout=60,
    )
    os.close(slave)
    os.close(master)
    assert f"Remove {TINY}, " in done.stderr
    assert "Traceback" not in done.stderr
    assert done.returncode == (1 if stays else 0)
    assert tiny.exists() == stays


def test_a_model_that_an_endpoint_uses_stays(home: Path, tiny: Path) -> None:
    weightless_artefact(home / "models" / "acme--spare", "acme/spare")
    with ServerProcess(home, ZEROSTART_ENGINE="fake") as server:
        server.deploy("tweets", model_id=TINY)
        assert run(home, "models", "remove", "acme/spare", "--yes").returncode == 0
        message = refused(home, "models", "remove", TINY, "--yes")
        assert f"Model {TINY} is in use by endpoint tweets: delete or stop that first" in message
        assert (tiny / MANIFEST).is_file()
        server.sagemaker().delete_endpoint_config(EndpointConfigName="tweets")
        assert "endpoint tweets (perhaps: " in refused(home, "models", "remove", TINY, "--yes")
        server.sagemaker().delete_endpoint(EndpointName="tweets")
        server.sagemaker().get_waiter("endpoint_deleted").wait(
            EndpointName="tweets", WaiterConfig={"Delay": 1, "MaxAttempts": 60}
        )
        assert run(home, "models", "remove", TINY, "--yes").returncode == 0
    assert not tiny.exists()


def test_jumpstarts_name_of_a_deployed_model_protects_it(home: Path) -> None:
    jumpstart, own = "huggingface-zstc-facebook-bart-large-mnli", "facebook/bart-large-mnli"
    weightless_artefact(home / "models" / "facebook--bart-large-mnli", own)
    with ServerProcess(home, ZEROSTART_ENGINE="fake") as server:
        server.deploy("bart", model_id=jumpstart)
        assert "in use by endpoint bart" in refused(home, "models", "remove", own, "--yes")


@pytest.mark.parametrize("verb", ["pull", "add"])
def test_the_extra_is_named_in_the_help(home: Path, verb: str) -> None:
    assert "pip install 'zerostart[convert]'" in run(home, "models", verb, "--help").stdout
