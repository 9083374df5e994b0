"""The real SDKs, unmodified, in environments of their own, under `zerostart run`.

The SDKs wait half a minute in every deployment, so all flows run at once against one server.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.processes import BUILTIN, ServerProcess, clean_environment
from zerostart.models.catalogue import jumpstart_models

FOLDER = Path(__file__).parent
SDKS = FOLDER.parents[1] / ".sdks"
FLOWS: dict[str, tuple[str, ...]] = {
    "v2_metadata": ("v2", "v2_metadata.py"),
    "v2_jumpstart": ("v2", "v2_jumpstart.py", "--role"),
    "v2_jumpstart_without_role": ("v2", "v2_jumpstart.py"),
    "v2_huggingface": ("v2", "v2_huggingface.py"),
    "v2_notebook": ("v2", "v2_notebook.py"),
    "v2_serverless_and_update": ("v2", "v2_serverless_and_update.py"),
    "v2_transform": ("v2", "v2_transform.py"),
    "v2_async": ("v2", "v2_async.py"),
    "v3_builder": ("v3", "v3_builder.py"),
    "v3_resources": ("v3", "v3_resources.py"),
    "v3_transform": ("v3", "v3_transform.py"),
    "cli": ("cli", "cli.sh"),
}
TIMEOUT_S = 400
# Every Python program of the flows, the server and `zerostart run` write down where they connect and what they resolve.
AUDIT = """
import os, sys

def audit(event, arguments):
    if event in {"socket.connect", "socket.sendto", "socket.getaddrinfo"} and "CONNECTIONS" in os.environ:
        target = arguments[0] if event == "socket.getaddrinfo" else arguments[1]
        host = target[0] if isinstance(target, tuple) else target
        if event == "socket.getaddrinfo" or isinstance(target, tuple):
            with open(os.environ["CONNECTIONS"], "a") as file:
                file.write(f"{host}\\n")

sys.addaudithook(audit)
"""


def audited(folder: Path) -> dict[str, str]:
    """The environment in which programs write the hosts that they connect to in a file of the folder."""
    (folder / "audit").mkdir(parents=True, exist_ok=True)
    (folder / "audit" / "sitecustomize.py").write_text(AUDIT)
    return {"PYTHONPATH": str(folder / "audit"), "CONNECTIONS": str(folder / "connections")}


class Flows:
    """Every flow, started; `output` waits for one."""

    def __init__(self, server: ServerProcess, folder: Path) -> None:
        self.server = server
        self._folder = folder
        self._running = {name: self._started(name) for name in FLOWS if (SDKS / FLOWS[name][0] / ".installed").exists()}

    def _started(self, name: str) -> "subprocess.Popen[bytes]":
        environment, script, *arguments = FLOWS[name]
        binaries = SDKS / environment / "bin"
        own = ["sh", str(FOLDER / "flows" / script), str(binaries / "aws")]
        if script.endswith(".py"):
            own = [str(binaries / "python"), str(FOLDER / "flows" / script), *arguments]
        home = self._folder / name
        home.mkdir()
        variables = clean_environment(self.server.home) | {"HOME": str(home)}
        variables |= audited(home)
        variables |= {"ZEROSTART_PORT": self.server.address.rpartition(":")[2], "TMPDIR": str(home)}
        command = [sys.executable, "-m", "zerostart", "run", "--only-aws", "--", *own]
        with (home / "output").open("wb") as output, (home / "errors").open("wb") as errors:
            return subprocess.Popen(command, env=variables, stdout=output, stderr=errors, cwd=home)

    def output(self, name: str) -> str:
        """What a flow printed; fails with its last words if it failed."""
        if name not in self._running:
            pytest.skip(f"the environment .sdks/{FLOWS[name][0]} is not there: make test makes it")
        code = self._running[name].wait(TIMEOUT_S)
        errors, output = ((self._folder / name / each).read_text() for each in ("errors", "output"))
        assert code == 0, errors[-4000:] + output[-4000:]  # tracebacks of the SDK go to standard output
        return output

    def stop(self) -> None:
        for process in self._running.values():
            process.kill()
            process.wait()


@pytest.fixture(scope="module")
def flows(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flows]:
    folder = tmp_path_factory.mktemp("flows")
    settings = {"ZEROSTART_MAX_INSTANCES": "30", "ZEROSTART_THREADS": "1", **audited(folder / "server")}
    with ServerProcess(folder / "home", **settings) as server:
        started = Flows(server, folder)
        yield started
        started.stop()


def document(output: str) -> Any:
    """The JSON object on the last line; SDKs draw progress before it."""
    line = output.strip().splitlines()[-1]
    return json.loads(line[line.index("{") :])


pytestmark = [pytest.mark.slow, pytest.mark.timeout(TIMEOUT_S + 20)]


def test_v2_reads_jumpstarts_metadata(flows: Flows) -> None:
    found = document(flows.output("v2_metadata"))
    assert sorted(found["ids"]) == [name.id for name, _ in jumpstart_models()]
    assert {BUILTIN, "huggingface-zstc-facebook-bart-large-mnli"} <= set(found["ids"])
    assert found["instance_type"] == "ml.m5.xlarge"
    assert found["artefact"].startswith("s3://jumpstart-cache-prod-us-east-1/")
    assert "Invalid model ID: 'no-zstc-such'" in found["unknown"]
    assert found["example"]["candidate_labels"]


@pytest.mark.parametrize("name", ["v2_jumpstart", "v2_jumpstart_without_role"])
def test_v2_deploys_a_jumpstart_model_attaches_and_deletes(flows: Flows, name: str) -> None:
    found = document(flows.output(name))
    assert found["answer"]["labels"][0] == "travel"
    assert found["answer"] == found["attached"]
    names = [each["EndpointName"] for each in flows.server.sagemaker().list_endpoints(MaxResults=100)["Endpoints"]]
    assert found["endpoint"] not in names


def test_v2_deploys_a_hugging_face_model(flows: Flows) -> None:
    assert document(flows.output("v2_huggingface"))["answer"]["labels"][0] == "travel"


def test_v2_runs_the_notebook_with_roles_buckets_and_a_repacked_model(flows: Flows) -> None:
    found = document(flows.output("v2_notebook"))
    assert found["answer"]["labels"][0] == "travel"
    assert found["role"] == "arn:aws:iam::000000000000:role/zerostart"
    assert (found["bucket"], found["note"]) == ("sagemaker-us-east-1-000000000000", "some text")
    assert found["labels"] == [
        *("Career", "Education", "Finance", "Health", "Humor"),
        *("Leisure", "Personal Growth", "Philanthropy", "Time Management"),
    ]
    assert found["accuracy"] > 0.2  # nine labels: 0.11 by chance


def test_v2_deploys_serverless_and_updates(flows: Flows) -> None:
    found = document(flows.output("v2_serverless_and_update"))
    assert found["answer"]["labels"][0] == found["updated"]["labels"][0] == "travel"
    assert found["count"] == 2


def test_v2_transforms_with_and_without_logs(flows: Flows) -> None:
    output = flows.output("v2_transform")
    found = document(output)
    assert (found["count"], found["same"]) == (20, True)
    assert found["answer"]["labels"][0] == "travel"
    assert "records" in output  # a worker's log


def test_v2_deploys_asynchronously_and_waits_for_the_result(flows: Flows) -> None:
    found = document(flows.output("v2_async"))
    assert found["answer"]["labels"][0] == "travel"
    assert found["output"].startswith("s3://sagemaker-us-east-1-000000000000/async-endpoint-outputs/")


@pytest.mark.parametrize("name", ["v3_builder", "v3_resources"])
def test_v3(flows: Flows, name: str) -> None:
    assert document(flows.output(name))["answer"]["labels"][0] == "travel"


def test_v3_transforms(flows: Flows) -> None:
    output = flows.output("v3_transform")
    found = document(output)
    assert (found["count"], found["answer"]["labels"][0]) == (20, "travel")


def test_the_aws_cli(flows: Flows) -> None:
    output = flows.output("cli")
    assert "upload: " in output
    assert "000000000000\n" in output
    assert "arn:aws:iam::000000000000:role/zerostart\n" in output
    assert "InService\n" in output
    assert '"labels":["travel","cooking"]' in output
    assert "/aws/sagemaker/Endpoints/cli" in output
    assert "zerostart-zstc-small takes invocations" in output
    assert 'transformed: {"sequence":"one day I will see the world","labels":["travel","cooking"]' in output


def test_no_program_tries_to_reach_another_host_than_this_one(flows: Flows) -> None:
    """Neither AWS nor any telemetry: SDKs resolve and connect to loopback alone, and so do server and proxy."""
    for name in FLOWS:
        flows.output(name)
        hosts = set((flows._folder / name / "connections").read_text().split())
        assert "127.0.0.1" in hosts
        assert hosts <= {"127.0.0.1", "localhost", "::1"}, (name, hosts)
    connections = flows._folder / "server" / "connections"
    assert not connections.exists() or set(connections.read_text().split()) <= {"127.0.0.1", "localhost"}


def test_flows_leave_nothing_in_the_users_home(flows: Flows) -> None:
    for name in FLOWS:
        flows.output(name)
        left = {path.name for path in (flows._folder / name).iterdir()} - {"output", "errors", "audit", "connections"}
        assert not {".aws", ".zerostart"} & left, (name, left)
