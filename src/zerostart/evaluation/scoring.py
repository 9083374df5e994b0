"""Scores of rows, from whoever classifies: a model in this process, or an endpoint."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from zerostart.errors import ZerostartError
from zerostart.evaluation.rows import Flags, Places
from zerostart.nli.classification import Classification, ClassificationRequest, ScorerName
from zerostart.nli.labels import CandidateLabels
from zerostart.nli.scoring import Scores
from zerostart.nli.template import HypothesisTemplate
from zerostart.serving.bulk import BulkClassifier

# Answers of requests, in their order; an error is raised.
Ask = Callable[[Iterable[ClassificationRequest]], Iterator[Sequence[Classification]]]
Progress = Callable[[int], None]
_PAIRS_A_REQUEST = 256


@dataclass(frozen=True)
class Question:
    """What is asked of each text."""

    labels: CandidateLabels
    template: HypothesisTemplate
    multi_label: bool = False
    scorer: ScorerName | None = None


@dataclass(frozen=True)
class Scored:
    """Scores, shape (rows, labels). `unsure` (rows) and `chosen` (rows, labels) where a profile was applied."""

    scores: Scores
    seconds: float = 0.0
    unsure: Flags | None = None
    chosen: Flags | None = None

    @property
    def best(self) -> Places:
        """The place of each row's top label; of equal scores the first."""
        return np.asarray(self.scores.argmax(axis=1))

    @property
    def answers(self) -> Flags:
        """The labels that each row is given in multi-label: by the profile, or from 0.5 on."""
        return self.scores >= 0.5 if self.chosen is None else self.chosen

    def taken(self, places: Places) -> "Scored":
        """The rows at these places."""
        unsure = None if self.unsure is None else self.unsure[places]
        chosen = None if self.chosen is None else self.chosen[places]
        return Scored(self.scores[places], self.seconds, unsure, chosen)


def in_process(classifier: BulkClassifier) -> Ask:
    """Answers of a model that is loaded here; pairs that it met before cost nothing."""

    def answers(requests: Iterable[ClassificationRequest]) -> Iterator[Sequence[Classification]]:
        for answer in classifier.classify_each(requests):
            if isinstance(answer, ZerostartError):
                raise answer
            yield answer

    return answers


def score(ask: Ask, texts: Sequence[str], question: Question, progress: Progress) -> Scored:
    """Ask for every text. `progress` hears of texts that are done. Raises what `ask` raises."""
    place = {label.name: number for number, label in enumerate(question.labels)}
    scores = np.zeros((len(texts), len(place)))
    unsure = np.zeros(len(texts), dtype=bool)
    chosen = np.zeros(scores.shape, dtype=bool)
    row = 0
    profiled = False
    started_s = time.perf_counter()
    for answers in ask(_requests(texts, question)):
        for each in answers:
            scores[row, [place[name] for name in each.labels]] = each.scores
            unsure[row] = bool(each.unsure)
            chosen[row, [place[name] for name in each.chosen or ()]] = True
            profiled = profiled or each.unsure is not None or each.chosen is not None
            row += 1
        progress(len(answers))
    seconds = time.perf_counter() - started_s
    if not profiled:
        return Scored(scores, seconds)
    return Scored(scores, seconds, chosen=chosen) if question.multi_label else Scored(scores, seconds, unsure=unsure)


def _requests(texts: Sequence[str], question: Question) -> Iterator[ClassificationRequest]:
    at_once = max(1, _PAIRS_A_REQUEST // len(question.labels))
    for start in range(0, len(texts), at_once):
        own = tuple(texts[start : start + at_once])
        labels = (question.labels,) * len(own)
        yield ClassificationRequest(own, labels, question.template, question.multi_label, scorer=question.scorer)
