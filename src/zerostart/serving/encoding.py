"""From a request to encoded pairs, and from their logits back to classifications."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from zerostart.engines.base import Logits
from zerostart.nli.classification import Classification, ClassificationRequest, LongTextReport, ranked
from zerostart.nli.head import NLIHead
from zerostart.nli.labels import CandidateLabels
from zerostart.nli.scoring import best_windows, label_scores
from zerostart.nli.windows import premise_windows
from zerostart.serving.tokenizer import EncodedPair, Ids, PairTokenizer


@dataclass(frozen=True)
class EncodedText:
    """The pairs of one text, windows outermost, and what became of a text that is too long."""

    pairs: list[EncodedPair]
    windows: int
    report: LongTextReport | None


def encode_request(tokenizer: PairTokenizer, request: ClassificationRequest) -> list[EncodedText]:
    """Every text of a request. Raises InvalidInput for a hypothesis that does not fit."""
    return [
        _encode(tokenizer, text, labels, request) for text, labels in zip(request.texts, request.labels, strict=True)
    ]


def classifications(
    request: ClassificationRequest, encoded: Sequence[EncodedText], logits: Logits, head: NLIHead
) -> Iterator[Classification]:
    """One classification a text, in order, from the logits of all its pairs, shape (pairs, classes)."""
    start = 0
    for text, labels, each in zip(request.texts, request.labels, encoded, strict=True):
        rows = logits[start : start + len(each.pairs)]
        start += len(each.pairs)
        if each.windows > 1:
            label_of_row = np.tile(np.arange(len(labels)), each.windows)
            rows = best_windows(rows, label_of_row, len(labels), head, multi_label=request.multi_label)
        yield ranked(text, labels, label_scores(rows, head, multi_label=request.multi_label), each.report)


def _encode(
    tokenizer: PairTokenizer, text: str, labels: CandidateLabels, request: ClassificationRequest
) -> EncodedText:
    premise = tokenizer.premise(text)
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
