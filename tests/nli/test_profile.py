import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from zerostart.errors import InvalidInput
from zerostart.nli.classification import Classification, ClassificationRequest
from zerostart.nli.labels import labels_per_text
from zerostart.nli.profile import NEVER, Profile, ProfileLabel, parse_profile
from zerostart.nli.template import HypothesisTemplate

LABELS = (ProfileLabel("travel", "journeys", -1.0, 0.5), ProfileLabel("cooking", "cooking"))
PROFILE = Profile(LABELS, HypothesisTemplate("This is {}!"), unsure_below=0.3, model_id="m", model_revision="1")
MULTI = replace(PROFILE, multi_label=True, unsure_below=None)


def request(labels: Any = ("cooking", "travel"), texts: int = 1, **options: Any) -> ClassificationRequest:
    return ClassificationRequest(("text",) * texts, labels_per_text(labels, texts), **options)


def test_a_request_about_its_labels_is_asked_in_its_words() -> None:
    asked = PROFILE.asked(request(texts=2))
    assert asked is not None
    assert asked.template.text == "This is {}!"
    assert [(each.name, each.description) for each in asked.labels[1]] == [
        ("cooking", "cooking"),
        ("travel", "journeys"),
    ]
    stated = request({"travel": "journeys", "cooking": "cooking"}, template=HypothesisTemplate("This is {}!"))
    assert PROFILE.asked(stated) is not None


@pytest.mark.parametrize(
    "other",
    [
        request(["travel", "cooking", "sport"]),
        request(["travel"]),
        request(["travel", "sport"]),
        request({"travel": "holidays", "cooking": "cooking"}),
        request(template=HypothesisTemplate("It is {}.")),
        request(multi_label=True),
        request(scorer="nli"),
        request(shortlist=1),
        request([["travel", "cooking"], ["travel", "sport"]], texts=2),
    ],
)
def test_a_request_that_asks_otherwise_is_not_its(other: ClassificationRequest) -> None:
    assert PROFILE.asked(other) is None


def test_scores_are_corrected_and_ranked_anew() -> None:
    answered = PROFILE.answered(Classification("text", ("travel", "cooking"), (0.6, 0.4)))
    weight = 0.6 * np.exp(-1)
    assert answered.labels == ("cooking", "travel")
    assert answered.scores == pytest.approx((0.4 / (0.4 + weight), weight / (0.4 + weight)))
    assert answered.unsure is False
    assert answered.chosen is None


@pytest.mark.parametrize(
    ("scores", "below", "unsure"),
    [((0.95, 0.05), 0.3, False), ((0.7, 0.3), 0.3, True), ((0.7, 0.3), NEVER, True), ((0.95, 0.05), None, False)],
)
def test_an_answer_under_a_threshold_is_unsure(scores: tuple[float, float], below: float | None, unsure: bool) -> None:
    profile = replace(PROFILE, labels=(ProfileLabel("a", "a", 0.0, 0.9), ProfileLabel("b", "b")), unsure_below=below)
    assert profile.answered(Classification("text", ("a", "b"), scores)).unsure is unsure


def test_multi_label_answers_name_the_labels_that_hold() -> None:
    answered = MULTI.answered(Classification("text", ("travel", "cooking"), (0.9, 0.6)))
    odds = 9 * np.exp(-1)
    assert answered.scores == pytest.approx((odds / (1 + odds), 0.6))
    assert answered.chosen == ("travel", "cooking")
    assert answered.unsure is None
    assert MULTI.answered(Classification("text", ("travel", "cooking"), (0.6, 0.4))).chosen == ()


def test_a_hot_temperature_evens_scores_out_and_zero_and_one_stay_numbers() -> None:
    hot = replace(PROFILE, labels=(ProfileLabel("a", "a"), ProfileLabel("b", "b")), temperature=4.0)
    assert 0.5 < hot.answered(Classification("text", ("a", "b"), (0.9, 0.1))).scores[0] < 0.9
    cold = replace(hot, temperature=1e-9)
    for profile in (hot, cold, replace(hot, multi_label=True), replace(cold, multi_label=True)):
        assert np.isfinite(profile.answered(Classification("text", ("a", "b"), (1.0, 0.0))).scores).all()


def test_it_is_the_same_after_writing_and_reading() -> None:
    for profile in (PROFILE, MULTI, replace(PROFILE, figures={"rows": 3}, scorer="hybrid", temperature=0.7)):
        assert parse_profile(json.dumps(profile.document()), "here") == profile
        assert parse_profile(profile.compact().encode()) == replace(profile, figures={})


GOOD: dict[str, Any] = {"format": 1, "labels": {"a": {}, "b": {"wording": "bees", "correction": 1, "threshold": 0.4}}}


def test_what_may_be_left_out_is_as_without_a_profile() -> None:
    profile = parse_profile(json.dumps(GOOD))
    assert profile.labels == (ProfileLabel("a", "a"), ProfileLabel("b", "bees", 1.0, 0.4))
    plain = parse_profile('{"format": 1, "labels": {"a": {}, "b": {}}}')
    answer = Classification("text", ("a", "b"), (0.7, 0.3))
    assert plain.answered(answer).scores == pytest.approx(answer.scores)
    assert plain.answered(answer).unsure is False


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"format": 2}, "'format' is the number 2"),
        ({"labels": {}}, "two labels"),
        ({"labels": {"a": {}}}, "two labels"),
        ({"labels": ["a", "b"]}, "two labels"),
        ({"labels": {"a": 1, "b": {}}}, r"labels\['a'\]"),
        ({"labels": {"a": {"weight": 1}, "b": {}}}, "weight"),
        ({"labels": {"a": {"correction": "much"}, "b": {}}}, "correction"),
        ({"labels": {"a": {"wording": " "}, "b": {}}}, "not blank"),
        ({"temperature": 0}, "over 0"),
        ({"temperature": True}, "temperature"),
        ({"multi_label": "yes"}, "multi_label"),
        ({"hypothesis_template": "no place"}, "0 places"),
        ({"scorer": "guess"}, "scorer"),
        ({"unsure_below": [1]}, "unsure_below"),
        ({"figures": 3}, "figures"),
        ({"file": "/etc/passwd"}, "unknown key 'file'"),
        ({"model_id": 3}, "model_id"),
    ],
)
def test_what_is_wrong_is_named(changed: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidInput, match=words) as refused:
        parse_profile(json.dumps(GOOD | changed), "p.json")
    assert str(refused.value).startswith("p.json is not a profile")


@pytest.mark.parametrize(
    "content", ["", "[]", "no", '{"format": 1, "labels": {"a": {"threshold": NaN}, "b": {}}}', "[" * 9000]
)
def test_what_is_no_profile_is_refused(content: str) -> None:
    with pytest.raises(InvalidInput):
        parse_profile(content)


def test_a_profile_is_for_the_model_that_it_was_tuned_with() -> None:
    PROFILE.check_model("m")
    replace(PROFILE, model_id=None).check_model("other")
    with pytest.raises(InvalidInput, match="tuned with m, and says nothing of other"):
        PROFILE.check_model("other")
