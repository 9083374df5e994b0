"""OpenAI's form: what is read of a request, what is refused, and how answers and errors are written."""

import json
from typing import Any

import pytest

from zerostart.errors import NoInstance, Throttled, UnknownModel
from zerostart.nli.question import Answer, Option, Question
from zerostart.server.decisions.openai_form import read_request, write_answers, write_error
from zerostart.services.decision import Decisions
from zerostart.serving.strict_json import InvalidMember

CHOICE = {
    "type": "choice",
    "name": "team",
    "instructions": "Which team?",
    "choices": [{"value": "true"}, {"value": True, "description": "It is so."}, {"value": False, "description": " "}],
}
PREDICATE = {"type": "predicate", "instructions": [{"type": "input_text", "text": "It is late."}]}
SCORE = {"type": "score", "name": None, "instructions": "How bad?", "levels": [{"label": "low"}, {"label": "high"}]}
IMAGE = {"type": "input_image", "image_url": "https://example.org/a.png"}


def request(*questions: Any, **more: Any) -> dict[str, Any]:
    return {"model": "site", "input": "It broke.", "questions": list(questions), **more}


def test_a_request_is_read_with_its_order_names_and_types() -> None:
    more = {"prompt_cache_key": "k", "prompt_cache_options": {"ttl": "30m"}, "safety_identifier": None}
    read = read_request(request(CHOICE, PREDICATE, SCORE, **more))
    assert (read.model, read.text) == ("site", "It broke.")
    assert [each.name for each in read.asked] == ["team", None, None]
    options = (Option("true"), Option("true", "It is so.", boolean=True), Option("false", boolean=True))
    assert read.questions == (
        Question("choice", "Which team?", options),
        Question("predicate", "It is late."),
        Question("score", "How bad?", (Option("low"), Option("high"))),
    )


def choices(*values: Any) -> dict[str, Any]:
    return {**CHOICE, "choices": [{"value": value} for value in values]}


@pytest.mark.parametrize(
    ("document", "param", "code", "says"),
    [
        ([], None, "invalid_value", "send an object"),
        ({"input": "x", "questions": [CHOICE]}, "model", "missing_required_parameter", "'model' is missing"),
        ({"model": "m", "questions": [CHOICE]}, "input", "missing_required_parameter", "'input' is missing"),
        (request(), "questions", "invalid_value", "'questions' has 0: send 1 to 400"),
        (request(*[PREDICATE] * 401), "questions", "invalid_value", "'questions' has 401: send 1 to 400"),
        (request(CHOICE, temperature=1), "temperature", "unknown_parameter", "'temperature' is not known here"),
        (request({**CHOICE, "weight": 1}), "questions[0].weight", "unknown_parameter", "not known"),
        (request({"type": "box"}), "questions[0].type", "invalid_value", "'choice', 'predicate', 'score'"),
        (request({"type": "predicate"}), "questions[0].instructions", "missing_required_parameter", "is missing"),
        (request({**PREDICATE, "instructions": " "}), "questions[0].instructions", "invalid_value", "not blank"),
        (request({**PREDICATE, "choices": []}), "questions[0].choices", "unknown_parameter", "not known"),
        (request(choices("a")), "questions[0].choices", "invalid_value", "has 1: send 2 to 255"),
        (request(choices(*map(str, range(256)))), "questions[0].choices", "invalid_value", "has 256: send 2 to 255"),
        (request(choices("a", "b", "a")), "questions[0].choices[2]", "invalid_value", "'a' again"),
        (request(choices(True, True)), "questions[0].choices[1]", "invalid_value", "True again"),
        (request(choices("a", 1)), "questions[0].choices[1].value", "invalid_value", "the number 1: send a string"),
        (request(choices("a", "")), "questions[0].choices[1].value", "invalid_value", "not blank"),
        (request(CHOICE, {**SCORE, "levels": [{}]}), "questions[1].levels", "invalid_value", "send 2 to 255"),
        (request({**SCORE, "levels": [{"label": "a"}, "b"]}), "questions[0].levels[1]", "invalid_value", "an object"),
        (request({**PREDICATE, "name": 7}), "questions[0].name", "invalid_value", "the number 7"),
    ],
)
def test_what_is_wrong_is_told_with_its_param(document: Any, param: str | None, code: str, says: str) -> None:
    with pytest.raises(InvalidMember) as caught:
        read_request(document)
    status, body = write_error(caught.value, 400, str(caught.value))
    error = body["error"]
    assert (status, error["type"], error["param"], error["code"]) == (400, "invalid_request_error", param, code)
    assert says in error["message"]


def written(document: dict[str, Any], *answers: tuple[float, ...]) -> Any:
    read = read_request(document)
    given = tuple(Answer(question, each) for question, each in zip(read.questions, answers, strict=True))
    return json.loads(json.dumps(write_answers(read, Decisions("small", given, 31, "AllTraffic", 0.1))))


def test_answers_are_written_as_the_types_want_them() -> None:
    found = written(request(CHOICE, PREDICATE, SCORE), (0.2, 0.7, 0.1), (0.9,), (0.25, 0.75))
    assert found["answers"] == [
        {
            "type": "choice",
            "name": "team",
            "choice": True,
            "confidence": pytest.approx(0.5),
            "probabilities": [
                {"value": "true", "probability": 0.2},
                {"value": True, "probability": 0.7},
                {"value": False, "probability": 0.1},
            ],
        },
        {"type": "predicate", "name": None, "probability": 0.9},
        {
            "type": "score",
            "name": None,
            "score": 0.75,
            "confidence": 0.5,
            "probabilities": [
                {"label": "low", "value": 0, "probability": 0.25},
                {"label": "high", "value": 1, "probability": 0.75},
            ],
        },
    ]
    assert found["model"] == "small"
    assert found["usage"]["input_tokens"] == found["usage"]["total_tokens"] == 31


def test_an_image_refuses_the_questions_that_are_about_it() -> None:
    about = {**PREDICATE, "name": "seen", "instructions": [{"type": "input_text", "text": "It is red."}, IMAGE]}
    found = written(request(about, PREDICATE), (0.4,))
    assert found["answers"][0] == {"type": "refusal", "name": "seen"}
    assert found["answers"][1]["probability"] == 0.4
    seen = [{"role": "user", "content": [{"type": "input_text", "text": "See:"}, IMAGE]}]
    refused = written({**request(CHOICE, PREDICATE), "input": seen})
    assert refused["answers"] == [{"type": "refusal", "name": "team"}, {"type": "refusal", "name": None}]


@pytest.mark.parametrize(
    ("error", "status", "kind", "code"),
    [
        (UnknownModel("x"), 404, "invalid_request_error", "model_not_found"),
        (Throttled("x"), 429, "rate_limit_error", "rate_limit_exceeded"),
        (NoInstance("x"), 503, "server_error", "service_unavailable"),
        (RuntimeError("x"), 500, "server_error", "server_error"),
    ],
)
def test_errors_have_openais_types(error: Exception, status: int, kind: str, code: str) -> None:
    assert write_error(error, status, "words")[1]["error"] | {"param": None} == {
        "message": "words",
        "type": kind,
        "param": None,
        "code": code,
    }
