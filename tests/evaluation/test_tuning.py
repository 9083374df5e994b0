from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.evaluation.planted import LABELS, PLANTED, asked, fake_model, ignored, labelled, texts
from zerostart.errors import InvalidInput
from zerostart.evaluation.mislabelled import suspects
from zerostart.evaluation.report import Subject
from zerostart.evaluation.rows import LabelledRows, split
from zerostart.evaluation.scoring import Ask, Question
from zerostart.evaluation.tuning import TEMPLATES, Wishes, corrections
from zerostart.nli.labels import parse_labels
from zerostart.nli.profile import NEVER, Profile, ProfileLabel, parse_profile
from zerostart.nli.template import HypothesisTemplate
from zerostart.services.evaluation import Evaluation, Side, compare, evaluate, texts_to_ask

SUBJECT = Subject("made.csv", "fake", "2026-01-01T00:00:00+00:00", "zerostart-zstc-small", "1")
QUESTION = Question(LABELS, HypothesisTemplate(), scorer="nli")  # what is planted was planted with it


@pytest.fixture(scope="module")
def ask(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ask]:
    with fake_model(tmp_path_factory.mktemp("home")) as answers:
        yield answers


@pytest.fixture(scope="module")
def planted(ask: Ask) -> LabelledRows:
    """Labels that are the fake engine's answers to one template, but for a tenth."""
    own = texts(240)
    right = asked(ask, own, scorer="nli").best.copy()
    right[::10] = (right[::10] + 1) % len(LABELS)
    return labelled(own, list(right))


@pytest.fixture(scope="module")
def found(ask: Ask, planted: LabelledRows) -> Evaluation:
    return evaluate(SUBJECT, planted, QUESTION, ask, ignored, Wishes(templates=(PLANTED,)))


def test_the_planted_template_is_found_and_reported_on_the_other_rows(found: Evaluation) -> None:
    tuning = found.document["tuning"]
    assert found.profile is not None
    assert found.profile.template.text == PLANTED
    assert (tuning["tuned_rows"], tuning["held_rows"]) == (120, 120)
    assert tuning["trials"][0]["template"] == PLANTED
    assert len(tuning["trials"]) == len(TEMPLATES) + 1
    assert tuning["after"]["figures"]["accuracy"]["value"] > 0.8
    assert tuning["before"]["figures"]["accuracy"]["value"] < 0.5
    assert tuning["comparison"]["verdict"] == "better"
    assert found.document["figures"]["accuracy"]["value"] < 0.5, "the report of all rows is of what was asked"


def test_the_profile_can_be_read_back_and_says_what_it_is_of(found: Evaluation) -> None:
    assert found.profile is not None
    document = found.profile.document()
    assert document["model_id"] == "zerostart-zstc-small"
    assert document["figures"]["after"]["accuracy"]["value"] > 0.8
    assert parse_profile(found.profile.compact()) == replace(found.profile, figures={})


def test_progress_ends_where_it_was_said_to(ask: Ask, planted: LabelledRows) -> None:
    done: list[int] = []
    wishes = Wishes(templates=(PLANTED,))
    evaluate(SUBJECT, planted, QUESTION, ask, done.append, wishes)
    assert sum(done) == texts_to_ask(planted, QUESTION, wishes)


def test_the_wording_that_fits_is_found(ask: Ask) -> None:
    own = texts(200)
    worded = parse_labels(
        {"travel": "journeys and trips", "cooking": "cooking", "finance": "money", "health": "health"}
    )
    rows = labelled(own, list(asked(ask, own, worded, "This example is {}.", scorer="nli").best))
    offered = {"travel": ("going places", "journeys and trips"), "finance": ("money", "banks")}
    profile = evaluate(SUBJECT, rows, QUESTION, ask, ignored, Wishes(wordings=offered)).profile
    assert profile is not None
    assert {label.name: label.wording for label in profile.labels} == {each.name: each.description for each in worded}
    with pytest.raises(InvalidInput, match="'sport'"):
        evaluate(SUBJECT, rows, QUESTION, ask, ignored, Wishes(wordings={"sport": ("games",)}))


def test_a_label_that_is_always_scored_high_is_corrected(ask: Ask) -> None:
    scores = np.array([[0.6, 0.4], [0.9, 0.1], [0.7, 0.3]])
    added = corrections(scores, 1.0, multi_label=False)
    assert added[0] < 0 < added[1]
    assert np.log(scores.mean(axis=0)) + added == pytest.approx([np.log(scores.mean(axis=0)).mean()] * 2)
    assert not corrections(scores, 0.0, multi_label=False).any()


def test_fifty_rows_are_needed_and_two_hundred_are_better(ask: Ask, planted: LabelledRows) -> None:
    few = evaluate(SUBJECT, planted.taken(range(49)), QUESTION, ask, ignored, Wishes())
    assert (few.profile, few.document["tuning"]) == (None, None)
    assert "49 rows are too few to tune on" in few.document["notes"][0]
    some = evaluate(SUBJECT, planted.taken(range(60)), QUESTION, ask, ignored, Wishes())
    assert some.profile is not None
    assert "60 rows are few" in some.document["notes"][0]
    assert some.document["tuning"]["comparison"]["verdict"] == "undecided", "there is nothing to be found"


def test_a_wanted_accuracy_is_reached_by_what_is_not_unsure(ask: Ask) -> None:
    own = texts(1500)
    scored = asked(ask, own, template="This example is {}.", scorer="nli")
    # Right as often as the scores say.
    dice = np.random.default_rng(0).random((len(own), 1))
    right = (dice < scored.scores.cumsum(axis=1)).argmax(axis=1)
    wishes = Wishes(accuracy=0.85)
    found = evaluate(SUBJECT, labelled(own, list(right)), QUESTION, ask, ignored, wishes)
    after = found.document["tuning"]["after"]
    assert after["figures"]["accuracy"]["value"] < 0.8
    assert after["unsure"]["accuracy"] >= 0.85
    assert 0.2 < after["unsure"]["coverage"] < 1
    precise = evaluate(SUBJECT, labelled(own, list(right)), QUESTION, ask, ignored, Wishes(precision=0.85))
    assert precise.document["tuning"]["after"]["unsure"]["accuracy"] >= 0.85
    out_of_reach = evaluate(SUBJECT, labelled(own, list(right)), QUESTION, ask, ignored, Wishes(accuracy=0.9999))
    assert out_of_reach.profile is not None
    assert out_of_reach.profile.unsure_below == NEVER
    assert "every answer is unsure" in out_of_reach.document["tuning"]["notes"][0]


def test_rows_that_were_mislabelled_are_the_suspects(ask: Ask) -> None:
    own = texts(300)
    scored = asked(ask, own, scorer="nli")
    right = scored.best.copy()
    certain = [row for row in range(300) if scored.scores[row].max() > 0.8][:12]
    assert len(certain) == 12
    right[certain] = (right[certain] + 1) % len(LABELS)
    count, shown = suspects(labelled(own, list(right)), scored)
    assert {each.number for each in shown} >= {row + 1 for row in certain}
    assert count == len(shown) <= 15
    assert [each.margin for each in shown] == sorted((each.margin for each in shown), reverse=True)
    first = shown[0]
    assert (first.text, first.label) == (own[first.number - 1], LABELS[right[first.number - 1]].name)
    assert first.suggested == LABELS[scored.best[first.number - 1]].name


def test_several_labels_a_text(ask: Ask) -> None:
    own = texts(300)
    scored = asked(ask, own, multi=True, scorer="nli")
    rows = LabelledRows(own, tuple(range(1, 301)), LABELS, scored.scores > np.array([0.3, 0.5, 0.6, 0.8]), True)
    wishes = Wishes(templates=(PLANTED,))
    found = evaluate(SUBJECT, rows, replace(QUESTION, multi_label=True), ask, ignored, wishes)
    tuning, profile = found.document["tuning"], found.profile
    assert profile is not None
    assert (profile.template.text, profile.multi_label) == (PLANTED, True)
    assert set(tuning["after"]["figures"]) == {"macro_f1", "micro_f1"}
    assert tuning["after"]["figures"]["macro_f1"]["value"] > 0.9
    assert all(each["auc"] > 0.99 for each in tuning["after"]["per_label"])
    assert found.document["confusion"] is None
    flipped = rows.right.copy()
    certain = int(scored.scores[:, 0].argmax())
    flipped[certain, 0] = False
    _, shown = suspects(replace(rows, right=flipped), scored)
    assert ("", "travel") in [(each.label, each.suggested) for each in shown if each.number == certain + 1]
    precise = evaluate(
        SUBJECT, rows, replace(QUESTION, multi_label=True), ask, ignored, Wishes((PLANTED,), precision=0.9)
    )
    assert all(each["precision"] >= 0.9 for each in precise.document["tuning"]["after"]["per_label"])


def test_both_parts_of_a_split_have_every_labels_share(planted: LabelledRows) -> None:
    first, second = split(planted, 1000)
    assert sorted([*first, *second]) == list(range(240))
    shares = planted.right[first].sum(axis=0) - planted.right[second].sum(axis=0)
    assert np.abs(shares).max() <= 2
    assert [len(part) for part in split(planted, 30)] == [30, 210]
    assert split(planted, 30)[0].tolist() == split(planted, 30)[0].tolist()


def test_two_templates_are_compared_on_the_same_rows(ask: Ask, planted: LabelledRows, tmp_path: Path) -> None:
    default = Side("A (default)", ask, QUESTION)
    better = Side("B (planted)", ask, replace(QUESTION, template=HypothesisTemplate(PLANTED)))
    document = compare(SUBJECT, planted, (default, better), ignored)
    assert document["verdict"] == "better"
    assert "B (planted) is better than A (default)" in document["sentence"]
    assert document["sides"][1]["figures"]["accuracy"]["value"] == pytest.approx(0.9)
    same = compare(SUBJECT, planted, (default, default), ignored)
    assert same["verdict"] == "undecided"
    profile = Profile(
        tuple(ProfileLabel(each.name, each.name) for each in LABELS), HypothesisTemplate(PLANTED), scorer="nli"
    )
    with fake_model(tmp_path, profile) as by_profile:
        side = Side("C", by_profile, replace(QUESTION, scorer=None))
        profiled = compare(SUBJECT, planted, (better, side), ignored)
    assert profiled["sides"][0]["figures"] == profiled["sides"][1]["figures"], "the profile words the question"


@pytest.mark.parametrize("share", [0.0, 1.0, 90.0])
def test_a_wish_that_is_no_share_is_refused(ask: Ask, planted: LabelledRows, share: float) -> None:
    with pytest.raises(InvalidInput, match="between 0 and 1"):
        evaluate(SUBJECT, planted, QUESTION, ask, ignored, Wishes(precision=share))
