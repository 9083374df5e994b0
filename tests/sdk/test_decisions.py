"""The real clients of the Decisions API, unmodified, in an environment of their own."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.processes import BUILTIN, ServerProcess, clean_environment
from tests.sdk.test_flows import FOLDER, SDKS, audited

PYTHON = SDKS / "decisions" / "bin" / "python"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not (SDKS / "decisions" / ".installed").exists(), reason=".sdks/decisions is not there: make test makes it"
    ),
]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server with an endpoint `site`, and one, `narrow`, that takes one invocation at a time."""
    with ServerProcess(tmp_path_factory.mktemp("decisions") / "home") as process:
        process.deploy("site")
        process.create_config("narrow", MaxConcurrency=1, ProvisionedConcurrency=1)
        process.sagemaker().create_endpoint(EndpointName="narrow", EndpointConfigName="narrow")
        process.wait_in_service("narrow")
        yield process


def flow(name: str, server: ServerProcess, folder: Path) -> Any:
    """What a flow printed last; it must have connected to this machine alone."""
    key = server.keys.secret_access_key
    variables = clean_environment(server.home) | audited(folder) | {"HOME": str(folder)}
    variables |= {"OPENAI_BASE_URL": f"{server.address}/v1", "OPENAI_API_KEY": key}
    variables |= {"TYPESAFE_BASE_URL": server.address, "TYPESAFE_API_KEY": key}
    command = [str(PYTHON), str(FOLDER / "flows" / name)]
    done = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=150, check=False, cwd=folder)
    assert done.returncode == 0, done.stderr[-4000:]
    assert set((folder / "connections").read_text().split()) <= {"127.0.0.1", "localhost"}
    return json.loads(done.stdout.strip().splitlines()[-1])


def test_openai_asks_and_gets_its_types(server: ServerProcess, tmp_path: Path) -> None:
    found = flow("decisions_openai.py", server, tmp_path)
    team, complaint, angry, urgency = found["answers"]
    assert (team["name"], team["choice"], [each["value"] for each in team["probabilities"]]) == (
        *("team", "billing"),
        ["billing", "travel"],
    )
    assert complaint["name"] is None
    assert isinstance(complaint["choice"], bool)
    assert 0 <= angry["probability"] <= 1
    assert [each["value"] for each in urgency["probabilities"]] == [0, 1, 2]
    assert found["kinds"] == [
        *("AnswerAnswerResourceChoice", "AnswerAnswerResourceChoice"),
        *("AnswerAnswerResourcePredicate", "AnswerAnswerResourceScore"),
    ]
    assert found["model"] == BUILTIN
    assert found["usage"]["input_tokens"] > 60
    assert found["async"]
    assert found["again"]
    assert found["conversation"] == "billing"
    assert found["refused"] == [{"name": name, "type": "refusal"} for name in ("team", None, "angry", "urgency")]
    assert found["models"] == ["narrow", "site", BUILTIN]
    assert found["retrieved"] == "site"


def test_openai_raises_its_exceptions_and_retries(server: ServerProcess, tmp_path: Path) -> None:
    found = flow("decisions_openai.py", server, tmp_path)
    errors = found["errors"]
    assert (errors["field"]["type"], errors["field"]["param"]) == ("BadRequestError", "questions[0].choices")
    assert (errors["unknown"]["code"], errors["unknown"]["param"]) == ("unknown_parameter", "temperature")
    assert (errors["call"]["type"], errors["call"]["param"]) == ("BadRequestError", "input[0].call_id")
    assert (errors["model"]["type"], errors["model"]["code"]) == ("NotFoundError", "model_not_found")
    assert f"There are: narrow, site, {BUILTIN}" in errors["model"]["message"]
    assert (errors["key"]["type"], errors["key"]["code"]) == ("AuthenticationError", "invalid_api_key")
    assert sum(found["retries"]) > 0, "a call met 429, was sent again, and was answered"


def test_langchain_asks(server: ServerProcess, tmp_path: Path) -> None:
    found = flow("decisions_langchain.py", server, tmp_path)
    answers = found["answered"]["answers"]
    assert answers["team"]["choice"] == "billing"
    assert isinstance(answers["complaint"]["choice"], bool)
    assert answers["urgency"]["legend"] == {"0": "low", "1": "medium", "2": "high"}
    assert found["answered"]["model"] == BUILTIN
    assert found["message"]
    assert found["async"]
    assert found["batch"] == ["billing"] * 3
    assert found["conversation"] == "billing"
    assert found["state"] == found["refusals"] == ["angry", "complaint", "team", "urgency"]
    assert found["request_id"]


def test_typesafe_asks(server: ServerProcess, tmp_path: Path) -> None:
    found = flow("decisions_typesafe.py", server, tmp_path)
    answers = found["answers"]
    assert answers["team"]["choice"] == "billing"
    assert 0 <= answers["money"]["noul"] <= 1
    assert answers["urgency"]["legend"] == {"0": "low", "1": {"level": "high"}}
    assert found["model"] == BUILTIN
    assert found["async"]
    assert found["request_id"]
    assert found["compressed"] == found["plain"] > found["input_tokens"] > 60
    assert found["models"] == ["narrow", "site", BUILTIN]
    errors = found["errors"]
    assert (errors["box"]["type"], errors["box"]["status"]) == ("TypeSafeUnprocessableEntityError", 422)
    assert "questions.where.type: 'questions.where' is a box" in errors["box"]["message"]
    assert errors["state"]["status"] == 422
    assert errors["model"]["type"] == "TypeSafeNotFoundError"
    assert errors["key"]["type"] == "TypeSafeAuthenticationError"
