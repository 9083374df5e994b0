"""TypeSafe's form: what is read of a request, what is refused with 422, and how answers are written."""

import json
from typing import Any

import pytest

from zerostart.errors import UnknownModel
from zerostart.nli.question import Answer, Option, Question
from zerostart.server.decisions.typesafe_form import read_request, write_answers, write_error
from zerostart.services.decision import Decisions
from zerostart.serving.strict_json import InvalidMember


def request(questions: Any = None, **more: Any) -> dict[str, Any]:
    asked = {"spam": {"type": "noul", "instructions": "Is it spam?"}} if questions is None else questions
    return {"model": "site", "state": "Buy now!", "questions": asked, **more}


def read_one(question: dict[str, Any]) -> Question:
    (found,) = read_request(request({"q": question})).questions
    return found


def test_state_and_instructions_may_be_json() -> None:
    read = read_request(request(state={"subject": "Offer", "body": ["Buy", "now"]}))
    assert read.text == "subject: Offer\nbody: Buy, now"
    assert read_one({"type": "noul", "instructions": {"task": "It is spam."}}).instructions == "task: It is spam."


def test_a_noul_is_a_predicate_unless_its_false_outcome_is_described() -> None:
    assert read_one({"type": "noul", "instructions": "Is it spam?"}) == Question("predicate", "Is it spam?")
    described = {"type": "noul", "instructions": "Is it spam?", "criteria": {"true": "It sells.", "false": None}}
    assert read_one(described) == Question("predicate", "It sells.")
    both = {"type": "noul", "instructions": "Is it spam?", "criteria": {"true": "It sells.", "false": "It asks."}}
    options = (Option("true", "It sells.", boolean=True), Option("false", "It asks.", boolean=True))
    assert read_one(both) == Question("choice", "Is it spam?", options)


def test_choices_and_scores() -> None:
    choice = {"type": "choice", "criteria": {"calm": None, "angry": {"tone": "loud"}}}
    assert read_one(choice) == Question("choice", "", (Option("calm"), Option("angry", "tone: loud")))
    score = {"type": "score", "instructions": "How bad?", "criteria": ["fine", {"effect": "broken"}]}
    assert read_one(score) == Question("score", "How bad?", (Option("fine"), Option("effect: broken")))


@pytest.mark.parametrize(
    ("document", "loc", "kind", "says"),
    [
        ({"model": "m", "questions": {}}, ["state"], "missing", "is missing"),
        (request({}), ["questions"], "value_error", "has 0: send 1 to 400"),
        (request([]), ["questions"], "value_error", "send an object"),
        (request(state=" "), ["state"], "value_error", "not blank"),
        (request(assets={"a": {}}), ["assets"], "value_error", "a text model cannot read"),
        (request(seed=1), ["seed"], "extra_forbidden", "not known"),
        (request({"a": {"type": "box"}}), ["questions", "a", "type"], "value_error", "a place in an image"),
        (request({"a.b": {"type": "noul"}}), ["questions", "a.b"], "missing", "neither instructions nor"),
        (
            request({"a": {"type": "noul", "instructions": "x", "level": 1}}),
            ["questions", "a", "level"],
            "extra_forbidden",
            "",
        ),
        (request({"a": {"type": "choice"}}), ["questions", "a", "criteria"], "missing", "is missing"),
        (request({"a": {"type": "choice", "criteria": {}}}), ["questions", "a", "criteria"], "value_error", "1 to 255"),
        (request({"a": {"type": "score", "criteria": "x"}}), ["questions", "a", "criteria"], "value_error", "an array"),
        (
            request({"a": {"type": "score", "criteria": ["x", 3]}}),
            ["questions", "a", "criteria", 1],
            "value_error",
            "3",
        ),
    ],
)
def test_what_is_wrong_is_told_with_its_place(document: Any, loc: list[Any], kind: str, says: str) -> None:
    with pytest.raises(InvalidMember) as caught:
        read_request(document)
    status, body = write_error(caught.value, 400, str(caught.value))
    (detail,) = body["detail"]
    assert (status, detail["loc"], detail["type"]) == (422, ["body", *loc], kind)
    assert says in detail["msg"]
    json.dumps(body)


def test_answers_are_written_by_name() -> None:
    questions = {
        "spam": {"type": "noul", "instructions": "Is it spam?"},
        "sells": {"type": "noul", "criteria": {"true": "It sells.", "false": "It asks."}},
        "tone": {"type": "choice", "criteria": {"calm": None, "angry": None}},
        "bad": {"type": "score", "criteria": ["fine", {"effect": "broken"}]},
    }
    read = read_request(request(questions))
    given = ((0.8,), (0.6, 0.4), (0.3, 0.7), (0.5, 0.5))
    answers = tuple(Answer(question, each) for question, each in zip(read.questions, given, strict=True))
    found = write_answers(read, Decisions("small", answers, 31, "AllTraffic", 0.1))
    assert found == {
        "model": "small",
        "answers": {
            "spam": {"type": "noul", "noul": 0.8},
            "sells": {"type": "noul", "noul": 0.6},
            "tone": {
                "type": "choice",
                "choice": "angry",
                "confidence": pytest.approx(0.4),
                "probabilities": {"calm": 0.3, "angry": 0.7},
            },
            "bad": {
                "type": "score",
                "score": 0.5,
                "confidence": 0.0,
                "legend": {"0": "fine", "1": {"effect": "broken"}},
                "probabilities": {"0": 0.5, "1": 0.5},
            },
        },
        "usage": {"input_tokens": 31, "output_tokens": 0},
    }


def test_other_errors_have_a_detail_in_words() -> None:
    assert write_error(UnknownModel("none"), 404, "none") == (404, {"detail": "none"})
