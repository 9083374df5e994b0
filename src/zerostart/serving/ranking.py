"""Many requests in order: a ranking of each one's labels by an embedding, then the scores of the best, or of all."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import chain

from zerostart.errors import InvalidInput, ZerostartError
from zerostart.nli.classification import Classification, ClassificationRequest
from zerostart.nli.hybrid import TwoViews

Answer = list[Classification] | ZerostartError
Asked = ClassificationRequest | ZerostartError
ClassifyEach = Callable[[Iterable[Asked]], Iterator[Answer]]
_Ranked = tuple[Asked, list[Classification] | None]


class _NotRanked(ZerostartError):
    """Stands in a ranker's requests for one whose labels need no ranking."""


def ranked_each(
    requests: Iterable[Asked], views: TwoViews, load_ranker: Callable[[], ClassifyEach], score: ClassifyEach
) -> Iterator[Answer]:
    """The answer of every request, in order. The ranker is loaded at the first request that needs it."""
    waiting: deque[_Ranked] = deque()

    def best() -> Iterator[Asked]:
        for asked, ranking in _ranked(checked(requests, views), views, load_ranker):
            waiting.append((asked, ranking))
            yield (
                views.to_score(asked, ranking)
                if ranking is not None and isinstance(asked, ClassificationRequest)
                else asked
            )

    for answer in score(best()):
        asked, ranking = waiting.popleft()
        if ranking is None or isinstance(answer, ZerostartError) or isinstance(asked, ZerostartError):
            yield answer
        else:
            yield views.answer(asked, answer, ranking)


def checked(requests: Iterable[Asked], views: TwoViews) -> Iterator[Asked]:
    """One that asks for what the model has not is its error."""
    for asked in requests:
        try:
            if isinstance(asked, ClassificationRequest):
                views.is_hybrid(asked)
        except InvalidInput as error:
            yield error
        else:
            yield asked


def _ranked(requests: Iterator[Asked], views: TwoViews, load_ranker: Callable[[], ClassifyEach]) -> Iterator[_Ranked]:
    """Each request, with the ranking of its labels where it needs one; one that cannot be ranked is its error."""
    for request in requests:
        if isinstance(request, ClassificationRequest) and views.needs_embedding(request):
            yield from _by_ranker(chain([request], requests), views, load_ranker())
            return
        yield request, None


def _by_ranker(requests: Iterable[Asked], views: TwoViews, rank: ClassifyEach) -> Iterator[_Ranked]:
    asked: deque[Asked] = deque()

    def to_rank() -> Iterator[Asked]:
        for request in requests:
            asked.append(request)
            if isinstance(request, ClassificationRequest) and views.needs_embedding(request):
                yield views.to_rank(request)
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
