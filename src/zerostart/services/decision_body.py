"""What a client sends to POST /v1/decisions, in OpenAI's form: the command line, and code that pages show."""

from collections.abc import Sequence
from typing import Any

from zerostart.nli.question import Question


def decision_body(model: str, text: str, questions: Sequence[Question]) -> dict[str, Any]:
    """The body that asks `questions` about `text`; `model` is an endpoint's name or the id of a model."""
    return {"model": model, "input": text, "questions": [question_document(each) for each in questions]}


def question_document(question: Question) -> dict[str, Any]:
    """One question of such a body."""
    asked: dict[str, Any] = {"type": question.kind, "instructions": question.instructions}
    if question.kind == "predicate":
        return asked
    members, name = ("choices", "value") if question.kind == "choice" else ("levels", "label")
    options = [
        {name: each.value, **({"description": each.description} if each.description else {})}
        for each in question.options
    ]
    return {**asked, members: options}
