"""TypeSafe's form, POST /v1/systemone, as the wire schemas of typesafe-sdk 0.7 have it.

https://docs.typesafe.ai

`noul` is a predicate, `choice` and `score` are what they are called. A noul whose outcomes are described is the choice
between them; one that describes the true outcome alone states it. `box`, and `assets`, are about images: they are
refused, since this form has no answer that says so. What is wrong is told as 422, with the way to it.
"""

from collections.abc import Mapping
from typing import Any

from zerostart.errors import InvalidInput
from zerostart.nli.labels import describe
from zerostart.nli.question import Answer, Option, Question
from zerostart.server.decisions.premise import text_of
from zerostart.server.decisions.request import AskedQuestion, DecisionRequest, Form
from zerostart.services.decision import Decisions
from zerostart.serving.questions import MAX_OPTIONS, MAX_QUESTIONS
from zerostart.serving.strict_json import InvalidMember, Members, Path, check_count, named, text

_KINDS = ("noul", "choice", "score", "box")
_TYPES = {"missing": "missing", "unknown": "extra_forbidden", "invalid": "value_error"}
_TRUE, _FALSE = "true", "false"


def read_request(document: Any) -> DecisionRequest:
    """The request in a parsed body. Raises InvalidMember."""
    members = Members(document)
    model = members.text("model")
    state = text(text_of(members.required("state"), ("state",)), ("state",))
    questions = members.required("questions")
    if members.take("assets") is not None:
        raise InvalidMember(("assets",), "'assets' are images, which a text model cannot read: leave them out.")
    members.close()
    if not isinstance(questions, Mapping):
        raise InvalidMember(("questions",), f"'questions' is {describe(questions)}: send an object.", value=questions)
    check_count(len(questions), ("questions",), 1, MAX_QUESTIONS)
    return DecisionRequest(model, state, tuple(_question(name, each) for name, each in questions.items()))


def write_answers(request: DecisionRequest, decisions: Decisions) -> Mapping[str, Any]:
    """The answers by the names of the questions."""
    both = zip(request.asked, decisions.answers, strict=True)
    return {
        "model": decisions.model_id,
        "answers": {asked.name: _answer(asked, answer) for asked, answer in both},
        "usage": {"input_tokens": decisions.input_tokens, "output_tokens": 0},
    }


def write_error(error: Exception, status: int, message: str) -> tuple[int, Mapping[str, Any]]:
    """Status and body of an error."""
    if not isinstance(error, InvalidInput):
        return status, {"detail": message}
    path: Path = error.path if isinstance(error, InvalidMember) else ()
    kind = _TYPES[error.wrong] if isinstance(error, InvalidMember) else "value_error"
    value = error.value if isinstance(error, InvalidMember) else None
    loc = ["body", *(step if isinstance(step, int) else step.encode("utf-8", "replace").decode() for step in path)]
    shown = value if isinstance(value, int | float | bool) or value is None else describe(value)
    return 422, {"detail": [{"loc": loc, "msg": message, "type": kind, "input": shown}]}


def _question(name: str, value: Any) -> AskedQuestion:
    text(name, ("questions",), blank=True)
    path = ("questions", name)
    members = Members(value, path)
    kind = members.one_of("type", _KINDS)
    if kind == "box":
        message = f"{named(path)} is a box, which is a place in an image: a text model answers noul, choice and score."
        raise InvalidMember((*path, "type"), message, value=kind)
    given = members.take("instructions")
    instructions = "" if given is None else text_of(given, (*path, "instructions"))
    criteria = members.take("criteria") if kind == "noul" else members.required("criteria")
    members.close()
    if kind == "noul":
        return AskedQuestion(name, _noul(instructions, criteria, path))
    if kind == "choice":
        return AskedQuestion(name, Question("choice", instructions, _choices(criteria, (*path, "criteria"))))
    levels = _levels(criteria, (*path, "criteria"))
    return AskedQuestion(name, Question("score", instructions, levels), tuple(criteria))


def _noul(instructions: str, criteria: Any, path: Path) -> Question:
    """A predicate, or the choice between two outcomes that are described."""
    members = Members({} if criteria is None else criteria, (*path, "criteria"))
    outcomes = {name: _described(members.take(name), (*path, "criteria", name)) for name in (_TRUE, _FALSE)}
    members.close()
    if outcomes[_FALSE] is None:
        statement = outcomes[_TRUE] or instructions
        if not statement.strip():
            message = f"{named(path)} has neither instructions nor a described outcome: send one of them."
            raise InvalidMember(path, message, "missing")
        return Question("predicate", statement)
    return Question("choice", instructions, tuple(Option(name, each, boolean=True) for name, each in outcomes.items()))


def _choices(criteria: Any, path: Path) -> tuple[Option, ...]:
    if not isinstance(criteria, Mapping):
        raise InvalidMember(
            path, f"{named(path)} is {describe(criteria)}: send an object of label: description or null."
        )
    check_count(len(criteria), path, 1, MAX_OPTIONS)
    return tuple(Option(text(name, path), _described(each, (*path, name))) for name, each in criteria.items())


def _levels(criteria: Any, path: Path) -> tuple[Option, ...]:
    if not isinstance(criteria, list):
        raise InvalidMember(path, f"{named(path)} is {describe(criteria)}: send an array of descriptions.")
    check_count(len(criteria), path, 1, MAX_OPTIONS)
    levels = (text(text_of(each, (*path, place)), (*path, place)) for place, each in enumerate(criteria))
    return tuple(Option(level) for level in levels)


def _described(value: Any, path: Path) -> str | None:
    described = None if value is None else text_of(value, path)
    return described if described and described.strip() else None


def _answer(asked: AskedQuestion, answer: Answer) -> Mapping[str, Any]:
    question, probabilities = answer.question, answer.probabilities
    if question.kind == "predicate" or question.options[0].boolean:
        return {"type": "noul", "noul": probabilities[0]}
    if question.kind == "choice":
        return {
            "type": "choice",
            "choice": answer.likeliest.name,
            "confidence": answer.confidence,
            "probabilities": {option.name: each for option, each in zip(question.options, probabilities, strict=True)},
        }
    return {
        "type": "score",
        "score": answer.expected_level,
        "confidence": answer.confidence,
        "legend": {str(place): level for place, level in enumerate(asked.levels)},
        "probabilities": {str(place): each for place, each in enumerate(probabilities)},
    }


TYPESAFE = Form("SystemOne", "x-typesafe-request-id", read_request, write_answers, write_error)
