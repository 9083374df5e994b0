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
        ("the customer is angry", "The customer is angry."),
        ("Is the customer angry?", "The customer is angry."),
        ("Isn't the customer angry?", "The customer is angry."),
        ("Is the tone of the message friendly?", "The tone of the message is friendly."),
        ("Is this a bug?", "This is a bug."),
        ("Is this spam?", "This is spam."),
        ("Is this comment toxic?", "This comment is toxic."),
        ("Is the user asking for a discount?", "The user is asking for a discount."),
        ("Is the customer's account locked?", "The customer's account is locked."),
        ("Are the name and the address given?", "The name and the address are given."),
        ("Are there any typos in the text?", "There are typos in the text."),
        ("Was anyone injured?", "Someone was injured."),
        ("Does the message mention a refund?", "The message mentions a refund."),
        ("Does the message mention any refund?", "The message mentions refund."),
        ("Does the author of the post own a car?", "The author of the post owns a car."),
        ("Does the user have children?", "The user has children."),
        ("Does the clerk apply the rule?", "The clerk applies the rule."),
        ("Does this match the policy?", "This matches the policy."),
        ("Does this bug report contain steps?", "This bug report contains steps."),
        ("Does this have to be answered today?", "This has to be answered today."),
        ("Do they agree?", "They agree."),
        ("Did the build fail?", "The build did fail."),
        ("Has the customer already paid?", "The customer has already paid."),
        ("Has the customer contacted support before?", "The customer has contacted support before."),
        ("Should we escalate this?", "We should escalate this."),
        ("Can the speaker attend the meeting?", "The speaker can attend the meeting."),
        ("Decide whether the log shows a failed login.", "The log shows a failed login."),
        ("Please check if the e-mail is an invoice.", "The e-mail is an invoice."),
        ("Verify that a price is named.", "A price is named."),
        ("Return true when the build is broken.", "The build is broken."),
        ("Whether the call returned an error", "The call returned an error."),
        ("You moderate a forum. Answer yes or no. Does the post contain an insult?", "The post contains an insult."),
        ("You are a moderator.\nAnswer yes if the message is spam.", "The message is spam."),
        ("You check chats. The agent apologised. Answer with true or false.", "The agent apologised."),
        ("Ist der Kunde verärgert?", "Ist der Kunde verärgert?"),
        ("客户生气了吗\uff1f", "客户生气了吗\uff1f"),
        ("", "This is so."),
    ],
)
def test_a_predicate_is_a_statement(instructions: str, statement: str) -> None:
    assert _asked("predicate", instructions) == (statement,)


@pytest.mark.parametrize(
    ("instructions", "names", "first"),
    [
        ("Which team should handle this?", ("billing", "sales"), "The team that should handle this is billing."),
        ("Which team should we send this to?", ("billing", "sales"), "We should send this to billing."),
        ("Which rule does the post break?", ("spam", "none"), "The post breaks spam."),
        ("Which queue?", ("billing", "sales"), "The queue is billing."),
        ("Which category fits best?", ("billing", "sales"), "The category that fits best is billing."),
        ("What is the sentiment of this review?", ("good", "bad"), "The sentiment of this review is good."),
        ("What's the mood?", ("good", "bad"), "The mood is good."),
        ("What kind of issue is this?", ("bug", "question"), "The issue is bug."),
        ("What does the customer want?", ("a refund", "help"), "The customer wants a refund."),
        ("What is the caller asking for?", ("a refund", "help"), "The caller is asking for a refund."),
        ("What topic is this text about?", ("sport", "art"), "This text is about sport."),
        ("Who reported the incident?", ("a customer", "a probe"), "A customer reported the incident."),
        ("Where should this go?", ("sales", "support"), "This should go to sales."),
        ("Where is the parcel?", ("at home", "in transit"), "The parcel is at home."),
        ("Why is the customer upset?", ("price", "delay"), "The customer is upset: price."),
        ("How does the author feel?", ("happy", "sad"), "The author feels happy."),
        ("How clear is the explanation?", ("unclear", "clear"), "The explanation is unclear."),
        ("How likely is it that they leave?", ("unlikely", "likely"), "It is unlikely that they leave."),
        ("How urgent is this?", ("low", "high"), "How urgent is this? low."),
        ("Rate the urgency of the ticket.", ("low", "high"), "The urgency of the ticket is low."),
        ("Rate the answer on a scale from 1 to 5.", ("1", "2"), "The answer is 1."),
        ("Classify the sentiment as good or bad.", ("good", "bad"), "The sentiment is good."),
        ("Determine what the customer wants.", ("help", "a refund"), "What the customer wants is help."),
        ("Route the request to the right team.", ("sales", "support"), "The request should go to sales."),
        ("Is the review good, bad or neutral?", ("good", "bad", "neutral"), "The review is good."),
        ("tone", ("formal", "friendly"), "Tone: formal."),
        ("Which intent?", ("book_flight", "check_in"), "The intent is book flight."),
        ("Welches Team ist zuständig?", ("Vertrieb", "Technik"), "Welches Team ist zuständig? Vertrieb."),
        ("", ("billing", "sales"), "This is about billing."),
        ("Think well. " * 900, ("billing", "sales"), "Think well: billing."),
        ("blah " * 2000, ("billing", "sales"), "This is about billing."),
        ("What is the {} of \0 this?", ("a", "b"), "The {} of this is a."),
    ],
)
def test_an_option_stands_where_the_answer_goes(instructions: str, names: tuple[str, ...], first: str) -> None:
    assert _asked("choice", instructions, *names)[0] == first


def test_a_description_follows_the_name() -> None:
    options = (Option("formal", "No contractions, no slang."), Option("friendly"))
    assert hypotheses(Question("choice", "What is the tone?", options)) == (
        "The tone is formal: No contractions, no slang.",
        "The tone is friendly.",
    )
    assert hypotheses(Question("choice", "", options))[0] == "This is about formal: No contractions, no slang."


def test_yes_and_no_are_the_statement_and_its_denial() -> None:
    asked = "Does the customer want a refund?"
    both = ("The customer wants a refund.", "The customer does not want a refund.")
    assert _asked("choice", asked, "true", "false") == both
    assert _asked("choice", asked, "No", "Yes") == both[::-1]
    assert _asked("choice", asked, "yes", "no", "unclear") == (*both, "Does the customer want a refund? unclear.")
    assert _asked("choice", "The post is spam.", "yes", "no") == (
        "The post is spam.",
        "It is not true: The post is spam.",
    )
    described = (Option("true", "Money is asked back"), Option("false"))
    assert hypotheses(Question("choice", asked, described)) == ("Money is asked back.", both[1])


def test_what_would_read_the_same_is_told_apart_by_its_name() -> None:
    assert _asked("choice", "", "a_b", "a b") == ('"a_b": This is about a b.', '"a b": This is about a b.')
    same = (Option("P1", "Down"), Option("P1 ", "Down"))
    assert len(set(hypotheses(Question("score", "Priority", same)))) == 2


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
