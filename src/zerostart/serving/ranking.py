"""Many requests in order with shortlists: a ranking of each one's labels, then the scores of the best."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import chain

from zerostart.errors import ZerostartError
from zerostart.nli.classification import Classification, ClassificationRequest
from zerostart.nli.shortlist import merged, narrowed, needs_ranking

Answer = list[Classification] | ZerostartError
Asked = ClassificationRequest | ZerostartError
ClassifyEach = Callable[[Iterable[Asked]], Iterator[Answer]]
_Ranked = tuple[Asked, list[Classification] | None]


class _NotRanked(ZerostartError):
    """Stands in a ranker's requests for one whose labels need no ranking."""


def shortlisted_each(
    requests: Iterable[Asked], load_ranker: Callable[[], ClassifyEach], score: ClassifyEach
) -> Iterator[Answer]:
    """The answer of every request, in order. The ranker is loaded at the first request that needs it."""
    waiting: deque[_Ranked] = deque()

    def best() -> Iterator[Asked]:
        for asked, ranking in _ranked(iter(requests), load_ranker):
            waiting.append((asked, ranking))
            yield (
                narrowed(asked, ranking) if ranking is not None and isinstance(asked, ClassificationRequest) else asked
            )

    for answer in score(best()):
        asked, ranking = waiting.popleft()
        if ranking is None or isinstance(answer, ZerostartError) or isinstance(asked, ZerostartError):
            yield answer
        else:
            both = zip(answer, ranking, strict=True)
            yield [merged(scored, ranked, multi_label=asked.multi_label) for scored, ranked in both]


def _ranked(requests: Iterator[Asked], load_ranker: Callable[[], ClassifyEach]) -> Iterator[_Ranked]:
    """Each request, with the ranking of its labels where it needs one; one that cannot be ranked is its error."""
    for request in requests:
        if isinstance(request, ClassificationRequest) and needs_ranking(request):
            yield from _by_ranker(chain([request], requests), load_ranker())
            return
        yield request, None


def _by_ranker(requests: Iterable[Asked], rank: ClassifyEach) -> Iterator[_Ranked]:
    asked: deque[Asked] = deque()

    def to_rank() -> Iterator[Asked]:
        for request in requests:
            asked.append(request)
            if isinstance(request, ClassificationRequest) and needs_ranking(request):
                yield replace(request, shortlist=None, multi_label=False)
            else:
                yield _NotRanked()

    for answer in rank(to_rank()):
        request = asked.popleft()
        if isinstance(answer, _NotRanked):
            yield request, None
        elif isinstance(answer, ZerostartError):
            yield answer, None
        else:
            yield request, answer
