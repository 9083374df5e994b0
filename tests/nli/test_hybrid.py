"""Two views of a label in one score."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zerostart.errors import InvalidInput
from zerostart.nli.classification import Classification, ClassificationRequest, ScorerName
from zerostart.nli.hybrid import Blend, TwoViews, scorer_choice
from zerostart.nli.labels import labels_per_text

BLEND = Blend("embedder", nli=1.0, embedding=1.0, multi_nli=1.0, multi_embedding=1.0, multi_bias=0.0)
shares = st.lists(st.floats(0, 1), min_size=2, max_size=12)


def request(
    *labels: str, scorer: ScorerName | None = None, multi_label: bool = False, shortlist: int | None = None
) -> ClassificationRequest:
    asked = labels_per_text(list(labels), 1)
    return ClassificationRequest(("a text",), asked, multi_label=multi_label, shortlist=shortlist, scorer=scorer)


def classification(**scores: float) -> Classification:
    ordered = sorted(scores.items(), key=lambda item: -item[1])
    return Classification("a text", tuple(name for name, _ in ordered), tuple(score for _, score in ordered))


def test_both_views_are_multiplied() -> None:
    scores = BLEND.scores(np.array([0.8, 0.2]), np.array([0.25, 0.75]), multi_label=False)
    assert scores == pytest.approx([0.2 / 0.35, 0.15 / 0.35])


def test_multi_label_adds_the_log_odds() -> None:
    scores = BLEND.scores(np.array([0.8, 0.5]), np.array([0.5, 0.9]), multi_label=True)
    assert scores == pytest.approx([0.8, 0.9])
    shifted = replace(BLEND, multi_bias=math.log(3)).scores(np.array([0.5]), np.array([0.5]), multi_label=False)
    assert shifted == pytest.approx([0.75]), "one label alone is scored as in multi-label"


@given(shares, st.booleans(), st.floats(0, 3), st.floats(0, 3))
def test_scores_are_shares_and_a_better_label_in_both_views_is_better(
    values: list[float], multi_label: bool, nli: float, embedding: float
) -> None:
    blend = Blend("embedder", nli, embedding, nli, embedding, 0.1)
    rising = np.sort(np.array(values))
    scores = blend.scores(rising, rising, multi_label=multi_label)
    assert ((scores >= 0) & (scores <= 1)).all()
    assert (np.diff(scores) >= -1e-12).all()
    if not multi_label:
        assert scores.sum() == pytest.approx(1)


def test_a_weight_of_nothing_leaves_the_other_view() -> None:
    views = TwoViews(replace(BLEND, embedding=0.0))
    scored, ranked = classification(a=0.7, b=0.2, c=0.1), classification(c=0.9, b=0.06, a=0.04)
    (answer,) = views.answer(request("a", "b", "c"), [scored], [ranked])
    assert answer.labels == scored.labels
    assert answer.scores == pytest.approx(scored.scores)
    (answer,) = TwoViews(replace(BLEND, nli=0.0)).answer(request("a", "b", "c"), [scored], [ranked])
    assert answer.labels == ranked.labels
    assert answer.scores == pytest.approx(ranked.scores)


def test_with_a_shortlist_the_best_are_blended_and_the_others_follow() -> None:
    views, asked = TwoViews(BLEND), request("a", "b", "c", shortlist=2)
    ranked = classification(c=0.6, b=0.3, a=0.1)
    to_score = views.to_score(asked, [ranked])
    assert [label.name for label in to_score.labels[0]] == ["b", "c"]
    assert to_score.scorer == "nli"
    (answer,) = views.answer(asked, [classification(b=0.9, c=0.1)], [ranked])
    assert (answer.labels, answer.shortlist) == (("b", "c", "a"), 2)
    assert answer.scores[0] / answer.scores[1] == pytest.approx(0.27 / 0.06)
    assert sum(answer.scores) == pytest.approx(1)


def test_a_shortlist_of_one_is_what_the_embedding_says() -> None:
    ranked = classification(c=0.6, b=0.3, a=0.1)
    (answer,) = TwoViews(BLEND).answer(request("a", "b", "c", shortlist=1), [classification(c=0.4)], [ranked])
    assert answer.labels == ("c", "b", "a")


def test_who_is_asked_what() -> None:
    plain, hybrid, ranked = TwoViews(), TwoViews(BLEND), [classification(a=0.6, b=0.4)]
    assert not plain.needs_embedding(request("a", "b"))
    assert plain.needs_embedding(request("a", "b", shortlist=1))
    assert hybrid.needs_embedding(request("a", "b"))
    assert not hybrid.needs_embedding(request("a", "b", scorer="nli"))
    assert hybrid.to_rank(request("a", "b", multi_label=True)).multi_label
    assert not hybrid.to_rank(request("a", "b", scorer="nli", multi_label=True, shortlist=1)).multi_label
    for views in (plain, hybrid):
        assert not views.to_score(request("a", "b"), ranked).multi_label
        assert views.to_score(request("a", "b", multi_label=True), ranked).multi_label
    with pytest.raises(InvalidInput, match=r"has no hybrid scorer.*send 'nli'"):
        plain.needs_embedding(request("a", "b", scorer="hybrid"))


@pytest.mark.parametrize("value", ["", "best", 1, True, ["nli"]])
def test_an_unknown_scorer_is_named(value: object) -> None:
    with pytest.raises(InvalidInput, match=r"'parameters\.scorer' is .*: send 'nli' or 'hybrid'"):
        scorer_choice(value, "parameters.scorer")
    assert scorer_choice(None, "scorer") is None
