"""The documentation says what the code says."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from zerostart.nli.question import Question
from zerostart.nli.typed_question import typed_options
from zerostart.nli.wording import hypotheses
from zerostart.server.aws.control_plane import AUTOSCALING_OPERATIONS, LOG_OPERATIONS, OPERATIONS
from zerostart.server.aws.query import OPERATIONS as QUERY_OPERATIONS
from zerostart.server.aws.service_model import service_model
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
    assert [name for name in (*OPERATIONS, *AUTOSCALING_OPERATIONS) if name not in page] == []


def _parameter_sections() -> dict[str, dict[str, str]]:
    """What the tables under "Parameters" say of each parameter, by operation or shape."""
    page = (DOCS / "sagemaker.md").read_text("utf-8").partition("## Parameters")[2].partition("\n## ")[0]
    sections: dict[str, dict[str, str]] = {}
    for section in page.split("\n### ")[1:]:
        heading, _, table = section.partition("\n")
        rows = [line.split("|") for line in table.splitlines() if line.startswith("| `")]
        said = {name.strip(" `"): row[2].strip() for row in rows for name in row[1].split(",")}
        sections |= {name.strip(): said for name in heading.split(",")}
    return sections


def _all_parameters() -> list[tuple[str, set[str]]]:
    served = {
        "sagemaker": OPERATIONS,
        "application-autoscaling": AUTOSCALING_OPERATIONS,
        "logs": LOG_OPERATIONS,
        **QUERY_OPERATIONS,
    }
    served["sagemaker-runtime"] = ("InvokeEndpoint", "InvokeEndpointAsync")
    found = []
    for service, names in served.items():
        for name in names:
            shape: Any = service_model(service).operation_model(name).input_shape
            found.append((name, set(shape.members) if shape else set()))
    for name in ("ContainerDefinition", "ProductionVariant", "AsyncInferenceConfig"):
        shape = service_model("sagemaker").shape_for(name)
        found.append((name, set(shape.members)))
    return found


@pytest.mark.parametrize(
    ("name", "parameters"), _all_parameters(), ids=lambda each: each if isinstance(each, str) else ""
)
def test_every_parameter_of_every_operation_is_in_a_table(name: str, parameters: set[str]) -> None:
    said = _parameter_sections()[name]
    assert parameters - said.keys() == set()
    assert {said[parameter] for parameter in parameters} <= {"acts", "ignored", "refused"}


def test_no_parameter_is_described_that_aws_has_not() -> None:
    known: dict[int, set[str]] = {}
    sections = _parameter_sections()
    for name, parameters in _all_parameters():
        known.setdefault(id(sections[name]), set()).update(parameters)
    assert {name for name, said in sections.items() if said.keys() - known[id(said)]} == set()


def test_hypotheses_are_as_they_are_described() -> None:
    page = (DOCS / "decisions-api.md").read_text("utf-8").partition("| question | option | hypothesis |\n")[2]
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in page.partition("\n\n")[0].splitlines()[1:]]
    assert len(rows) > 4
    for instructions, option, hypothesis in rows:
        question = Question("predicate", instructions)
        if option != "a predicate":
            question = Question("choice", instructions, typed_options(f"{option};another"))
        assert hypotheses(question)[0] == hypothesis


def test_every_decision_is_in_the_index() -> None:
    index = (DOCS / "decisions" / "README.md").read_text("utf-8")
    files = [path.name for path in (DOCS / "decisions").glob("0*.md")]
    assert len(files) >= 7
    assert [name for name in files if name not in index] == []
