"""Scoring by embeddings, with an engine that embeds words by hand."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.tiny_models import weightless_artefact
from zerostart.bootstrap.classifier import build_scorer
from zerostart.engines.base import EncodedBatch, Logits
from zerostart.errors import InvalidInput, InvalidLogits
from zerostart.nli.classification import Classification, ClassificationRequest
from zerostart.nli.labels import labels_per_text
from zerostart.nli.template import HypothesisTemplate
from zerostart.serving.batcher import Batcher, BatchLimits
from zerostart.serving.bulk import BulkClassifier
from zerostart.serving.classifier import Classifier

DIMENSION = 64


class BagOfWordsEngine:
    """An embedding is which tokens are there, so that texts with common words are near each other."""

    name = "bag"
    precision = "fp32"
    streams = 1

    def __init__(self) -> None:
        self.rows = 0
        self.broken = False

    def logits(self, batch: EncodedBatch) -> Logits:
        self.rows += batch.pairs
        embeddings = np.zeros((batch.pairs, DIMENSION), dtype=np.float32)
        for row, (ids, mask) in enumerate(zip(batch.input_ids, batch.attention_mask, strict=True)):
            np.add.at(embeddings[row], ids[mask == 1] % DIMENSION, 1)
        return embeddings * (np.nan if self.broken else 1)

    def close(self) -> None:
        """Nothing to give back."""


@pytest.fixture
def engine() -> BagOfWordsEngine:
    return BagOfWordsEngine()


@pytest.fixture
def classifier(tmp_path: Path, engine: BagOfWordsEngine) -> Iterator[Classifier]:
    artefact = weightless_artefact(tmp_path / "bag", "bag", kind="embedding", dimension=DIMENSION, classes=())
    scorer = build_scorer(artefact)
    batcher = Batcher(engine, scorer.tokenizer.batch, special_tokens=2, limits=BatchLimits())
    made = Classifier(artefact, scorer, batcher)
    yield made
    made.close()


def asked(texts: list[str], labels: object, **options: object) -> ClassificationRequest:
    template = HypothesisTemplate("{}")
    return ClassificationRequest(tuple(texts), labels_per_text(labels, len(texts)), template, **options)  # type: ignore[arg-type]


def test_the_label_that_is_nearest_comes_first_and_scores_sum_to_one(classifier: Classifier) -> None:
    [first, second] = classifier.classify(asked(["the travel plan", "cook the meal"], ["cook", "travel"]))
    assert (first.labels[0], second.labels[0]) == ("travel", "cook")
    assert sum(first.scores) == pytest.approx(1)


def test_every_text_and_every_label_is_computed_once(classifier: Classifier, engine: BagOfWordsEngine) -> None:
    labels = [f"label {number}" for number in range(30)]
    classifier.classify(asked(["one text", "another text"], labels))
    assert engine.rows == 2 + 30
    classifier.classify(asked(["a third text"], labels))
    assert engine.rows == 2 + 30 + 1, "labels are kept from one request to the next"
    classifier.classify(asked(["a text"], [*labels, "a new label"]))
    assert engine.rows == 2 + 30 + 1 + 2


def test_multi_label_scores_do_not_depend_on_each_other(classifier: Classifier) -> None:
    [alone] = classifier.classify(asked(["the travel plan"], ["travel"]))
    [both] = classifier.classify(asked(["the travel plan"], ["travel", "cook"], multi_label=True))
    assert both.scores[0] == pytest.approx(alone.scores[0])
    assert 0 < both.scores[1] < both.scores[0] < 1


def test_a_text_that_is_too_long_is_cut_or_read_in_windows(classifier: Classifier) -> None:
    text = "dog " * 200 + "travel"
    [cut] = classifier.classify(asked([text], ["travel", "dog"]))
    assert cut.long_text is not None
    assert (cut.long_text.mode, cut.long_text.dropped_tokens) == ("truncate", 139)
    [read] = classifier.classify(asked([text], ["travel", "dog"], long_text="windows", multi_label=True))
    assert read.long_text is not None
    assert read.long_text.windows > 1
    assert read.scores[read.labels.index("travel")] > cut.scores[cut.labels.index("travel")]


def test_a_label_that_is_too_long_is_named(classifier: Classifier) -> None:
    with pytest.raises(InvalidInput, match="hypothesis for label 'dog dog"):
        classifier.classify(asked(["a text"], ["dog " * 200]))


def test_nan_is_an_error(classifier: Classifier, engine: BagOfWordsEngine) -> None:
    engine.broken = True
    with pytest.raises(InvalidLogits):
        classifier.classify(asked(["a text"], ["a", "b"]))


def test_jobs_score_as_endpoints_do(classifier: Classifier, engine: BagOfWordsEngine) -> None:
    texts = [f"the {word} plan {number}" for number in range(60) for word in ("travel", "cook", "dog")]
    requests = [asked([text], ["travel", "cook", "dog"]) for text in texts]
    bulk = BulkClassifier(classifier.artefact, build_scorer(classifier.artefact), engine, 512)
    answers = list(bulk.classify_each(requests))
    bulk.close()
    for text, answer in zip(texts, answers, strict=True):
        assert isinstance(answer, list)
        [own] = classifier.classify(asked([text], ["travel", "cook", "dog"]))
        assert answer[0].labels == own.labels
        assert answer[0].scores == pytest.approx(own.scores)
    assert isinstance(answers[0], list)
    assert isinstance(answers[0][0], Classification)
