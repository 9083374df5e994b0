"""The code that the pages show runs as it is shown."""

import html
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlencode

import pytest

from tests.processes import BUILTIN, ServerProcess, clean_environment, wait_for
from tests.server.web.conftest import Visitor
from zerostart.nli.question import Option, Question
from zerostart.server.web.decide_snippets import decide_snippets
from zerostart.server.web.snippets import model_snippets

SDKS = Path(__file__).parents[3] / ".sdks"
LABELS = re.compile(r"""["']labels["']: ?\[["']travel""")


def snippets(page: str) -> dict[str, str]:
    found = re.findall(r'aria-label="([^"]+)"><code>(.*?)</code>', page, re.DOTALL)
    return {html.unescape(name): html.unescape(code) for name, code in found}


def run(server: ServerProcess, name: str, code: str, folder: Path) -> str:
    """What a snippet prints when it is pasted; Python's after what its first line says to do."""
    return printed_by(started(server, name, code, folder))


def started(server: ServerProcess, name: str, code: str, folder: Path) -> "subprocess.Popen[str]":
    """A snippet that runs, in a folder and with a home of its own."""
    shell = name in {"Command line", "curl", "AWS CLI"}
    file = folder / ("snippet.sh" if shell else "ask.py")
    file.write_text(code)
    python = SDKS / "decisions" / "bin" / "python" if name == "openai" else sys.executable
    command = ["bash", "-euc", f'eval "$(zerostart env)"; exec {python} {file}']
    if shell:
        command = ["bash", "-eu", str(file)]
    if name == "SageMaker Python SDK":
        command = ["zerostart", "run", "--", str(SDKS / "v2" / "bin" / "python"), str(file)]
    path = os.pathsep.join([str(SDKS / "cli" / "bin"), str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = clean_environment(server.home, PATH=path, HOME=str(folder))
    return subprocess.Popen(
        command, env=environment, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def printed_by(process: "subprocess.Popen[str]") -> str:
    """What it printed; fails with what it complained of."""
    with process:
        output, complaints = process.communicate(timeout=150)
    assert process.returncode == 0, complaints
    return output


def skip_without(name: str) -> None:
    """Where the program that a snippet is for is not installed."""
    environment = {"SageMaker Python SDK": "v2", "AWS CLI": "cli", "openai": "decisions"}.get(name)
    if environment and not (SDKS / environment / ".installed").exists():
        pytest.skip(f"the environment .sdks/{environment} is not there: make test makes it")


@pytest.mark.parametrize("name", ["boto3", "Command line", "Python, without a server", "curl"])
def test_a_models_code_deploys_and_asks_it(admin: Visitor, name: str, tmp_path: Path) -> None:
    admin.open(f"/hub/models/{BUILTIN}")
    found = snippets(admin.page)
    assert len(found) == 6
    try:
        printed = run(admin.server, name, found[name], tmp_path)
        assert LABELS.search(printed), printed
    finally:
        if "without a server" not in name:
            admin.server.delete(BUILTIN)
            wait_for(lambda: admin.open(f"/endpoints/{BUILTIN}").status_code == 404, 60)


@pytest.mark.slow
def test_a_models_code_for_the_clients_of_aws_deploys_and_asks_it(shared_server: ServerProcess, tmp_path: Path) -> None:
    """All at once, since each waits for half a minute; `jumpstart` names the model by its JumpStart id."""
    runs = [("SageMaker Python SDK", BUILTIN), ("SageMaker Python SDK", None), ("AWS CLI", None)]
    for name, _ in runs:  # before any of them is started
        skip_without(name)
    running = {}
    for number, (name, jumpstart_id) in enumerate(runs):
        endpoint, folder = f"snippet-{number}", tmp_path / str(number)
        folder.mkdir()
        shown = model_snippets(BUILTIN, jumpstart_id, endpoint, "ml.m5.xlarge", "us-east-1")
        code = next(each.code for each in shown if each.name == name)
        running[endpoint] = started(shared_server, name, code, folder)
    printed = {endpoint: printed_by(process) for endpoint, process in running.items()}
    for endpoint, output in printed.items():
        assert LABELS.search(output), output
        delete_all_of(shared_server, endpoint)


def delete_all_of(server: ServerProcess, endpoint: str) -> None:
    """An endpoint, its config and its model, which the SDK names as it likes."""
    client = server.sagemaker()
    config = client.describe_endpoint(EndpointName=endpoint)["EndpointConfigName"]
    model = client.describe_endpoint_config(EndpointConfigName=config)["ProductionVariants"][0]["ModelName"]
    client.delete_endpoint(EndpointName=endpoint)
    client.delete_endpoint_config(EndpointConfigName=config)
    client.delete_model(ModelName=model)
    client.get_waiter("endpoint_deleted").wait(EndpointName=endpoint, WaiterConfig={"Delay": 1, "MaxAttempts": 60})


def test_a_models_page_shows_that_code(admin: Visitor) -> None:
    admin.open(f"/hub/models/{BUILTIN}")
    shown = model_snippets(BUILTIN, BUILTIN, BUILTIN, "ml.m5.xlarge", "us-east-1")
    assert snippets(admin.page) == {each.name: each.code for each in shown}


@pytest.mark.parametrize("name", ["boto3", "Command line", "curl", "SageMaker Python SDK", "AWS CLI"])
def test_an_endpoints_code_asks_it(admin: Visitor, name: str, tmp_path: Path) -> None:
    skip_without(name)
    admin.open("/endpoints/shared")
    printed = run(admin.server, name, snippets(admin.page)[name], tmp_path)
    assert LABELS.search(printed), printed


@pytest.mark.parametrize("name", ["openai", "curl", "Command line"])
def test_code_asks_what_was_asked_in_the_playground(admin: Visitor, name: str, tmp_path: Path) -> None:
    skip_without(name)
    asked = {
        "text": 'It\'s "broken", again:\nrefund me!',
        "kind-2": "predicate",
        "instructions-2": "It's $broken `now`.",
    }
    options = {"instructions-1": "Which team's?", "options-1": "billing: invoices, refunds\ntechnical's"}
    admin.open(f"/endpoints/shared/decide?{urlencode({**asked, **options})}")
    printed = run(admin.server, name, snippets(admin.page)[name], tmp_path)
    (told,) = re.findall(r"technical&#39;s</span>\s*<span class=\"score-value\">([0-9.]+)%", admin.page)
    if name == "Command line":
        assert re.search(rf"technical's *│ {float(told) / 100:.3f}", printed), printed
        return
    choice = json.loads(printed.splitlines()[0]) if name == "openai" else json.loads(printed)["answers"][0]
    probabilities = {each["value"]: each["probability"] for each in choice["probabilities"]}
    assert probabilities["technical's"] == pytest.approx(float(told) / 100, abs=0.0006)


def test_code_that_cannot_be_typed_is_not_shown() -> None:
    options = (Option("a: b", "c"), Option("d"))
    found = decide_snippets("http://127.0.0.1:1", "a", "text", [Question("choice", "Which?", options)])
    assert [each.name for each in found] == ["openai", "curl"]
    found = decide_snippets("http://127.0.0.1:1", "a", "-x", [Question("predicate", "It is so.")])
    assert [each.name for each in found] == ["openai", "curl"]
