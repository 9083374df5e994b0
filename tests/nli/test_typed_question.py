"""Questions as people type them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zerostart.errors import InvalidInput
from zerostart.nli.question import Option, Question
from zerostart.nli.typed_question import as_typed, typed_options, typed_question

BILLING = Option("billing", "invoices, refunds")


def test_a_choice_is_a_question_and_its_options() -> None:
    assert typed_question("choice", "Which team?=billing, technical,sales") == Question(
        "choice", "Which team?", (Option("billing"), Option("technical"), Option("sales"))
    )
    assert typed_question("choice", "=yes,no") == Question("choice", "", (Option("yes"), Option("no")))
    assert typed_question("score", "How urgent?=low,high").kind == "score"


def test_a_predicate_is_its_statement_whatever_is_in_it() -> None:
    assert typed_question("predicate", " x = 1, or so ") == Question("predicate", "x = 1, or so")


@pytest.mark.parametrize(
    "text",
    [
        "billing: invoices, refunds; sales",
        "billing: invoices, refunds\n\n sales \n",
        "billing:  invoices, refunds ;sales;",
    ],
)
def test_options_are_described_after_a_colon_between_semicolons_or_one_a_line(text: str) -> None:
    assert typed_options(text) == (BILLING, Option("sales"))


def test_a_colon_without_a_space_describes_nothing() -> None:
    assert typed_options("10:30,http://a") == (Option("10:30"), Option("http://a"))


@pytest.mark.parametrize(
    ("kind", "text", "said"),
    [
        ("choice", "Which team?", "it has no options: write the question, =, and the options"),
        ("choice", "Which team?=", "there are no options: give at least two"),
        ("choice", "Which team?= , ", "there are no options: give at least two"),
        ("score", "How urgent?=low", "'low' alone is no choice: give at least two"),
        ("choice", "Which team?=billing,sales,billing", "'billing' is there twice"),
        ("choice", "Which team?=: invoices,sales", "': invoices' has no name"),
        ("predicate", "  ", "it is blank: write a statement"),
    ],
)
def test_what_is_wrong_is_said_with_what_to_write(kind: str, text: str, said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        typed_question(kind, text)  # type: ignore[arg-type]


WORDS = st.text(st.sampled_from("ab ,;:=\n"), max_size=8)


@given(WORDS, st.lists(st.builds(Option, WORDS, st.none() | WORDS), max_size=4).map(tuple))
def test_what_is_written_is_read_as_it_was(instructions: str, options: tuple[Option, ...]) -> None:
    question = Question("choice", instructions, options)
    text = as_typed(question)
    assert text is None or typed_question("choice", text) == question


def test_most_questions_can_be_written() -> None:
    for question in (
        Question("choice", "Which team?", (BILLING, Option("sales"))),
        Question("score", "How urgent?", (Option("low"), Option("high", "today"))),
        Question("predicate", "The customer is angry."),
    ):
        assert typed_question(question.kind, as_typed(question) or "") == question
    assert as_typed(Question("choice", "a=b?", (Option("x"), Option("y")))) is None
