"""`zerostart decide` as a user types it: in a process of its own, and through a real server."""

import json
from pathlib import Path

import pytest

from tests.cli.test_cli import refused, run
from tests.processes import BUILTIN, ServerProcess

TEXT = "I was charged twice, please refund the second payment."
TEAM = "Which team should answer?=billing: invoices, refunds; technical: errors, outages; sales"
ASKED = ["--predicate", "The customer wants a refund.", "--choice", TEAM, "--score", "How happy?=angry,neutral,happy"]


def test_a_table_for_people_in_the_order_of_the_questions(home: Path) -> None:
    done = run(home, "decide", TEXT, *ASKED, "--choice", "Which language?=English,French")
    assert done.returncode == 0, done
    places = [done.stdout.index(each) for each in ("The customer wants", "Which team", "How happy?", "Which language?")]
    assert places == sorted(places)
    lines = {line.split("│")[2].strip(): line for line in done.stdout.splitlines() if line.count("│") == 5}
    assert float(lines["true"].split("│")[3]) > 0.5
    assert list(lines).index("billing") < list(lines).index("technical")  # the likeliest first
    assert list(lines).index("angry") < list(lines).index("neutral") < list(lines).index("happy")  # a scale stays
    assert "confidence 0." in done.stdout
    assert "from 0 to 2" in done.stdout
    assert "█" in lines["billing"]


def test_the_same_document_from_a_model_here_and_from_an_endpoint(home: Path, shared_server: ServerProcess) -> None:
    here = run(home, "decide", TEXT, *ASKED, "--json")
    there = run(shared_server.home, "decide", TEXT, *ASKED, "--json", "--endpoint", "shared")
    document = json.loads(here.stdout)
    assert [each["type"] for each in document["answers"]] == ["predicate", "choice", "score"]
    assert document["answers"][1]["choice"] == "billing"
    assert [each["value"] for each in document["answers"][1]["probabilities"]] == ["billing", "technical", "sales"]
    assert document["model"] == BUILTIN
    assert document["usage"]["input_tokens"] > 50
    assert json.loads(there.stdout) == document


def test_an_endpoint_answers_in_a_table_too(shared_server: ServerProcess) -> None:
    done = run(shared_server.home, "decide", TEXT, *ASKED, "--endpoint", "shared")
    assert done.stdout.index("billing") < done.stdout.index("technical")


def test_a_text_comes_from_standard_input_or_a_file(shared_server: ServerProcess, tmp_path: Path) -> None:
    file = tmp_path / "mail.txt"
    file.write_text(f"{TEXT}\nSincerely\n")
    options = [*ASKED, "--json", "--endpoint", "shared"]
    piped = run(shared_server.home, "decide", "-", *options, stdin=file.read_text())
    assert json.loads(piped.stdout)["answers"][1]["choice"] == "billing"
    assert run(shared_server.home, "decide", "--file", str(file), *options).stdout == piped.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["a text"], '--choice "Which team?=billing,technical,sales"'),
        (["a text", "--choice", "Which team?"], "--choice 'Which team?': it has no options: write the question, ="),
        (["a text", "--choice", "Team?=billing"], "--choice 'Team?=billing': 'billing' alone is no choice"),
        (["a text", "--score", "Hot?=no,no"], "--score 'Hot?=no,no': 'no' is there twice"),
        (["a text", "--predicate", " "], "--predicate ' ': it is blank: write a statement"),
        (["--predicate", "It is red."], "Give one text: as an argument, as - for standard input"),
        (["a text", "--file", "mail.txt", "--predicate", "It is red."], "Give one text: as an argument"),
        (["  ", "--predicate", "It is red."], "send a text that is not blank"),
        (["--file", "missing.txt", "--predicate", "It is red."], "missing.txt cannot be read"),
        (["a text", "--predicate", "It is red.", "--model", "no-such"], "no-such"),
        (["a text", "--predicate", "It is red.", "--model", "a", "--endpoint", "b"], "exclude each other"),
        (["a text", "--predicate", "It is red.", "--endpoint", "b"], "start the server once"),
    ],
)
def test_what_is_wrong_is_said_with_what_to_do(home: Path, arguments: list[str], said: str) -> None:
    assert said in refused(home, "decide", *arguments)


def test_a_file_that_is_no_text_is_refused(home: Path, tmp_path: Path) -> None:
    (tmp_path / "picture.png").write_bytes(b"\x89PNG")
    said = refused(home, "decide", "--file", str(tmp_path / "picture.png"), "--predicate", "It is red.")
    assert "picture.png is not UTF-8 at byte 0" in said


def test_the_servers_own_words_are_passed_on(shared_server: ServerProcess) -> None:
    said = refused(shared_server.home, "decide", "a text", "--predicate", "It is red.", "--endpoint", "missing")
    assert "'missing' is neither an endpoint nor a model that is deployed on one. There are: shared" in said


def test_a_server_that_is_gone_is_said(shared_server: ServerProcess) -> None:
    asked = ["decide", "a text", "--predicate", "It is red.", "--endpoint", "shared"]
    done = run(shared_server.home, *asked, AWS_ENDPOINT_URL="http://127.0.0.1:9")
    assert (done.returncode, done.stderr) == (
        1,
        "zerostart: No server answers on http://127.0.0.1:9: run zerostart serve\n",
    )
