"""What is asked of the classifier, and what it answers."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Literal

from zerostart.nli.labels import CandidateLabels
from zerostart.nli.scoring import Scores, ranking
from zerostart.nli.template import HypothesisTemplate
from zerostart.nli.windows import LongText

ScorerName = Literal["nli", "hybrid"]


@dataclass(frozen=True)
class ClassificationRequest:
    """Texts, the candidate labels of each, and how to score them.

    `shortlist` is how many labels of a text the NLI model scores, the best by an embedding; "auto" decides by their
    number, None is all. `scorer` is whether an embedding has a say in the scores; None leaves it to the model.
    `reproducible` scores are the same to the bit whatever else the model is asked at the time.
    """

    texts: tuple[str, ...]
    labels: tuple[CandidateLabels, ...]
    template: HypothesisTemplate = field(default_factory=HypothesisTemplate)
    multi_label: bool = False
    long_text: LongText = "truncate"
    shortlist: int | Literal["auto"] | None = None
    scorer: ScorerName | None = None
    reproducible: bool = False

    @property
    def pairs(self) -> int:
        """How many premise/hypothesis pairs this makes, before windows and without a shortlist."""
        return sum(len(labels) for labels in self.labels)

    def chunks(self, pairs: int) -> "Iterator[ClassificationRequest]":
        """The same request in parts of about `pairs` pairs, at least one text each, in the order of the texts."""
        start = count = 0
        for i, labels in enumerate(self.labels):
            if count and count + len(labels) > pairs:
                yield replace(self, texts=self.texts[start:i], labels=self.labels[start:i])
                start, count = i, 0
            count += len(labels)
        yield replace(self, texts=self.texts[start:], labels=self.labels[start:])


@dataclass(frozen=True)
class LongTextReport:
    """What was done with a text that did not fit: how it was read, in how many windows, and what was left unread."""

    mode: LongText
    windows: int
    dropped_tokens: int


@dataclass(frozen=True)
class Classification:
    """Labels of one text, highest score first; `long_text` is None where the text fitted.

    `shortlist` is how many labels, the first ones, the NLI model scored where it did not score all. Where a profile was
    applied, `unsure` tells of a single-label answer whether it is not to be relied on, and `chosen` the labels of a
    multi-label one that hold.
    """

    text: str
    labels: tuple[str, ...]
    scores: tuple[float, ...]
    long_text: LongTextReport | None = None
    shortlist: int | None = None
    unsure: bool | None = None
    chosen: tuple[str, ...] | None = None


def ranked(text: str, labels: CandidateLabels, scores: Scores, long_text: LongTextReport | None) -> Classification:
    """The classification of `text` from `scores`, shape (labels,), in the order of `labels`."""
    order = ranking(scores)
    return Classification(text, tuple(labels[i].name for i in order), tuple(float(scores[i]) for i in order), long_text)
