"""Many labels: an embedding ranks them all, the NLI model scores the best few, and the others follow in its ranking."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

from zerostart.errors import InvalidInput
from zerostart.nli.classification import Classification, ClassificationRequest
from zerostart.nli.labels import describe

Shortlist = int | Literal["auto"]
_AUTO_ABOVE_LABELS = 30
_AUTO_SIZE = 10


def shortlist_choice(value: Any, key: str) -> Shortlist | None:
    """`value` as a number of labels, "auto", or None for every label. Raises InvalidInput naming `key`."""
    if value is None or value == "auto":
        return "auto" if value == "auto" else None
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise InvalidInput(
            f"'{key}' is {describe(value)}: send how many labels the model shall score (1 or more), or 'auto', which "
            f"is {_AUTO_SIZE} where there are over {_AUTO_ABOVE_LABELS} labels."
        )
    return value


def written_shortlist(value: str, key: str) -> Shortlist | None:
    """The same of a number or "auto" in writing; empty is every label."""
    return shortlist_choice(int(value) if value.isascii() and value.isdigit() else value or None, key)


def shortlist_size(shortlist: Shortlist | None, labels: int) -> int:
    """How many of so many labels the NLI model scores."""
    if shortlist is None:
        return labels
    if shortlist == "auto":
        return _AUTO_SIZE if labels > _AUTO_ABOVE_LABELS else labels
    return min(shortlist, labels)


def needs_ranking(request: ClassificationRequest) -> bool:
    """Whether any text of a request has more labels than are to be scored."""
    return any(shortlist_size(request.shortlist, len(labels)) < len(labels) for labels in request.labels)


def narrowed(request: ClassificationRequest, ranked: Sequence[Classification]) -> ClassificationRequest:
    """The request with the best labels of each text alone, in the caller's order."""
    kept = []
    for labels, ranking in zip(request.labels, ranked, strict=True):
        best = set(ranking.labels[: shortlist_size(request.shortlist, len(labels))])
        kept.append(tuple(label for label in labels if label.name in best))
    return replace(request, labels=tuple(kept), shortlist=None)


def merged(scored: Classification, ranked: Classification, *, multi_label: bool) -> Classification:
    """Every label: those that were scored first, then the others in the order of the ranking, with lower scores.

    One that was not scored is to the last of those that were as their scores of the ranking are to each other, at most
    as high. Single-label scores still sum to 1.
    """
    if len(scored.labels) == len(ranked.labels):
        return scored
    by_ranking: Mapping[str, float] = dict(zip(ranked.labels, ranked.scores, strict=True))
    last_score, last_ranked = scored.scores[-1], max(min(by_ranking[name] for name in scored.labels), 1e-300)
    others = [name for name in ranked.labels if name not in set(scored.labels)]
    rest = [last_score * min(1.0, by_ranking[name] / last_ranked) for name in others]
    total = 1.0 if multi_label else sum(scored.scores) + sum(rest)
    scores = tuple(score / total for score in (*scored.scores, *rest))
    return replace(scored, labels=(*scored.labels, *others), scores=scores, shortlist=len(scored.labels))
