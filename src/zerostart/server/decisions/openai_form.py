"""OpenAI's form, POST /v1/decisions, as the types of openai-python 3.54 have it. A public beta: it may change, here.

https://developers.openai.com/api/docs/guides/decisions

An image is not read: it refuses the questions about it, `{"type": "refusal", "name"}`. `prompt_cache_key`,
`prompt_cache_options`, `prompt_cache_breakpoint` and `safety_identifier` are taken and mean nothing here. No token is
cached, and none is written: an answer is read off the model's scores.
"""

from collections.abc import Iterator, Mapping
from typing import Any, cast, get_args

from zerostart.errors import InvalidInput, NotFound, Overloaded
from zerostart.nli.question import Answer, Option, Question, QuestionKind
from zerostart.server.decisions.premise import instructions_of, premise_of
from zerostart.server.decisions.request import AskedQuestion, DecisionRequest, Form, UnknownAddress
from zerostart.services.authorisation import AccessDenied
from zerostart.services.decision import Decisions
from zerostart.serving.questions import MAX_OPTIONS, MAX_QUESTIONS, refuse_repeated
from zerostart.serving.strict_json import InvalidMember, Members, Path, shown, text

_IGNORED = ("prompt_cache_key", "prompt_cache_options", "safety_identifier")
_CODES = {"missing": "missing_required_parameter", "unknown": "unknown_parameter", "invalid": "invalid_value"}


def read_request(document: Any) -> DecisionRequest:
    """The request in a parsed body. Raises InvalidMember."""
    members = Members(document)
    model, given = members.text("model"), members.required("input")
    questions = members.array("questions", 1, MAX_QUESTIONS)
    for name in _IGNORED:
        members.take(name)
    members.close()
    premise = premise_of(given, ("input",))
    asked = tuple(_question(each, path, answerable=not premise.has_image) for path, each in questions)
    return DecisionRequest(model, premise.text, asked)


def write_answers(request: DecisionRequest, decisions: Decisions) -> Mapping[str, Any]:
    """The answers in the order of the questions. Every number follows from the request: nothing tells the time."""
    answers = iter(decisions.answers)
    return {
        "answers": [_answer(each, answers) for each in request.asked],
        "model": decisions.model_id,
        "usage": {
            "input_tokens": decisions.input_tokens,
            "input_tokens_details": {"cache_write_tokens": 0, "cached_tokens": 0},
            "output_tokens": 0,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": decisions.input_tokens,
        },
    }


def write_error(error: Exception, status: int, message: str) -> tuple[int, Mapping[str, Any]]:
    """Status and body of an error."""
    kind, code, param = "invalid_request_error", None, None
    if isinstance(error, InvalidMember):
        code, param = _CODES[error.wrong], shown(error.path) or None
    elif isinstance(error, InvalidInput):
        code = "invalid_request"
    elif isinstance(error, UnknownAddress):
        code = "unknown_url"
    elif isinstance(error, NotFound):
        code, param = "model_not_found", "model"
    elif isinstance(error, AccessDenied):
        code = "permission_denied"
    elif status == 401:
        code = "invalid_api_key"
    elif isinstance(error, Overloaded) and status == 429:
        kind, code = "rate_limit_error", "rate_limit_exceeded"
    else:
        kind, code = "server_error", "server_error" if status == 500 else "service_unavailable"
    return status, {"error": {"message": message, "type": kind, "param": param, "code": code}}


def _question(value: Any, path: Path, *, answerable: bool) -> AskedQuestion:
    members = Members(value, path)
    kind = members.one_of("type", get_args(QuestionKind))
    name = members.optional_text("name")
    instructions = instructions_of(members.required("instructions"), (*path, "instructions"))
    answerable = answerable and not instructions.has_image
    options: tuple[Option, ...] = ()
    if kind == "choice":
        options = tuple(_choice(each, where) for where, each in members.array("choices", 2, MAX_OPTIONS))
        refuse_repeated([option.value for option in options], (*path, "choices"))
    elif kind == "score":
        options = tuple(_level(each, where) for where, each in members.array("levels", 2, MAX_OPTIONS))
    elif answerable:
        text(instructions.text, (*path, "instructions"))
    members.close()
    question = Question(cast("QuestionKind", kind), instructions.text, options)
    return AskedQuestion(name, question if answerable else None)


def _choice(value: Any, path: Path) -> Option:
    members = Members(value, path)
    given = members.required("value")
    option = (
        Option("true" if given else "false", _description(members), boolean=True)
        if isinstance(given, bool)
        else Option(text(given, (*path, "value")), _description(members))
    )
    members.close()
    return option


def _level(value: Any, path: Path) -> Option:
    members = Members(value, path)
    option = Option(members.text("label"), _description(members))
    members.close()
    return option


def _description(members: Members) -> str | None:
    given = members.optional_text("description")
    return given if given and given.strip() else None


def _answer(asked: AskedQuestion, answers: Iterator[Answer]) -> Mapping[str, Any]:
    if asked.question is None:
        return {"type": "refusal", "name": asked.name}
    answer = next(answers)
    if asked.question.kind == "predicate":
        return {"type": "predicate", "name": asked.name, "probability": answer.probabilities[0]}
    both = zip(asked.question.options, answer.probabilities, strict=True)
    if asked.question.kind == "choice":
        return {
            "type": "choice",
            "name": asked.name,
            "choice": answer.likeliest.value,
            "confidence": answer.confidence,
            "probabilities": [{"value": option.value, "probability": each} for option, each in both],
        }
    return {
        "type": "score",
        "name": asked.name,
        "score": answer.expected_level,
        "confidence": answer.confidence,
        "probabilities": [
            {"label": option.name, "value": place, "probability": each} for place, (option, each) in enumerate(both)
        ],
    }


OPENAI = Form("Decisions", "x-request-id", read_request, write_answers, write_error)
