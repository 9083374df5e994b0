"""zerostart decide: typed questions about a text, answered in this process or by an endpoint."""

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, get_args

import typer
from typer.core import TyperCommand

from zerostart.cli.own_api import called
from zerostart.cli.records import STANDARD_INPUT
from zerostart.errors import InvalidInput, shortened
from zerostart.models.local_artefacts import BUILTIN_MODEL_ID
from zerostart.nli.labels import check_text
from zerostart.nli.question import Question, QuestionKind
from zerostart.nli.typed_question import typed_question
from zerostart.services.decision_body import decision_body
from zerostart.settings import load_settings

_BAR_WIDTH = 24
_ORDER = "zerostart.decide.order"
_NO_QUESTION = (
    'Ask something: --choice "Which team?=billing,technical,sales", --predicate "The customer is angry", or '
    '--score "How urgent?=low,medium,high".'
)


class _InOrder(TyperCommand):
    """Remembers the order in which options of different names were given."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        _, _, order = self.make_parser(ctx).parse_args(args=list(args))
        ctx.meta[_ORDER] = [each.name for each in order if each.name in get_args(QuestionKind)]
        return super().parse_args(ctx, args)


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command(cls=_InOrder)(decide)


def decide(
    context: typer.Context,
    text: Annotated[str, typer.Argument(metavar="TEXT", help="The text; - reads it from standard input.")] = "",
    choice: Annotated[
        list[str] | None, typer.Option(metavar="QUESTION=OPTION,...", help="Which of the options; repeat it.")
    ] = None,
    predicate: Annotated[
        list[str] | None, typer.Option(metavar="STATEMENT", help="How likely a statement is true; repeat it.")
    ] = None,
    score: Annotated[
        list[str] | None, typer.Option(metavar="QUESTION=LEVEL,...", help="Where on a scale, lowest first; repeat it.")
    ] = None,
    file: Annotated[Path | None, typer.Option(help="File whose whole content is the text.")] = None,
    endpoint: Annotated[
        str, typer.Option(help="Endpoint of a running server that answers; without it a model is loaded here.")
    ] = "",
    model: Annotated[
        str, typer.Option(help=f"Id of the model that is loaded here, {BUILTIN_MODEL_ID} if left out.")
    ] = "",
    json_output: Annotated[
        bool, typer.Option("--json", help="Print the answer document of the Decisions API.")
    ] = False,
) -> None:
    """Answer questions about one text: which of several options, how likely a statement is true, where on a scale.

    Write a question, =, and its options between commas; between semicolons, if there is one.

    Describe an option after a colon and a space, as in "billing: invoices and refunds".

    Example: zerostart decide "I was charged twice!" --choice "Which team?=billing,technical,sales"

    Example: zerostart decide - --predicate "The customer is angry" --score "How urgent?=low,medium,high" < mail.txt

    Example: zerostart decide --file mail.txt --choice "Team?=billing: invoices, refunds; technical: faults" --json

    Example: zerostart decide "It broke again" --predicate "Something is broken" --endpoint first
    """
    given = {"choice": choice or [], "predicate": predicate or [], "score": score or []}
    questions = _questions(given, context.meta[_ORDER])
    if endpoint and model:
        raise InvalidInput("--endpoint and --model exclude each other: the endpoint has its own model.")
    asked = _text(text, file)
    body = decision_body(endpoint or model or BUILTIN_MODEL_ID, asked, questions)
    document = called("v1/decisions", body) if endpoint else _answered_here(body)
    if json_output:
        typer.echo(json.dumps(document, ensure_ascii=False, allow_nan=False))
    else:
        _print(questions, document["answers"])


def _questions(given: Mapping[str, Sequence[str]], order: Sequence[QuestionKind]) -> list[Question]:
    waiting = {kind: iter(texts) for kind, texts in given.items()}
    questions = [_question(kind, next(waiting[kind])) for kind in order]
    if not questions:
        raise InvalidInput(_NO_QUESTION)
    return questions


def _question(kind: QuestionKind, text: str) -> Question:
    try:
        return typed_question(kind, text)
    except InvalidInput as error:
        raise InvalidInput(f"--{kind} {shortened(text)}: {error}") from None


def _text(text: str, file: Path | None) -> str:
    if bool(text) == (file is not None):
        raise InvalidInput("Give one text: as an argument, as - for standard input, or as a file with --file.")
    if file is None:
        return check_text(sys.stdin.read() if text == STANDARD_INPUT else text, "TEXT")
    try:
        return check_text(file.read_text("utf-8"), str(file))
    except OSError as error:
        raise InvalidInput(f"{file} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise InvalidInput(f"{file} is not UTF-8 at byte {error.start}: save it so.") from error


def _answered_here(body: Mapping[str, Any]) -> Mapping[str, Any]:
    """What the API would answer, by a model that is loaded for it."""
    from zerostart.bootstrap.classifier import build_classifier
    from zerostart.server.decisions.openai_form import read_request, write_answers
    from zerostart.services.decision import Decisions
    from zerostart.serving.questions import AskedQuestions

    request = read_request(body)
    classifier = build_classifier(load_settings(), request.model)
    try:
        asked = AskedQuestions(request.text, request.questions)
        pending = [classifier.submit(each) for each in asked.requests]
        answers = asked.answers([each.result() for each in pending])
        tokens = sum(each.tokens for each in pending)
    finally:
        classifier.close()
    return write_answers(request, Decisions(request.model, answers, tokens, variant="", model_latency_s=0.0))


def _print(questions: Sequence[Question], answers: Sequence[Mapping[str, Any]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table("question", "answer", "probability", "", show_lines=True, title_justify="left")
    table.columns[0].ratio = 1
    for question, answer in zip(questions, answers, strict=True):
        shown = _shown(answer)
        asked = Text(question.instructions).append(_note(answer), style="dim")
        probabilities = "\n".join(f"{probability:.3f}" for _, probability in shown)
        bars = Text("\n".join("█" * round(probability * _BAR_WIDTH) for _, probability in shown), style="green")
        table.add_row(asked, Text("\n".join(name for name, _ in shown)), probabilities, bars)
    Console().print(table)


def _shown(answer: Mapping[str, Any]) -> list[tuple[str, float]]:
    """Options with their probabilities, a choice's likeliest first."""
    if answer["type"] == "predicate":
        return [("true", answer["probability"])]
    if answer["type"] == "score":
        return [(each["label"], each["probability"]) for each in answer["probabilities"]]
    best = sorted(answer["probabilities"], key=lambda each: -each["probability"])
    return [(each["value"], each["probability"]) for each in best]


def _note(answer: Mapping[str, Any]) -> str:
    if answer["type"] == "predicate":
        return ""
    most = len(answer["probabilities"]) - 1
    place = f"\nscore {answer['score']:.2f}, from 0 to {most}" if answer["type"] == "score" else ""
    return f"{place}\nconfidence {answer['confidence']:.2f}"
