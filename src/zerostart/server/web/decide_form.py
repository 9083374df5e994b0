"""The form of the playground's questions: its fields, questions added and removed, and what is asked by it."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import cast, get_args

from zerostart.errors import InvalidInput
from zerostart.nli.question import Question, QuestionKind
from zerostart.nli.typed_question import typed_options
from zerostart.server.web.decide_contexts import DecideForm, QuestionField

MOST_QUESTIONS = 20
_FIELD = re.compile(r"(?:kind|instructions|options)-([0-9]{1,3})")


def typed_form(name: str, fields: Mapping[str, str]) -> DecideForm:
    """The form as it was sent, or as a link fills it in; an empty one has one question to begin with."""
    numbers = sorted({int(found[1]) for key in fields if (found := _FIELD.fullmatch(key))})
    return DecideForm(name, fields.get("text", ""), [_field(number, fields) for number in numbers or [1]])


def with_another(form: DecideForm) -> DecideForm:
    """The form with an empty question more, if there is room for it."""
    if len(form.questions) >= MOST_QUESTIONS:
        return replace(form, error=_too_many(len(form.questions) + 1))
    number = max(each.number for each in form.questions) + 1
    return replace(form, questions=[*form.questions, QuestionField(number)], focus=f"instructions-{number}")


def without(form: DecideForm, number: str) -> DecideForm:
    """The form without a question; the last one that is left is emptied."""
    left = [each for each in form.questions if str(each.number) != number]
    return replace(form, questions=left or [QuestionField(1)], focus="add")


def asked(form: DecideForm) -> tuple[Sequence[Question], Mapping[str, str]]:
    """The questions, and of each field that is wrong what is wrong with it. Raises InvalidInput for too many."""
    if len(form.questions) > MOST_QUESTIONS:
        raise InvalidInput(_too_many(len(form.questions)))
    questions, problems = [], {}
    if not form.text.strip():
        problems["text"] = "Write the text that the questions are about."
    for each in form.questions:
        kind, instructions = cast("QuestionKind", each.kind), each.instructions.strip()
        if kind == "predicate":
            questions.append(Question(kind, instructions))
        else:
            try:
                questions.append(Question(kind, instructions, typed_options(each.options)))
            except InvalidInput as error:
                problems[f"options-{each.number}"] = _sentence(str(error))
        if not instructions:
            what = "statement" if kind == "predicate" else "question"
            problems[f"instructions-{each.number}"] = f"Write the {what}."
    return questions, problems


def as_fields(text: str, questions: Sequence[Question]) -> Mapping[str, str]:
    """The fields that `typed_form` and `asked` read as these questions."""
    fields = {"text": text}
    for number, each in enumerate(questions, 1):
        options = [f"{one.name}: {one.description}" if one.description else one.name for one in each.options]
        fields |= {f"kind-{number}": each.kind, f"instructions-{number}": each.instructions}
        fields |= {f"options-{number}": "\n".join(options)} if options else {}
    return fields


def _field(number: int, fields: Mapping[str, str]) -> QuestionField:
    kind = fields.get(f"kind-{number}", "choice")
    known = kind if kind in get_args(QuestionKind) else "choice"
    return QuestionField(number, known, fields.get(f"instructions-{number}", ""), fields.get(f"options-{number}", ""))


def _too_many(count: int) -> str:
    return f"{count} questions are too many for a page: ask at most {MOST_QUESTIONS}. The Decisions API takes 400."


def _sentence(message: str) -> str:
    return message[0].upper() + message[1:]
