"""Questions: one body, few requests to the classifier, and answers that nothing but text and question changes."""

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.tiny_models import weightless_artefact
from zerostart.bootstrap.classifier import build_classifier
from zerostart.errors import InvalidInput
from zerostart.models.local_artefacts import BUILTIN_MODEL_ID
from zerostart.nli.classification import ClassificationRequest
from zerostart.nli.labels import labels_per_text
from zerostart.nli.profile import Profile, ProfileLabel
from zerostart.nli.question import Answer, Option, Question
from zerostart.serving.classifier import Classifier
from zerostart.serving.questions import (
    AskedQuestions,
    decode_answers,
    decode_questions,
    encode_answers,
    encode_questions,
)
from zerostart.serving.strict_json import InvalidMember, shown
from zerostart.settings import Settings

TEXT = "I was charged twice for my order, and nobody answers my emails."
TEAMS = Question("choice", "Which team is it for?", tuple(map(Option, ("billing", "technical support", "sales"))))
ANGRY = Question("predicate", "The customer is angry.")
URGENT = Question("score", "How urgent is it?", tuple(map(Option, ("not urgent", "somewhat urgent", "very urgent"))))
TYPED = Question(
    "choice",
    "Is it a complaint?",
    (Option("true", boolean=True), Option("false", "It is a question.", boolean=True), Option("true")),
)
ALL = (TEAMS, ANGRY, URGENT, TYPED)
Ask = Callable[..., tuple[Answer, ...]]


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Classifier]:
    """The built-in model on the default engine."""
    home = tmp_path_factory.mktemp("home")
    built = build_classifier(Settings(home=home, precision="fp32", threads=2), BUILTIN_MODEL_ID)
    yield built
    built.close()


@pytest.fixture(scope="module")
def ask(classifier: Classifier) -> Ask:
    def answers(*questions: Question, text: str = TEXT) -> tuple[Answer, ...]:
        asked = decode_questions(encode_questions(text, questions), classifier.profile)
        return asked.answers([pending.result() for pending in [classifier.submit(each) for each in asked.requests]])

    return answers


def tokens(classifier: Classifier, text: str, *questions: Question) -> int:
    pending = [classifier.submit(each) for each in AskedQuestions(text, questions).requests]
    for each in pending:
        each.result()
    return sum(each.tokens for each in pending)


def test_answers_are_distributions_over_the_callers_options(ask: Ask) -> None:
    teams, angry, urgent, typed = ask(*ALL)
    assert teams.likeliest == Option("billing")
    assert [len(each.probabilities) for each in (teams, angry, urgent, typed)] == [3, 1, 3, 3]
    for each in (teams, urgent, typed):
        assert sum(each.probabilities) == pytest.approx(1)
    assert 0 <= angry.probabilities[0] <= 1
    assert 0 <= urgent.expected_level <= 2


def test_a_predicate_is_entailment_by_itself(ask: Ask) -> None:
    true, false = ask(Question("predicate", "Someone was charged."), Question("predicate", "It is about the weather."))
    assert true.probabilities[0] > 0.8
    assert false.probabilities[0] < 0.2


def test_one_option_alone_is_certain_and_costs_nothing(ask: Ask, classifier: Classifier) -> None:
    alone = Question("choice", "Which?", (Option("billing"),))
    assert ask(alone)[0].probabilities == (1.0,)
    assert tokens(classifier, TEXT, alone) == 0
    assert ask(alone, ANGRY, alone)[1] == ask(ANGRY)[0]


@pytest.fixture
def busy(classifier: Classifier) -> Iterator[None]:
    """Other callers ask the same model all the time, of all lengths."""
    stop = threading.Event()

    def others() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            text = " ".join(["It was a long day in town."] * (1 + number % 9))
            classifier.classify(ClassificationRequest((text,), labels_per_text(["billing", "a day", "sales"], 1)))

    threads = [threading.Thread(target=others) for _ in range(2)]
    for thread in threads:
        thread.start()
    yield
    stop.set()
    for thread in threads:
        thread.join()


def test_answers_are_the_same_to_the_bit_beside_other_callers(ask: Ask, busy: None) -> None:
    assert len({tuple(each.probabilities for each in ask(*ALL)) for _ in range(30)}) == 1


@st.composite
def shuffled(draw: st.DrawFn) -> tuple[tuple[Question, ...], tuple[Question, ...]]:
    """Some questions; and the same in another order, the options of choices too."""
    names = st.sampled_from(["billing", "true", "a refund", "an angry customer", "sales", "other", "Zürich", "no"])
    descriptions = st.none() | st.sampled_from(["It is about money.", "Somebody complains about something."])
    options = st.one_of(
        st.builds(Option, names, descriptions),
        st.builds(Option, st.sampled_from(["true", "false"]), descriptions, st.just(True)),
    )
    unique = st.lists(options, min_size=2, max_size=6, unique_by=lambda each: (each.name, each.boolean)).map(tuple)
    instructions = st.sampled_from(["Which team is it for?", "What is it about?", "The customer is angry."])
    question = st.one_of(
        st.builds(Question, st.sampled_from(["choice", "score"]), instructions, unique),
        st.builds(Question, st.just("predicate"), instructions),
    )
    questions = draw(st.lists(question, min_size=1, max_size=4))
    other = [
        replace(each, options=tuple(draw(st.permutations(each.options)))) if each.kind == "choice" else each
        for each in questions
    ]
    order = draw(st.permutations(range(len(questions))))
    return tuple(questions[place] for place in order), tuple(other[place] for place in sorted(order, reverse=True))


def by_option(answers: Sequence[Answer]) -> list[Any]:
    """What is answered, whatever the order."""
    found: list[Any] = []
    for each in answers:
        asked, probabilities = each.question, each.probabilities
        own = [asked.kind, asked.instructions]
        if asked.options:
            named = sorted(zip(map(str, asked.options), probabilities, strict=True))
            found.append([*own, each.likeliest, each.confidence, named])
        else:
            found.append([*own, probabilities])
    return sorted(found, key=str)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(both=shuffled())
def test_the_order_of_options_and_questions_changes_no_answer(
    ask: Ask, busy: None, both: tuple[tuple[Question, ...], tuple[Question, ...]]
) -> None:
    one, other = both
    assert by_option(ask(*one)) == by_option(ask(*other))


def test_a_long_text_is_read_to_its_end(ask: Ask, classifier: Classifier) -> None:
    long = " ".join([*["The weather was fine that day, and we walked along the river."] * 80, TEXT])
    assert ask(TEAMS, text=long)[0].likeliest == Option("billing")
    assert tokens(classifier, long, ANGRY) > 1000


def test_tokens_are_those_that_the_model_read(classifier: Classifier) -> None:
    tokenizer = classifier._scorer.tokenizer
    special = tokenizer.template.special_tokens
    pair = len(tokenizer.premise(TEXT)) + len(tokenizer.hypothesis("The customer is angry.")) + special
    assert tokens(classifier, TEXT, ANGRY) == pair
    assert tokens(classifier, TEXT, ANGRY, ANGRY) == pair, "a pair that is asked twice is read once"
    assert tokens(classifier, TEXT, TEAMS, ANGRY) == tokens(classifier, TEXT, TEAMS) + pair


PROFILE = Profile((ProfileLabel("billing", "money", 0.4), ProfileLabel("other", "anything else")), temperature=2.5)


def test_a_choice_of_the_profiles_labels_is_answered_by_it(tmp_path: Path) -> None:
    with_profile = build_classifier(Settings(home=tmp_path, engine="fake"), BUILTIN_MODEL_ID, profile=PROFILE)
    try:
        (plain,) = with_profile.classify(ClassificationRequest((TEXT,), (PROFILE.candidate_labels,)))
        expected = dict(zip(plain.labels, plain.scores, strict=True))

        def answered(*options: Option, kind: Any = "choice") -> dict[str, float]:
            asked = AskedQuestions(TEXT, (ANGRY, Question(kind, "Which?", options)), PROFILE)
            _, answer = asked.answers([with_profile.classify(each) for each in asked.requests])
            return dict(zip((each.name for each in options), answer.probabilities, strict=True))

        billing, other = Option("billing"), Option("other")
        assert answered(billing, other) == answered(other, billing) == expected
        assert answered(billing, other, kind="score") != expected
        assert answered(billing, Option("other", "It is spam.")) != expected
        assert answered(billing, Option("else")).keys() == {"billing", "else"}
    finally:
        with_profile.close()


def test_a_reply_is_read_as_it_was_written() -> None:
    answers = (Answer(TEAMS, (0.5, 0.25, 0.25)), Answer(ANGRY, (0.1,)))
    body = encode_answers("small", answers, 12)
    assert decode_answers(body, (TEAMS, ANGRY)) == ("small", answers, 12)


@pytest.mark.parametrize(
    ("document", "path", "says"),
    [
        ({"text": "x"}, "questions", "is missing"),
        ({"text": " ", "questions": [{"kind": "predicate", "instructions": "x"}]}, "text", "not blank"),
        ({"text": "x", "questions": [{"kind": "box"}]}, "questions[0].kind", "'choice', 'predicate', 'score'"),
        ({"text": "x", "questions": [{"kind": "predicate", "instructions": ""}]}, "questions[0].instructions", "blank"),
        ({"text": "x", "questions": [{"kind": "choice", "instructions": ""}]}, "questions[0].options", "is missing"),
        (
            {"text": "x", "questions": [{"kind": "choice", "instructions": "", "options": [{"name": "a"}] * 2}]},
            "questions[0].options[1]",
            "again",
        ),
        (
            {
                "text": "x",
                "questions": [{"kind": "score", "instructions": "", "options": [{"name": "a", "boolean": True}]}],
            },
            "questions[0].options[0].boolean",
            "send false",
        ),
        ({"text": "x", "questions": [], "label": 1}, "label", "not known"),
    ],
)
def test_what_is_wrong_is_told_with_its_path(document: Any, path: str, says: str) -> None:
    with pytest.raises(InvalidMember, match=says) as caught:
        decode_questions(json.dumps(document).encode())
    assert shown(caught.value.path) == path


def test_a_hypothesis_that_does_not_fit_is_told_with_its_place(tmp_path: Path) -> None:
    weightless_artefact(tmp_path / "models" / "tiny")  # reads 64 tokens
    tiny = build_classifier(Settings(home=tmp_path, engine="fake"), "tiny")
    long = Question("choice", "", (Option("sales"), Option("billing", "money, " * 50)))
    try:
        _, choices = AskedQuestions(TEXT, (ANGRY, long)).requests
        with pytest.raises(InvalidInput, match="'option 2 of question 2' has"):
            tiny.classify(choices)
    finally:
        tiny.close()
