"""Measuring a model on this machine: each engine and precision on the same texts."""

import statistics
import time
import tomllib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from zerostart.bootstrap.classifier import build_classifier
from zerostart.errors import InvalidInput, ZerostartError
from zerostart.models.local_artefacts import LocalArtefacts
from zerostart.models.tuning import Measurement, Tuning, write_tuning
from zerostart.nli.classification import Classification, ClassificationRequest
from zerostart.nli.labels import CandidateLabels, parse_labels
from zerostart.serving.classifier import Classifier
from zerostart.settings import Settings

SAMPLES = Path(__file__).parent.parent / "models" / "samples.toml"
REFERENCE = ("openvino", "fp32")
_REPEATS = 3
_CANDIDATES = (
    REFERENCE,
    ("openvino", "bf16"),
    ("openvino", "int8"),
    ("onnxruntime", "fp32"),
    ("torch", "fp32"),
    ("torch", "bf16"),
)


@dataclass(frozen=True)
class Samples:
    """Texts, and sets of labels by what they tell apart."""

    texts: tuple[str, ...]
    labels: dict[str, CandidateLabels]

    def requests(self) -> list[ClassificationRequest]:
        """Every text with every set of labels."""
        return [ClassificationRequest((text,), (labels,)) for labels in self.labels.values() for text in self.texts]


@cache
def own_samples() -> Samples:
    """The texts that come with the package."""
    document = tomllib.loads(SAMPLES.read_text("utf-8"))
    return Samples(
        tuple(document["texts"]["all"]), {name: parse_labels(labels) for name, labels in document["labels"].items()}
    )


def samples_of(path: Path, labels: str) -> Samples:
    """The texts of a file, one a line, with a caller's labels. Raises InvalidInput."""
    try:
        texts = tuple(line.strip() for line in path.read_text("utf-8").splitlines() if line.strip())
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{path} cannot be read as texts: {error}.") from error
    if not texts:
        raise InvalidInput(f"{path} holds no text: write one a line.")
    return Samples(texts, {"labels": parse_labels(labels, "--labels")})


def candidates() -> list[tuple[str, str]]:
    """Engines that are installed here, each in every precision that it might be used in."""
    return [(engine, precision) for engine, precision in _CANDIDATES if find_spec(engine) is not None]


def measure(
    settings: Settings,
    model_id: str,
    chosen: Sequence[tuple[str, str]],
    samples: Samples,
    on_progress: Callable[[str], None],
) -> Tuning:
    """Measure `chosen` (engine, precision), compare each with fp32, and keep the result. Raises ZerostartError.

    An engine that cannot run the model is left out, and `on_progress` hears why.
    """
    artefact = LocalArtefacts(settings.models_folder).find(model_id)
    requests = samples.requests()
    expected: list[Classification] | None = None
    found: list[Measurement] = []
    for engine, precision in (REFERENCE, *(each for each in chosen if each != REFERENCE)):
        on_progress(f"{engine} {precision}")
        try:
            with _loaded(settings, model_id, engine, precision) as classifier:
                answers = [answer for own in classifier.classify_each(requests) for answer in own]
                pairs_per_s = _speed(classifier, requests[: len(samples.texts)])
        except ZerostartError as error:
            if expected is None:
                raise
            on_progress(f"{engine} {precision} is left out: {error}")
            continue
        expected = expected or answers
        found.append(_measurement(engine, precision, pairs_per_s, expected, answers))
    return write_tuning(settings.tuning_folder, artefact, len(requests), found)


@contextmanager
def _loaded(settings: Settings, model_id: str, engine: str, precision: str) -> Iterator[Classifier]:
    classifier = build_classifier(settings.with_values(engine=engine, precision=precision), model_id)
    try:
        yield classifier
    finally:
        classifier.close()


def _speed(classifier: Classifier, requests: list[ClassificationRequest]) -> float:
    """Pairs a second, the median of several times."""
    seconds = []
    for _ in range(_REPEATS):
        started_s = time.perf_counter()
        for _answers in classifier.classify_each(requests):
            pass
        seconds.append(time.perf_counter() - started_s)
    return sum(request.pairs for request in requests) / statistics.median(seconds)


def _measurement(
    engine: str, precision: str, pairs_per_s: float, expected: list[Classification], answers: list[Classification]
) -> Measurement:
    differences: list[float] = []
    same = 0
    for right, answer in zip(expected, answers, strict=True):
        same += right.labels[0] == answer.labels[0]
        scores = dict(zip(answer.labels, answer.scores, strict=True))
        differences += [abs(score - scores[label]) for label, score in zip(right.labels, right.scores, strict=True)]
    return Measurement(
        engine,
        precision,
        pairs_per_s,
        same / len(expected),
        max(differences),
        statistics.fmean(differences),
    )
