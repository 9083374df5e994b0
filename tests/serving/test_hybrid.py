"""Hybrid scoring with real models, for one request and for many."""

import shutil
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.tiny_models import BUILTIN, SENTENCES, edit_manifest
from zerostart.bootstrap.classifier import build_bulk_classifier, build_classifier
from zerostart.errors import InvalidArtefact, InvalidInput
from zerostart.models.artefact import read_artefact
from zerostart.nli.classification import Classification, ClassificationRequest
from zerostart.nli.hybrid import Blend
from zerostart.nli.labels import labels_per_text
from zerostart.serving.bulk import BulkClassifier
from zerostart.serving.classifier import Classifier
from zerostart.settings import Settings

EMBEDDER = "zerostart-embed-base"
LABELS = ["travel", "cooking", "finance", "health", "sport"]
BLEND = Blend(EMBEDDER, 0.5, 1.0, 0.4, 0.8, -0.2)


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """With a copy of the built-in NLI model that has weights for both views, and one that has none."""
    home = tmp_path_factory.mktemp("home")
    for name, blend in (("both", asdict(BLEND)), ("alone", None)):
        shutil.copytree(BUILTIN, home / "models" / name)
        edit_manifest(home / "models" / name, model_id=name, blend=blend)
    return Settings(home=home, precision="fp32", threads=2)


@pytest.fixture(scope="module")
def classifiers(settings: Settings) -> Iterator[dict[str, Classifier]]:
    built = {name: build_classifier(settings, name) for name in ("both", "alone", EMBEDDER)}
    yield built
    for each in built.values():
        each.close()


@pytest.fixture(scope="module")
def bulk(settings: Settings) -> Iterator[dict[str, BulkClassifier]]:
    built = {name: build_bulk_classifier(settings, name) for name in ("both", "alone")}
    yield built
    for each in built.values():
        each.close()


def request(*texts: str, labels: Any = tuple(LABELS), **options: Any) -> ClassificationRequest:
    return ClassificationRequest(texts, labels_per_text(labels, len(texts)), **options)


def scores(result: Classification) -> dict[str, float]:
    return dict(zip(result.labels, result.scores, strict=True))


@pytest.mark.parametrize("multi_label", [False, True])
def test_scores_are_those_of_both_models_put_together(classifiers: dict[str, Classifier], multi_label: bool) -> None:
    asked = request(*SENTENCES[:4], multi_label=multi_label)
    both, embedding = (classifiers[name].classify(asked) for name in ("both", EMBEDDER))
    nli = classifiers["alone"].classify(asked)
    for one, entailed, similar in zip(both, nli, embedding, strict=True):
        assert sorted(one.labels) == sorted(LABELS)
        assert list(one.scores) == sorted(one.scores, reverse=True)
        names = list(entailed.labels)
        near = scores(similar)
        expected = BLEND.scores(
            np.array(entailed.scores), np.array([near[name] for name in names]), multi_label=multi_label
        )
        assert [scores(one)[name] for name in names] == pytest.approx(expected, abs=1e-4)


def test_the_nli_scorer_is_there_for_who_asks(classifiers: dict[str, Classifier]) -> None:
    asked = request(*SENTENCES[:4], scorer="nli")
    for own, alone in zip(classifiers["both"].classify(asked), classifiers["alone"].classify(asked), strict=True):
        assert scores(own) == pytest.approx(scores(alone), abs=1e-5)


def test_a_model_without_weights_says_so(classifiers: dict[str, Classifier], bulk: dict[str, BulkClassifier]) -> None:
    asked = request("a text", scorer="hybrid")
    for name in ("alone", EMBEDDER):
        with pytest.raises(InvalidInput, match="has no hybrid scorer"):
            classifiers[name].classify(asked)
    refused, answered = bulk["alone"].classify_each([asked, request("a text")])
    assert isinstance(refused, InvalidInput)
    assert isinstance(answered, list)


@pytest.mark.parametrize("options", [{}, {"multi_label": True}, {"shortlist": 2}, {"scorer": "nli"}])
def test_many_requests_are_scored_as_one_is(
    classifiers: dict[str, Classifier], bulk: dict[str, BulkClassifier], options: dict[str, Any]
) -> None:
    asked = [request(text, **options) for text in SENTENCES]
    answers = list(bulk["both"].classify_each(asked))
    for each, answer in zip(asked, answers, strict=True):
        assert isinstance(answer, list)
        (alone,) = classifiers["both"].classify(each)
        assert scores(answer[0]) == pytest.approx(scores(alone), abs=1e-3)
        assert answer[0].shortlist == alone.shortlist
    assert list(bulk["both"].classify_each(reversed(asked))) == answers[::-1], "to the bit, in any order"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"nli": "much"}, "not a manifest that can be read"),
        ({"nli": float("inf")}, "a weight that is no number"),
        ({"weight": 1.0}, "not a manifest that can be read"),
        ({"embedding_model": "../elsewhere"}, "no model id"),
    ],
)
def test_a_wrong_blend_in_a_manifest_is_refused(tmp_path: Path, values: dict[str, Any], message: str) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(BUILTIN, folder)
    edit_manifest(folder, blend=asdict(BLEND) | values)
    with pytest.raises(InvalidArtefact, match=message):
        read_artefact(folder)
