"""The shipped notebook: copied by `zerostart notebook`, executed under `zerostart run` with the real SDK."""

import base64
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.processes import ServerProcess, clean_environment
from zerostart.cli.notebook import FILE_NAME

SDK = Path(__file__).parents[2] / ".sdks" / "v2"
TIMEOUT_S = 600
DATA = {
    "Bucket": "sagemaker-solutions-prod-us-east-1",
    "Key": "0.2.0/Zero-shot-text-classification/1.0.0/artifacts/data/jumpstart-soln-zero-shot-text-clf-data.csv",
}
_ZEROSTART = [sys.executable, "-m", "zerostart"]


class Executed:
    """The notebook after it ran: what its cells show, and the server that it ran against."""

    def __init__(self, server: ServerProcess, notebook: dict[str, Any]) -> None:
        self.server = server
        self._cells = [each for each in notebook["cells"] if each["cell_type"] == "code"]

    def outputs(self) -> Iterator[dict[str, Any]]:
        """Of every cell."""
        for cell in self._cells:
            yield from cell["outputs"]

    def shown(self, cell_id: str) -> str:
        """What a cell printed, and its tables as HTML."""
        (cell,) = (each for each in self._cells if each["id"] == cell_id)
        texts = [each.get("text") or each.get("data", {}).get("text/html", "") for each in cell["outputs"]]
        return "".join(map("".join, texts))

    def rows(self, cell_id: str) -> list[list[str]]:
        """The rows of a cell's table, without its header."""
        body = self.shown(cell_id).partition("<tbody>")[2]
        return [re.findall(r"<t[hd]>(.*?)</t[hd]>", row) for row in body.split("<tr>")[1:]]


@pytest.fixture(scope="module")
def executed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Executed]:
    if not (SDK / "bin" / "jupyter-execute").exists():
        pytest.skip("the environment .sdks/v2 is not there: make test makes it")
    folder = tmp_path_factory.mktemp("notebook")
    with ServerProcess(folder / "home") as server:
        port = server.address.rpartition(":")[2]
        variables = clean_environment(server.home, ZEROSTART_PORT=port) | {"HOME": str(folder)}
        subprocess.run([*_ZEROSTART, "notebook", str(folder)], env=variables, check=True)
        jupyter = [str(SDK / "bin" / "jupyter-execute"), "--timeout=500", "--output=done", FILE_NAME]
        command = [*_ZEROSTART, "run", "--only-aws", "--", *jupyter]
        done = subprocess.run(command, env=variables, cwd=folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-4000:]
        yield Executed(server, json.loads((folder / "done.ipynb").read_text()))


pytestmark = [pytest.mark.slow, pytest.mark.timeout(TIMEOUT_S)]


def test_it_runs_through_and_reports_what_is_better_than_guessing(executed: Executed) -> None:
    assert [each for each in executed.outputs() if each["output_type"] == "error"] == []
    report = executed.shown("classification-report")
    accuracy = re.search(r"accuracy +(\d\.\d+) +(\d+)", report)
    assert accuracy is not None, report
    assert float(accuracy[1]) > 0.25  # the most frequent of the ten categories would give 0.12
    assert int(accuracy[2]) == len(executed.server.s3().get_object(**DATA)["Body"].read().splitlines()) - 1


def test_its_plots_are_drawn(executed: Executed) -> None:
    drawn = [each["data"]["image/png"] for each in executed.outputs() if "image/png" in each.get("data", {})]
    pictures = [base64.b64decode(each) for each in drawn]
    assert len(pictures) == 5
    assert all(each.startswith(b"\x89PNG") and len(each) > 5_000 for each in pictures)


def test_real_time_answers_are_sensible(executed: Executed) -> None:
    labels = [row[2] for row in executed.rows("several-texts")]
    assert labels[1:3] == ["finance", "family, friends and relationships"]
    assert "health and fitness" in executed.rows("multi-label")[0][2]


def test_the_model_judges_the_pairs_of_the_literature_as_people_do(executed: Executed) -> None:
    scores = {judgement: float(score) for _, _, _, judgement, score in executed.rows("pairs")}
    assert scores["entailment"] > 0.8
    assert scores["contradiction"] < 0.2


def test_it_leaves_nothing(executed: Executed) -> None:
    assert {row[1] for row in executed.rows("left")} == {"0"}
    client = executed.server.sagemaker()
    assert client.list_endpoints()["Endpoints"] == []
    assert client.list_endpoint_configs()["EndpointConfigs"] == []
    assert client.list_models()["Models"] == []
    assert executed.server.s3().list_buckets()["Buckets"] == []
    (job,) = client.list_transform_jobs()["TransformJobSummaries"]
    assert job["TransformJobStatus"] == "Completed"
