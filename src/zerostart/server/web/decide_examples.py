"""Texts with questions, to begin with."""

from collections.abc import Sequence
from dataclasses import dataclass

from zerostart.nli.question import Question
from zerostart.nli.typed_question import typed_question


@dataclass(frozen=True)
class DecideExample:
    """A text, and questions about it."""

    title: str
    text: str
    questions: Sequence[Question]


DECIDE_EXAMPLES = (
    DecideExample(
        "A support message",
        "I was charged twice for March, and nobody answers my mails. Please refund me today!",
        (
            typed_question(
                "choice",
                "Which team should answer?="
                "billing: payments, invoices and refunds; technical: errors and outages; sales: offers and prices",
            ),
            typed_question("predicate", "The customer asks for a refund."),
            typed_question("score", "How satisfied is the customer?=angry,neutral,happy"),
        ),
    ),
    DecideExample(
        "A review",
        "The breakfast was cold, the lift was broken and nobody at the desk cared. Never again.",
        (
            typed_question("score", "How good is the hotel?=bad,mixed,good"),
            typed_question("predicate", "The guest complains about the food."),
            typed_question("predicate", "The guest mentions the swimming pool."),
        ),
    ),
    DecideExample(
        "A comment to moderate",
        "You have no idea what you are talking about, you fool. Go back to school!",
        (
            typed_question("choice", "What is the comment?=insult,question,praise,advertisement"),
            typed_question("predicate", "The comment attacks a person."),
        ),
    ),
)
