"""Questions as people type them, on the command line and in the browser.

`Which team?=billing: invoices and refunds, technical, sales` is a question, `=`, and its options between commas. Where
there is a semicolon, semicolons separate them instead, so that a description may hold commas; on several lines there is
one a line. What follows a colon and a space describes an option.
"""

from zerostart.errors import InvalidInput, shortened
from zerostart.nli.question import Option, Question, QuestionKind


def typed_question(kind: QuestionKind, text: str) -> Question:
    """The question in `text`; a predicate is its statement. Raises InvalidInput saying what to write."""
    if kind == "predicate":
        if not text.strip():
            raise InvalidInput("it is blank: write a statement, such as 'The customer is angry'.")
        return Question(kind, text.strip())
    instructions, equals, options = text.partition("=")
    if not equals:
        raise InvalidInput("it has no options: write the question, =, and the options between commas.")
    return Question(kind, instructions.strip(), typed_options(options))


def typed_options(text: str) -> tuple[Option, ...]:
    """The options in `text`, in order: at least two, each once. Raises InvalidInput saying what to write."""
    lines = text.strip().splitlines()
    parts = lines if len(lines) > 1 else text.split(";" if ";" in text else ",")
    options = tuple(_option(part.strip()) for part in parts if part.strip())
    if len(options) < 2:
        found = f"{shortened(options[0].name)} alone is no choice" if options else "there are no options"
        raise InvalidInput(f"{found}: give at least two, between commas or one a line.")
    names = [option.name for option in options]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise InvalidInput(f"{shortened(twice)} is there twice: give each option once.")
    return options


def as_typed(question: Question) -> str | None:
    """What `typed_question` reads as this question; None where nothing is."""
    if question.kind == "predicate":
        return question.instructions
    options = [f"{each.name}: {each.description}" if each.description else each.name for each in question.options]
    separator = "; " if any("," in each for each in options) else ","
    text = f"{question.instructions}={separator.join(options)}"
    try:
        return text if typed_question(question.kind, text) == question else None
    except InvalidInput:
        return None


def _option(part: str) -> Option:
    name, _, description = part.partition(": ")
    if not name.strip(" :"):
        raise InvalidInput(f"{shortened(part)} has no name: write 'name: what it means'.")
    return Option(name.strip(), description.strip() or None)
