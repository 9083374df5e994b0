from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.tiny_models import MAX_TOKENS, SENTENCES, weightless_artefact
from zerostart.bootstrap.classifier import build_classifier
from zerostart.errors import InvalidArtefact, InvalidInput, UnknownModel
from zerostart.metrics import CountedBatch
from zerostart.models.local_artefacts import BUILTIN_MODEL_ID
from zerostart.nli.classification import Classification, ClassificationRequest
from zerostart.nli.labels import labels_per_text
from zerostart.serving.classifier import Classifier
from zerostart.settings import Settings

LABELS = ["travel", "cooking", "finance", "health", "sport"]
TOPICS = ["travel", "cooking", "finance", "sport"]  # of the first four sentences
LONG = " ".join(SENTENCES * 5)


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Classifier]:
    """The built-in model on the default engine."""
    settings = Settings(home=tmp_path_factory.mktemp("home"), precision="fp32", threads=2)
    built = build_classifier(settings, BUILTIN_MODEL_ID)
    yield built
    built.close()


@pytest.fixture(scope="module")
def short_reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Classifier]:
    """A fake model that reads few tokens."""
    home = tmp_path_factory.mktemp("home")
    weightless_artefact(home / "models" / "tiny")
    built = build_classifier(Settings(home=home, engine="fake"), "tiny")
    yield built
    built.close()


def request(*texts: str, labels: Any = tuple(LABELS), **options: Any) -> ClassificationRequest:
    return ClassificationRequest(texts, labels_per_text(labels, len(texts)), **options)


def scores(result: Classification) -> dict[str, float]:
    return dict(zip(result.labels, result.scores, strict=True))


def test_real_sentences_get_their_topic(classifier: Classifier) -> None:
    results = classifier.classify(request(*SENTENCES[:4]))
    assert [result.labels[0] for result in results] == TOPICS
    assert [result.text for result in results] == list(SENTENCES[:4])
    for result in results:
        assert list(result.scores) == sorted(result.scores, reverse=True)
        assert sum(result.scores) == pytest.approx(1)
        assert result.long_text is None


def test_a_description_changes_the_score_and_not_the_name(classifier: Classifier) -> None:
    labels = {"x1": "about food and recipes", "x2": "about money and banks"}
    (result,) = classifier.classify(request(SENTENCES[1], labels=labels))
    assert set(result.labels) == {"x1", "x2"}
    (wording,) = classifier.classify(request(SENTENCES[1], labels=list(labels.values())))
    assert result.scores == pytest.approx(wording.scores, abs=1e-5)
    assert result.labels[0] == "x1"


def test_each_text_may_have_labels_of_its_own(classifier: Classifier) -> None:
    own = [["cooking", "sport"], ["finance"], {"t": "travel", "f": "finance"}]
    together = classifier.classify(request(*SENTENCES[:3], labels=own))
    for text, labels, result in zip(SENTENCES, own, together, strict=False):
        (alone,) = classifier.classify(request(text, labels=labels))
        assert result.labels == alone.labels
        assert result.scores == pytest.approx(alone.scores, abs=1e-4)


@pytest.mark.parametrize("multi_label", [False, True])
def test_scores_are_the_same_alone_and_in_a_crowd(classifier: Classifier, multi_label: bool) -> None:
    texts = [f"{SENTENCES[i % 6]} {' '.join(SENTENCES[: i % 4])}" for i in range(24)]
    requests = [request(text, multi_label=multi_label) for text in texts]
    alone = [classifier.classify(each)[0] for each in requests]
    with ThreadPoolExecutor(12) as threads:
        crowd = [answer[0] for answer in threads.map(classifier.classify, requests)]
    for first, second in zip(alone, crowd, strict=True):
        assert first.text == second.text
        assert scores(first) == pytest.approx(scores(second), abs=1e-4)


def test_a_text_that_fits_has_no_report(short_reader: Classifier) -> None:
    assert short_reader.classify(request("the world"))[0].long_text is None


def test_truncating_reports_the_tokens_that_were_not_read(short_reader: Classifier) -> None:
    (result,) = short_reader.classify(request(LONG))
    report = result.long_text
    assert report is not None
    assert (report.mode, report.windows) == ("truncate", 1)
    assert report.dropped_tokens > MAX_TOKENS
    (start,) = short_reader.classify(request(LONG + " and much more that nobody reads"))
    assert start.scores == result.scores


def test_windows_read_everything_and_keep_the_best(short_reader: Classifier) -> None:
    for label in LABELS:
        (read,) = short_reader.classify(request(LONG, labels=[label], long_text="windows"))
        (cut,) = short_reader.classify(request(LONG, labels=[label]))
        assert read.scores >= cut.scores, "the first window is what truncating reads"
        report = read.long_text
        assert report is not None
        assert (report.mode, report.dropped_tokens) == ("windows", 0)
        assert report.windows > 2


def test_a_topic_at_the_end_of_a_long_text_is_found_by_windows_alone(classifier: Classifier) -> None:
    text = "The committee met on Monday and read the minutes. " * 70 + SENTENCES[1] * 25
    labels = ["cooking", "travel"]
    (cut,) = classifier.classify(request(text, labels=labels, multi_label=True))
    (read,) = classifier.classify(request(text, labels=labels, multi_label=True, long_text="windows"))
    assert scores(read)["cooking"] > scores(cut)["cooking"] + 0.3
    assert cut.long_text is not None
    assert read.long_text is not None
    assert (cut.long_text.dropped_tokens > 0, read.long_text.dropped_tokens) == (True, 0)


def test_a_hypothesis_that_does_not_fit_is_an_error_that_names_the_label(short_reader: Classifier) -> None:
    endless = "travel " * MAX_TOKENS
    with pytest.raises(InvalidInput, match="hypothesis for label 'far'"):
        short_reader.classify(request("the world", labels={"near": "x", "far": endless}))
    assert short_reader.classify(request("the world"))[0].labels


def test_answers_to_many_requests_come_in_their_order(short_reader: Classifier) -> None:
    texts = [f"the world {i}" for i in range(50)]
    answers = short_reader.classify_each((request(text) for text in texts), pairs_ahead=20)
    assert [result.text for (result,) in answers] == texts


def test_leaving_early_drops_what_waits(short_reader: Classifier) -> None:
    answers = short_reader.classify_each((request(*SENTENCES * 20) for _ in range(10)), pairs_ahead=5000)
    next(answers)
    answers.close()  # type: ignore[attr-defined]
    assert len(short_reader.classify(request("the world"))) == 1


def test_batches_are_counted(tmp_path: Path) -> None:
    weightless_artefact(tmp_path / "models" / "tiny")
    counted: list[CountedBatch] = []
    built = build_classifier(Settings(home=tmp_path, engine="fake"), "tiny", counted.append)
    built.classify(request("the world", "a day"))
    built.close()
    assert sum(batch.pairs for batch in counted) == 2 * len(LABELS)


def test_an_altered_model_is_not_loaded(tmp_path: Path) -> None:
    folder = weightless_artefact(tmp_path / "models" / "tiny").folder
    (folder / "tokenizer.json").write_text("{}")
    with pytest.raises(InvalidArtefact, match="was altered"):
        build_classifier(Settings(home=tmp_path, engine="fake"), "tiny")


def test_an_unknown_model_is_not_loaded(tmp_path: Path) -> None:
    with pytest.raises(UnknownModel, match="'nothing' is not on this machine"):
        build_classifier(Settings(home=tmp_path), "nothing")
