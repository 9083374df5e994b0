"""The classifier: requests in, classifications out, over one model's tokenizer, batcher and engine."""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass

import numpy as np

from zerostart.engines.base import Logits
from zerostart.models.artefact import Artefact
from zerostart.nli.classification import Classification, ClassificationRequest, LongTextReport, ranked
from zerostart.nli.head import NLIHead
from zerostart.nli.labels import CandidateLabels
from zerostart.nli.scoring import best_windows, label_scores
from zerostart.nli.windows import premise_windows
from zerostart.serving.batcher import Batcher
from zerostart.serving.tokenizer import EncodedPair, Ids, PairTokenizer


@dataclass(frozen=True)
class _EncodedText:
    """The pairs of one text, windows outermost, and what became of a text that is too long."""

    pairs: list[EncodedPair]
    windows: int
    report: LongTextReport | None


@dataclass(frozen=True)
class PendingClassification:
    """A request whose pairs are in the queue. `logits` is its future: cancel it to drop the request."""

    request: ClassificationRequest
    head: NLIHead
    encoded: Sequence[_EncodedText]
    logits: "Future[Logits]"

    def result(self) -> list[Classification]:
        """One classification a text, in order; waits for the logits and raises what went wrong."""
        logits = self.logits.result()
        results, start = [], 0
        for text, labels, encoded in zip(self.request.texts, self.request.labels, self.encoded, strict=True):
            rows = logits[start : start + len(encoded.pairs)]
            start += len(encoded.pairs)
            results.append(self._classification(text, labels, encoded, rows))
        return results

    def _classification(
        self, text: str, labels: CandidateLabels, encoded: _EncodedText, rows: Logits
    ) -> Classification:
        multi_label = self.request.multi_label
        if encoded.windows > 1:
            label_of_row = np.tile(np.arange(len(labels)), encoded.windows)
            rows = best_windows(rows, label_of_row, len(labels), self.head, multi_label=multi_label)
        return ranked(text, labels, label_scores(rows, self.head, multi_label=multi_label), encoded.report)


class Classifier:
    """Classifies with one loaded model. Safe to call from many threads; their requests share batches."""

    def __init__(self, artefact: Artefact, tokenizer: PairTokenizer, batcher: Batcher) -> None:
        self.artefact = artefact
        self._tokenizer = tokenizer
        self.batcher = batcher

    def submit(self, request: ClassificationRequest) -> PendingClassification:
        """Tokenise and queue. Raises InvalidInput for a hypothesis that does not fit, and what the batcher raises."""
        encoded = [
            self._encode(text, labels, request) for text, labels in zip(request.texts, request.labels, strict=True)
        ]
        logits = self.batcher.submit([pair for each in encoded for pair in each.pairs])
        return PendingClassification(request, self.artefact.head, encoded, logits)

    def classify(self, request: ClassificationRequest) -> list[Classification]:
        """One classification a text, in the order of the texts."""
        return self.submit(request).result()

    def classify_each(
        self, requests: Iterable[ClassificationRequest], *, pairs_ahead: int = 2048
    ) -> Iterator[list[Classification]]:
        """The answers of `requests`, in order; about `pairs_ahead` pairs queue ahead, so the engine never waits."""
        pending: deque[PendingClassification] = deque()
        ahead = 0
        try:
            for request in requests:
                pending.append(self.submit(request))
                ahead += request.pairs
                while ahead > pairs_ahead:
                    ahead -= pending[0].request.pairs
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            for each in pending:
                each.logits.cancel()

    def close(self) -> None:
        """Stop the batcher and give the engine's memory back."""
        self.batcher.close()

    def _encode(self, text: str, labels: CandidateLabels, request: ClassificationRequest) -> _EncodedText:
        tokenizer = self._tokenizer
        premise = tokenizer.premise(text)
        hypotheses = [tokenizer.hypothesis(request.template.fill(label.description)) for label in labels]
        budgets = [tokenizer.premise_budget(h, label.name) for h, label in zip(hypotheses, labels, strict=True)]
        if len(premise) <= min(budgets):
            return _EncodedText([EncodedPair(premise, h) for h in hypotheses], 1, None)
        if request.long_text == "windows":
            return _windowed(premise, hypotheses, min(budgets))
        pairs = [EncodedPair(premise[:budget], h) for h, budget in zip(hypotheses, budgets, strict=True)]
        return _EncodedText(pairs, 1, LongTextReport("truncate", 1, len(premise) - min(budgets)))


def _windowed(premise: Ids, hypotheses: Sequence[Ids], budget: int) -> _EncodedText:
    """Every label sees the same windows, so that their scores can be compared."""
    windows = premise_windows(len(premise), budget)
    pairs = [EncodedPair(premise[window], hypothesis) for window in windows for hypothesis in hypotheses]
    return _EncodedText(pairs, len(windows), LongTextReport("windows", len(windows), 0))
