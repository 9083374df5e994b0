import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zerostart.nli.question import Option, Question, QuestionKind
from zerostart.nli.wording import LONGEST_HYPOTHESIS_BYTES, hypotheses

_NAMES = st.text(min_size=1, max_size=25)
_OPTIONS = st.lists(
    st.builds(Option, _NAMES, st.none() | st.text(max_size=600)),
    min_size=2,
    max_size=12,
    unique_by=lambda each: each.name,
)
_WORDS = (
    *("is", "does", "has", "can", "how", "what", "which", "where", "why", "whether", "if", "the", "this", "it", "any"),
    *(
        "customer",
        "message",
        "angry",
        "mention",
        "a",
        "refund",
        "of",
        "Decide",
        "Rate",
        "Check",
        "yes",
        "or",
        "no",
        "as",
    ),
    *("you", "?", ".", ":", "\n", "\0", "{}"),
)
_ENGLISH = st.lists(st.sampled_from(_WORDS), max_size=40).map(" ".join)
_INSTRUCTIONS = _ENGLISH | st.text(max_size=200) | st.text(min_size=1, max_size=10).map(lambda text: text * 1000)


def _options(*names: str) -> tuple[Option, ...]:
    return tuple(Option(name) for name in names)


def _asked(kind: QuestionKind, instructions: str, *names: str) -> tuple[str, ...]:
    return hypotheses(Question(kind, instructions, _options(*names)))


@pytest.mark.parametrize(
    ("instructions", "statement"),
    [
        ("The customer is angry.", "The customer is angry."),
        ("Is the customer  angry?", "Is the customer angry?"),
        ("Decide whether the log shows a failed login.", "the log shows a failed login."),
        ("Please check if the e-mail is an invoice.", "the e-mail is an invoice."),
        ("Verify that a price is named.", "a price is named."),
        ("Tell that man to go if he can", "Tell that man to go if he can"),
        ("Ist der Kunde verärgert?", "Ist der Kunde verärgert?"),
        (
            "You moderate. " * 30 + "Does the post contain an insult? Answer yes or no.",
            "Does the post contain an insult?",
        ),
        ("You read logs. " * 30 + "The build is broken. Answer with true or false.", "The build is broken."),
        ("", "This is so."),
    ],
)
def test_a_predicate_is_judged_as_it_is_written(instructions: str, statement: str) -> None:
    assert _asked("predicate", instructions) == (statement,)


@pytest.mark.parametrize(
    ("instructions", "name", "first"),
    [
        ("Which team should handle this?", "billing", "billing (Which team should handle this?)"),
        ("Welches Team ist zuständig?", "Vertrieb", "Vertrieb (Welches Team ist zuständig?)"),
        ("Which intent?", "book_flight", "book flight (Which intent?)"),
        ("Is it spam?", "true", "yes (Is it spam?)"),
        ("", "billing", "This example is billing."),
        (
            "You route tickets. " * 30 + "Which team is it for? Return JSON.",
            "billing",
            "billing (Which team is it for?)",
        ),
        ("What is the {} of this?", "{}", "{} (What is the {} of this?)"),
    ],
)
def test_an_option_stands_before_its_question(instructions: str, name: str, first: str) -> None:
    assert _asked("choice", instructions, name, "something else")[0] == first


def test_a_description_follows_the_name() -> None:
    options = (Option("formal", "No contractions, no slang."), Option("friendly"))
    assert hypotheses(Question("choice", "What is the tone?", options)) == (
        "formal: No contractions, no slang (What is the tone?)",
        "friendly (What is the tone?)",
    )
    assert hypotheses(Question("choice", "", options))[0] == "This example is formal: No contractions, no slang."


def test_what_would_read_the_same_is_told_apart() -> None:
    assert _asked("choice", "Which?", "a_b", "a b") == ("'a_b' (Which?)", "'a b' (Which?)")
    both = (Option("true"), Option("true", boolean=True), Option("yes"))
    assert len(set(hypotheses(Question("choice", "Is it?", both)))) == 3


def test_two_questions_with_the_same_options_are_two_questions() -> None:
    assert _asked("score", "How urgent?", "low", "high") != _asked("score", "How polite?", "low", "high")


@given(_INSTRUCTIONS, _OPTIONS, st.sampled_from(["choice", "score"]))
def test_every_option_has_a_sentence_of_its_own(instructions: str, options: list[Option], kind: QuestionKind) -> None:
    found = hypotheses(Question(kind, instructions, tuple(options)))
    assert len(set(found)) == len(options) == len(found)
    assert all(each.strip() and len(each.encode()) <= LONGEST_HYPOTHESIS_BYTES for each in found)


@given(_INSTRUCTIONS, _OPTIONS, st.randoms())
def test_order_changes_no_hypothesis(instructions: str, options: list[Option], random: random.Random) -> None:
    own = dict(zip(options, hypotheses(Question("choice", instructions, tuple(options))), strict=True))
    shuffled = random.sample(options, len(options))
    found = hypotheses(Question("choice", instructions, tuple(shuffled)))
    assert found == tuple(own[option] for option in shuffled)


@given(_INSTRUCTIONS)
def test_a_predicate_has_one_sentence_of_bounded_length(instructions: str) -> None:
    (found,) = hypotheses(Question("predicate", instructions))
    assert found.strip()
    assert len(found.encode()) <= LONGEST_HYPOTHESIS_BYTES
