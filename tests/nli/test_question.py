"""What is read off an answer's probabilities."""

from itertools import permutations

import pytest

from zerostart.nli.question import Answer, Option, Question


def answer(*probabilities: float, kind: str = "choice") -> Answer:
    options = tuple(Option(name) for name in "abc"[: len(probabilities)])
    return Answer(Question(kind, "", options), probabilities)  # type: ignore[arg-type]


def test_confidence_is_how_far_the_first_is_ahead_of_the_second() -> None:
    assert answer(0.2, 0.7, 0.1).confidence == pytest.approx(0.5)
    assert answer(0.4, 0.2, 0.4).confidence == 0.0
    assert answer(0.0, 1.0).confidence == 1.0
    assert answer(1.0).confidence == 1.0


def test_a_score_is_the_mean_of_the_positions() -> None:
    assert answer(0.25, 0.25, 0.5, kind="score").expected_level == pytest.approx(1.25)
    assert answer(1.0, 0.0, 0.0, kind="score").expected_level == 0.0


def test_the_likeliest_option_is_the_same_in_every_order_even_of_equals() -> None:
    equals = [Option("true"), Option("true", boolean=True), Option("a", "one"), Option("a", "two")]
    found = {
        Answer(Question("choice", "", order), (0.25,) * 4).likeliest
        for order in permutations(equals)
        if len(order) == 4
    }
    assert found == {Option("a", "one")}
    assert answer(0.3, 0.3, 0.4).likeliest == Option("c")


def test_a_boolean_choice_is_not_the_string() -> None:
    assert Option("true", boolean=True).value is True
    assert Option("false", boolean=True).value is False
    assert Option("true").value == "true"
