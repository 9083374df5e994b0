"""Two views of a label: whether the text entails it, and how near its embedding is to the text's.

An embedding is cheap, one pass for a text whatever the number of labels. It ranks labels, so that the NLI model scores
a shortlist of them; and in hybrid scoring it has a say in the scores, as a product of experts (Hinton 2002,
https://doi.org/10.1162/089976602760128018).
"""

from dataclasses import dataclass, replace
from typing import Any, get_args

import numpy as np

from zerostart.errors import InvalidInput
from zerostart.nli.classification import Classification, ClassificationRequest, ScorerName
from zerostart.nli.labels import describe
from zerostart.nli.scoring import Scores, ranking
from zerostart.nli.shortlist import merged, narrowed, needs_ranking

SCORER_CHOICES: tuple[ScorerName, ...] = get_args(ScorerName)
_LEAST = 1e-12


@dataclass(frozen=True)
class Blend:
    """How an NLI model's scores and those of the embedding model `embedding_model` are put together.

    Single-label: the product of both, each to the power of its weight, normalised over the labels. Multi-label: the sum
    of both log-odds times their weights, plus `multi_bias`. All weights are made with the models, on texts of neither.
    """

    embedding_model: str
    nli: float
    embedding: float
    multi_nli: float
    multi_embedding: float
    multi_bias: float

    def scores(self, entailed: Scores, similar: Scores, *, multi_label: bool) -> Scores:
        """Scores in [0, 1] of both views' scores, each of shape (labels,), single-label or multi-label ones."""
        if multi_label or len(entailed) == 1:
            odds = self.multi_nli * _log_odds(entailed) + self.multi_embedding * _log_odds(similar) + self.multi_bias
            return np.asarray(1 / (1 + np.exp(-odds)), dtype=np.float64)
        powers = self.nli * _log(entailed) + self.embedding * _log(similar)
        weights = np.exp(powers - powers.max())
        return np.asarray(weights / weights.sum(), dtype=np.float64)


@dataclass(frozen=True)
class TwoViews:
    """What an NLI model does with an embedding: `blend` is None for one that has shortlists alone."""

    blend: Blend | None = None

    def is_hybrid(self, request: ClassificationRequest) -> bool:
        """Whether the scores of a request are blended. Raises InvalidInput if it asks for what this model has not."""
        if request.scorer == "hybrid" and self.blend is None:
            raise InvalidInput(
                "This model has no hybrid scorer, as no weights were made for it: leave 'scorer' out, or send 'nli'."
            )
        return self.blend is not None and request.scorer != "nli"

    def needs_embedding(self, request: ClassificationRequest) -> bool:
        """Whether the labels of a request are to be ranked by an embedding. Raises as `is_hybrid`."""
        return self.is_hybrid(request) or needs_ranking(request)

    def to_rank(self, request: ClassificationRequest) -> ClassificationRequest:
        """What the embedding model is asked."""
        multi_label = request.multi_label and self.is_hybrid(request)
        return replace(request, shortlist=None, scorer=None, multi_label=multi_label)

    def to_score(self, request: ClassificationRequest, ranked: list[Classification]) -> ClassificationRequest:
        """What the NLI model is asked: the best labels of each text, or all of them."""
        return replace(narrowed(request, ranked), scorer="nli")

    def answer(
        self, request: ClassificationRequest, scored: list[Classification], ranked: list[Classification]
    ) -> list[Classification]:
        """Both views in one, for each text."""
        both = zip(scored, ranked, strict=True)
        return [self._one(request, each, ranking_of_it) for each, ranking_of_it in both]

    def _one(self, request: ClassificationRequest, scored: Classification, ranked: Classification) -> Classification:
        alone = len(scored.labels) == 1 < len(ranked.labels)  # there is nothing to weigh it against
        if self.blend is not None and self.is_hybrid(request) and not alone:
            scored = self._blended(self.blend, scored, ranked, multi_label=request.multi_label)
        return merged(scored, ranked, multi_label=request.multi_label)

    def _blended(
        self, blend: Blend, scored: Classification, ranked: Classification, *, multi_label: bool
    ) -> Classification:
        by_ranking = dict(zip(ranked.labels, ranked.scores, strict=True))
        similar = np.array([by_ranking[name] for name in scored.labels])
        scores = blend.scores(np.array(scored.scores), similar, multi_label=multi_label)
        order = ranking(scores)
        return replace(
            scored,
            labels=tuple(scored.labels[place] for place in order),
            scores=tuple(float(scores[place]) for place in order),
        )


def scorer_choice(value: Any, key: str) -> ScorerName | None:
    """`value` as a scorer's name, None for the model's own choice. Raises InvalidInput naming `key`."""
    if value is None or value in SCORER_CHOICES:
        return value  # type: ignore[no-any-return]
    raise InvalidInput(
        f"'{key}' is {describe(value)}: send {' or '.join(map(repr, SCORER_CHOICES))}, or leave it to the model."
    )


def _log(scores: Scores) -> Scores:
    return np.asarray(np.log(np.maximum(scores, _LEAST)), dtype=np.float64)


def _log_odds(scores: Scores) -> Scores:
    return _log(scores) - _log(1 - scores)
