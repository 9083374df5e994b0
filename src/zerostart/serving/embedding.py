"""Scoring by embeddings (a bi-encoder): each text once, each label once, and the cosine of the two.

Reimers and Gurevych 2019, https://arxiv.org/abs/1908.10084.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zerostart.engines.base import Logits
from zerostart.errors import InvalidInput
from zerostart.nli.classification import Classification, ClassificationRequest, LongTextReport, ranked
from zerostart.nli.labels import CandidateLabels
from zerostart.nli.scoring import similarity_scores
from zerostart.nli.windows import premise_windows
from zerostart.serving.encoding import EncodedText
from zerostart.serving.tokenizer import EncodedPair, Ids, PairTokenizer, distinct

_NOTHING = np.empty(0, dtype=np.int64)
_CACHED_LABELS = 8192
Vector = NDArray[np.float64]
# A hypothesis, and whether its embedding was computed reproducibly.
_Kept = tuple[str, bool]


@dataclass(frozen=True)
class EmbeddedText(EncodedText):
    """Pairs of the text's windows, then of the `new` hypotheses; `known` are the embeddings of those met before."""

    new: tuple[str, ...]
    known: Mapping[str, Vector]


class EmbeddingScorer:
    """A row is an embedding, of a text or of a label's hypothesis; those of labels are kept. Safe for many threads."""

    def __init__(self, tokenizer: PairTokenizer, dimension: int) -> None:
        self.tokenizer = tokenizer
        self.columns = dimension
        self._labels: dict[_Kept, Vector] = {}

    def encoded(self, request: ClassificationRequest) -> Sequence[EncodedText]:
        """A pair for each text, or window of it, and one for each label that was not met before."""
        asked: set[str] = set()
        premises = {text: self.tokenizer.premise(text) for text in dict.fromkeys(request.texts)}
        both = zip(request.texts, request.labels, strict=True)
        return [self._text(premises[text], labels, request, asked) for text, labels in both]

    def classified(
        self, request: ClassificationRequest, encoded: Sequence[EncodedText], rows: Logits
    ) -> Iterator[Classification]:
        """By the cosine of text and hypothesis; of a text in windows the best one counts for each label."""
        start = 0
        found: dict[str, Vector] = {}
        for text, labels, each in zip(request.texts, request.labels, encoded, strict=True):
            own = _unit(rows[start : start + len(each.pairs)])
            start += len(each.pairs)
            if isinstance(each, EmbeddedText):
                found |= {**each.known} | dict(zip(each.new, own[each.windows :], strict=True))
            hypotheses = np.stack([found[request.template.fill(label.description)] for label in labels])
            cosines = (own[: each.windows] @ hypotheses.T).max(axis=0)
            yield ranked(text, labels, similarity_scores(cosines, multi_label=request.multi_label), each.report)
        self._keep({(each, request.reproducible): vector for each, vector in found.items()})

    def tokens(self, request: ClassificationRequest, encoded: Sequence[EncodedText]) -> int:
        """Of every window and every label once, with the special tokens and without padding."""
        windows = [pair for each in encoded for pair in each.pairs[: each.windows]]
        hypotheses = {request.template.fill(label.description) for labels in request.labels for label in labels}
        labels = [EncodedPair(self.tokenizer.hypothesis(each), _NOTHING) for each in hypotheses]
        pairs, _ = distinct([*windows, *labels])
        return sum(pair.content_tokens + self.tokenizer.template.special_tokens for pair in pairs)

    def _text(
        self, premise: Ids, labels: CandidateLabels, request: ClassificationRequest, asked: set[str]
    ) -> EmbeddedText:
        budget = self.tokenizer.premise_budget(_NOTHING, "")
        windows, report = [slice(0, budget)], None
        if len(premise) > budget and request.long_text == "windows":
            windows = premise_windows(len(premise), budget)
            report = LongTextReport("windows", len(windows), 0)
        elif len(premise) > budget:
            report = LongTextReport("truncate", 1, len(premise) - budget)
        wanted = {request.template.fill(label.description): label.name for label in labels}
        kept, exact = self._labels, request.reproducible
        known = {each: vector for each in wanted if (vector := kept.get((each, exact))) is not None}
        new = tuple(each for each in wanted if each not in known and each not in asked)
        asked.update(new)
        pairs = [EncodedPair(premise[window], _NOTHING) for window in windows]
        pairs += [EncodedPair(self._hypothesis(each, wanted[each], budget), _NOTHING) for each in new]
        return EmbeddedText(pairs, len(windows), report, new, known)

    def _hypothesis(self, hypothesis: str, label: str, budget: int) -> Ids:
        ids = self.tokenizer.hypothesis(hypothesis)
        if len(ids) > budget:
            raise InvalidInput(
                f"The hypothesis for label {label[:80]!r} has {len(ids)} tokens, and the model reads {budget}: shorten "
                "the label, its description or 'hypothesis_template'."
            )
        return ids

    def _keep(self, found: Mapping[_Kept, Vector]) -> None:
        """Remember these; a new dict in place of the old one, since others read it meanwhile."""
        if found.keys() <= self._labels.keys():
            return
        kept = {**self._labels, **found}
        self._labels = dict(list(kept.items())[-_CACHED_LABELS:]) if len(kept) > _CACHED_LABELS else kept


def _unit(rows: Logits) -> NDArray[np.float64]:
    """Rows of length 1."""
    values = rows.astype(np.float64)
    lengths: NDArray[np.float64] = np.linalg.norm(values, axis=1, keepdims=True)
    return values / np.maximum(lengths, 1e-12)
