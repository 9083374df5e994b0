"""Files whose labels are what the fake engine answers, so that it is known what an evaluation has to find."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from zerostart.bootstrap.classifier import build_bulk_classifier
from zerostart.evaluation.rows import LabelledRows
from zerostart.evaluation.scoring import Ask, Question, Scored, in_process, score
from zerostart.models.local_artefacts import BUILTIN_MODEL_ID
from zerostart.nli.classification import ScorerName
from zerostart.nli.labels import CandidateLabels, parse_labels
from zerostart.nli.profile import Profile
from zerostart.nli.template import HypothesisTemplate
from zerostart.settings import Settings

LABELS = parse_labels(["travel", "cooking", "finance", "health"])
PLANTED = "The wind sings of {}."


@contextmanager
def fake_model(home: Path, profile: Profile | None = None) -> Iterator[Ask]:
    """The built-in model's tokenizer before the engine that makes up its logits."""
    classifier = build_bulk_classifier(Settings(home=home, engine="fake"), BUILTIN_MODEL_ID, profile)
    try:
        yield in_process(classifier)
    finally:
        classifier.close()


def texts(count: int) -> tuple[str, ...]:
    return tuple(f"text number {number} of many" for number in range(count))


def ignored(_texts: int) -> None:
    """Progress that nobody watches."""


def asked(
    ask: Ask,
    own: Sequence[str],
    labels: CandidateLabels = LABELS,
    template: str = PLANTED,
    multi: bool = False,
    scorer: ScorerName | None = None,
) -> Scored:
    return score(ask, own, Question(labels, HypothesisTemplate(template), multi, scorer), ignored)


def labelled(own: Sequence[str], right: Sequence[int], labels: CandidateLabels = LABELS) -> LabelledRows:
    """A single-label file."""
    flags = np.eye(len(labels), dtype=bool)[list(right)]
    return LabelledRows(tuple(own), tuple(range(1, len(own) + 1)), labels, flags)
