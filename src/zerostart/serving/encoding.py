"""From a request to encoded pairs, and from the engine's rows back to classifications: one scorer a kind of model."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from zerostart.engines.base import Logits
from zerostart.nli.classification import Classification, ClassificationRequest, LongTextReport, ranked
from zerostart.nli.head import NLIHead
from zerostart.nli.labels import CandidateLabels
from zerostart.nli.scoring import best_windows, label_scores
from zerostart.nli.windows import premise_windows
from zerostart.serving.tokenizer import EncodedPair, Ids, PairTokenizer, distinct


@dataclass(frozen=True)
class EncodedText:
    """The pairs of one text, and what became of a text that is too long. With `windows`, these are outermost."""

    pairs: list[EncodedPair]
    windows: int
    report: LongTextReport | None


class Scorer(Protocol):
    """What a kind of model makes of a request. `columns` is how long a row is that the engine answers for a pair."""

    tokenizer: PairTokenizer
    columns: int

    def encoded(self, request: ClassificationRequest) -> Sequence[EncodedText]:
        """Every text of a request. Raises InvalidInput for a hypothesis that does not fit."""
        ...

    def classified(
        self, request: ClassificationRequest, encoded: Sequence[EncodedText], rows: Logits
    ) -> Iterator[Classification]:
        """One classification a text, in order, from the rows of all its pairs, shape (pairs, columns)."""
        ...

    def tokens(self, request: ClassificationRequest, encoded: Sequence[EncodedText]) -> int:
        """How many tokens the model reads for a request: the same ones for the same request, whatever was kept."""
        ...


class NLIScorer:
    """A row is a pair's logits: how far the text entails the hypothesis."""

    def __init__(self, tokenizer: PairTokenizer, head: NLIHead) -> None:
        self.tokenizer = tokenizer
        self.columns = len(head.classes)
        self._head = head

    def encoded(self, request: ClassificationRequest) -> Sequence[EncodedText]:
        """A pair for each label of each text, and each window of it."""
        premises = {text: self.tokenizer.premise(text) for text in dict.fromkeys(request.texts)}
        both = zip(request.texts, request.labels, strict=True)
        return [self._text(premises[text], labels, request) for text, labels in both]

    def tokens(self, request: ClassificationRequest, encoded: Sequence[EncodedText]) -> int:
        """Of every pair once, with the special tokens and without padding."""
        del request
        pairs, _ = distinct([pair for each in encoded for pair in each.pairs])
        return sum(pair.content_tokens + self.tokenizer.template.special_tokens for pair in pairs)

    def classified(
        self, request: ClassificationRequest, encoded: Sequence[EncodedText], rows: Logits
    ) -> Iterator[Classification]:
        """By the entailment of each label."""
        start = 0
        for text, labels, each in zip(request.texts, request.labels, encoded, strict=True):
            own = rows[start : start + len(each.pairs)]
            start += len(each.pairs)
            if each.windows > 1:
                label_of_row = np.tile(np.arange(len(labels)), each.windows)
                own = best_windows(own, label_of_row, len(labels), self._head, multi_label=request.multi_label)
            yield ranked(text, labels, label_scores(own, self._head, multi_label=request.multi_label), each.report)

    def _text(self, premise: Ids, labels: CandidateLabels, request: ClassificationRequest) -> EncodedText:
        tokenizer = self.tokenizer
        hypotheses = [tokenizer.hypothesis(request.template.fill(label.description)) for label in labels]
        budgets = [tokenizer.premise_budget(h, label.name) for h, label in zip(hypotheses, labels, strict=True)]
        if len(premise) <= min(budgets):
            return EncodedText([EncodedPair(premise, h) for h in hypotheses], 1, None)
        if request.long_text == "windows":
            return _windowed(premise, hypotheses, min(budgets))
        pairs = [EncodedPair(premise[:budget], h) for h, budget in zip(hypotheses, budgets, strict=True)]
        return EncodedText(pairs, 1, LongTextReport("truncate", 1, len(premise) - min(budgets)))


def _windowed(premise: Ids, hypotheses: Sequence[Ids], budget: int) -> EncodedText:
    """Every label sees the same windows, so that their scores can be compared."""
    windows = premise_windows(len(premise), budget)
    pairs = [EncodedPair(premise[window], hypothesis) for window in windows for hypothesis in hypotheses]
    return EncodedText(pairs, len(windows), LongTextReport("windows", len(windows), 0))
