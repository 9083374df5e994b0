"""Bulk classification: each pair's logits are its own, and a pair that was met is not computed again."""

import random
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from zerostart.bootstrap.classifier import build_bulk_classifier, build_classifier, build_scorer
from zerostart.engines.base import EncodedBatch, Logits
from zerostart.engines.fake import FakeEngine
from zerostart.errors import EngineFailure, InvalidInput
from zerostart.models.local_artefacts import BUILTIN_MODEL_ID, LocalArtefacts
from zerostart.nli.classification import ClassificationRequest
from zerostart.nli.labels import labels_per_text
from zerostart.serving.bulk import BulkClassifier, KnownPairs
from zerostart.serving.encoding import Scorer
from zerostart.serving.tokenizer import EncodedPair
from zerostart.settings import Settings

LABELS = ["travel", "cooking", "finance"]
WORDS = ["the", "trip", "was", "long", "we", "cooked", "rice", "for", "every", "bank", "in", "town", "before"]


def texts(count: int, seed: int = 0) -> list[str]:
    chosen = random.Random(seed)
    return [f"{n} " + " ".join(chosen.choices(WORDS, k=chosen.randint(1, 40))) for n in range(count)]


def request(text: str, labels: Any = tuple(LABELS), **options: Any) -> ClassificationRequest:
    return ClassificationRequest((text,), labels_per_text(labels, 1), **options)


@pytest.fixture(scope="module", params=["fp32", "bf16", "int8"])
def real(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[BulkClassifier]:
    settings = Settings(home=tmp_path_factory.mktemp("home"), precision=request.param, threads=2)
    built = build_bulk_classifier(settings, BUILTIN_MODEL_ID)
    yield built
    built.close()


class FragileEngine(FakeEngine):
    """Fails on batches with a certain token, and counts the pairs it is given."""

    def __init__(self, classes: int, poison: int | None = None) -> None:
        super().__init__(classes)
        self.poison = poison
        self.given = 0

    def logits(self, batch: EncodedBatch) -> Logits:
        if self.poison is not None and (batch.input_ids == self.poison).any():
            raise RuntimeError("poison")
        self.given += len(batch.input_ids)
        return super().logits(batch)


@pytest.fixture
def fragile(tmp_path: Path) -> Iterator[tuple[BulkClassifier, FragileEngine, Scorer]]:
    artefact = LocalArtefacts(tmp_path).find(BUILTIN_MODEL_ID)
    scorer = build_scorer(artefact)
    engine = FragileEngine(scorer.columns)
    built = BulkClassifier(artefact, scorer, engine, 512)
    yield built, engine, scorer
    built.close()


def test_scores_are_the_same_to_the_bit_whatever_is_classified_beside(real: BulkClassifier, tmp_path: Path) -> None:
    asked = texts(120)
    together = [asdict(answer[0]) for answer in real.classify_each(map(request, asked)) if isinstance(answer, list)]
    computed = real.computed_pairs
    settings = Settings(home=tmp_path, precision=real._engine.precision, threads=2)
    other = build_bulk_classifier(settings, BUILTIN_MODEL_ID)
    try:
        order = random.Random(1).sample(range(len(asked)), len(asked))
        apart = {}
        for start in range(0, len(order), 17):
            part = order[start : start + 17]
            for number, answer in zip(part, other.classify_each(request(asked[n]) for n in part), strict=True):
                assert isinstance(answer, list)
                apart[number] = asdict(answer[0])
    finally:
        other.close()
    assert [apart[number] for number in range(len(asked))] == together
    assert other.computed_pairs == computed == 3 * len(asked)


def test_scores_are_those_of_an_endpoint_up_to_rounding(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, precision="fp32", threads=2)
    bulk, classifier = build_bulk_classifier(settings, BUILTIN_MODEL_ID), build_classifier(settings, BUILTIN_MODEL_ID)
    try:
        asked = [request(text, multi_label=bool(n % 2)) for n, text in enumerate(texts(60))]
        for own, answer in zip(asked, bulk.classify_each(asked), strict=True):
            assert isinstance(answer, list)
            (expected,) = classifier.classify(own)
            assert answer[0].labels == expected.labels
            assert answer[0].scores == pytest.approx(expected.scores, abs=1e-4)
    finally:
        bulk.close()
        classifier.close()


def test_pairs_that_repeat_are_computed_once_also_in_a_later_call(
    fragile: tuple[BulkClassifier, FragileEngine, Scorer],
) -> None:
    bulk, engine, _ = fragile
    asked = texts(50)
    first = list(bulk.classify_each(map(request, asked * 3)))
    assert engine.given == 150
    assert first[:50] == first[50:100] == first[100:]
    assert list(bulk.classify_each(map(request, asked))) == first[:50]
    assert engine.given == 150
    assert (bulk.pairs, bulk.computed_pairs) == (600, 150)


def test_a_caller_who_goes_away_leaves_nothing_half_known(
    fragile: tuple[BulkClassifier, FragileEngine, Scorer],
) -> None:
    """Windows are read ahead: what was read and not computed must be computed when it is asked again."""
    bulk, engine, _ = fragile
    asked = texts(8000)
    expected = list(bulk.classify_each(map(request, asked)))
    other = BulkClassifier(bulk.artefact, fragile[2], engine, 512)
    answers = other.classify_each(map(request, asked))
    next(answers)
    del answers  # a generator that nobody holds is closed
    assert list(other.classify_each(map(request, asked))) == expected

    def broken() -> Iterator[ClassificationRequest]:
        yield from map(request, texts(100, seed=5))
        raise InvalidInput("the file ends here")

    with pytest.raises(InvalidInput, match="the file ends here"):
        list(other.classify_each(broken()))
    again = list(other.classify_each(map(request, texts(100, seed=5))))
    assert again == list(bulk.classify_each(map(request, texts(100, seed=5))))
    other.close()


def test_a_pair_that_the_engine_cannot_compute_fails_its_records_alone(
    fragile: tuple[BulkClassifier, FragileEngine, Scorer],
) -> None:
    bulk, engine, scorer = fragile
    asked = ["we cooked rice", "a poisonous rhinoceros", "we cooked rice again", "a poisonous rhinoceros"]
    engine.poison = int(scorer.tokenizer.hypothesis("rhinoceros")[0])
    answers = list(bulk.classify_each(map(request, asked)))
    assert [isinstance(each, EngineFailure) for each in answers] == [False, True, False, True]
    assert "poison" in str(answers[1])
    engine.poison = None
    answers = list(bulk.classify_each(map(request, asked)))
    assert all(isinstance(each, list) for each in answers), "it is tried again"


def test_a_record_of_too_many_pairs_is_refused(fragile: tuple[BulkClassifier, FragileEngine, Scorer]) -> None:
    bulk, _, _ = fragile
    many = ClassificationRequest(("a",) * 70_000, labels_per_text(["b"], 70_000))
    first, second = bulk.classify_each([many, request("we cooked rice")])
    assert isinstance(first, InvalidInput)
    assert "70000 pairs" in str(first)
    assert isinstance(second, list)


def test_a_full_ring_forgets_the_oldest_pairs_and_mixes_nothing_up() -> None:
    known = KnownPairs(1, capacity=100, in_flight=20)
    chosen = random.Random(3)
    computed = 0
    for _ in range(500):
        numbers = [chosen.randrange(150) for _ in range(10)]
        slots = []
        for number in numbers:
            slot, there = known.slot(EncodedPair(np.array([number]), np.array([1])))
            slots.append((slot, number, there))
        for slot, number, there in slots:
            if not there:
                known.settle([slot], np.array([[number]], dtype=np.float32))
                computed += 1
        assert known.logits([slot for slot, _, _ in slots])[:, 0].tolist() == numbers
    assert computed < 4000, "some were known"


def test_what_cannot_be_asked_keeps_its_place_and_nothing_piles_up(
    fragile: tuple[BulkClassifier, FragileEngine, Scorer],
) -> None:
    """A file of a million broken lines must not be held in memory until a good one comes."""
    bulk, _, _ = fragile
    read = 0

    def broken() -> Iterator[ClassificationRequest | InvalidInput]:
        nonlocal read
        for read in range(1, 100_001):
            yield InvalidInput(f"line {read}")
        yield request("we cooked rice")

    answers = bulk.classify_each(broken())
    assert [str(next(answers)) for _ in range(3)] == ["line 1", "line 2", "line 3"]
    assert read < 20_000
    rest = list(answers)
    assert len(rest) == 100_001 - 3
    assert isinstance(rest[-1], list)
