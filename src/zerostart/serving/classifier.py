"""The classifier: requests in, classifications out, over one model's scorer, batcher and engine."""

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Protocol

from zerostart.engines.base import Logits
from zerostart.models.artefact import Artefact
from zerostart.nli.classification import Classification, ClassificationRequest
from zerostart.nli.hybrid import TwoViews
from zerostart.nli.profile import Profile
from zerostart.serving.batcher import Batcher
from zerostart.serving.encoding import EncodedText, Scorer
from zerostart.serving.profiled import Pending, Profiled
from zerostart.serving.tokenizer import distinct


class PendingClassification(Pending, Protocol):
    """One that knows what was asked."""

    @property
    def request(self) -> ClassificationRequest:
        """What was asked."""
        ...


class Classifier:
    """Classifies with one loaded model. Safe to call from many threads; their requests share batches.

    `load_ranker` gives the embedding classifier that ranks labels, at the first request that needs it; without one
    every label is scored by this model alone. `profile` is applied to the requests that are about its labels.
    """

    def __init__(
        self,
        artefact: Artefact,
        scorer: Scorer,
        batcher: Batcher,
        load_ranker: "Callable[[], Classifier] | None" = None,
        profile: Profile | None = None,
    ) -> None:
        self.artefact = artefact
        self.profile = profile
        self.batcher = batcher
        self._scorer = scorer
        self._views = TwoViews(artefact.manifest.blend)
        self._load_ranker = load_ranker
        self._ranker: Classifier | None = None
        self._loading = threading.Lock()

    def submit(self, request: ClassificationRequest) -> PendingClassification:
        """Tokenise and queue. Raises InvalidInput for a hypothesis that does not fit, and what the batcher raises."""
        if self.profile is not None and (own := self.profile.asked(request)) is not None:
            return Profiled(request, self._submitted(own), self.profile)
        return self._submitted(request)

    def _submitted(self, request: ClassificationRequest) -> PendingClassification:
        if self._views.needs_embedding(request) and self._load_ranker is not None:
            return _Ranked(request, self.loaded_ranker(), self._submitted, self._views)
        encoded = self._scorer.encoded(request)
        pairs, rows = distinct([pair for each in encoded for pair in each.pairs])
        widths = [self._scorer.tokenizer.padded(pair) for pair in pairs] if request.reproducible else None
        return _Scored(request, self._scorer, encoded, self.batcher.submit(pairs, widths), rows)

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
        if self._ranker is not None:
            self._ranker.close()

    def loaded_ranker(self) -> "Classifier":
        """The embedding classifier; the first call loads it."""
        with self._loading:
            if self._ranker is None:
                assert self._load_ranker is not None  # noqa: S101 - who calls this has looked
                self._ranker = self._load_ranker()
            return self._ranker


@dataclass(frozen=True)
class _Scored:
    """A request of which every label is scored."""

    request: ClassificationRequest
    scorer: Scorer
    encoded: Sequence[EncodedText]
    logits: "Future[Logits]"
    rows: Sequence[int]

    @property
    def tokens(self) -> int:
        """As the scorer counts them."""
        return self.scorer.tokens(self.request, self.encoded)

    def result(self) -> list[Classification]:
        """From the logits; a pair that is asked twice has one row."""
        logits = self.logits.result()
        own = logits if len(logits) == len(self.rows) else logits[list(self.rows)]
        return list(self.scorer.classified(self.request, self.encoded, own))


class _Ranked:
    """A request whose labels an embedding ranks first; then `score` scores the best of them, or all."""

    def __init__(
        self,
        request: ClassificationRequest,
        ranker: Classifier,
        score: Callable[[ClassificationRequest], PendingClassification],
        views: TwoViews,
    ) -> None:
        self.request = request
        self.logits: Future[Logits] = Future()
        self._to_second = score
        self._views = views
        self._second: PendingClassification | None = None
        self._first = ranker.submit(views.to_rank(request))
        self.logits.add_done_callback(self._drop)
        self._first.logits.add_done_callback(self._score)

    @property
    def tokens(self) -> int:
        """Those of the pairs that are scored; the ranking's are not among them."""
        assert self._second is not None  # noqa: S101 - there are logits
        return self._second.tokens

    def result(self) -> list[Classification]:
        """Both put together."""
        self.logits.result()
        assert self._second is not None  # noqa: S101 - there are logits
        return self._views.answer(self.request, self._second.result(), self._first.result())

    def _score(self, ranking: "Future[Logits]") -> None:
        if ranking.cancelled() or self.logits.cancelled():
            return
        try:
            self._second = self._to_second(self._views.to_score(self.request, self._first.result()))
            self._second.logits.add_done_callback(self._pass_on)
        except BaseException as error:  # noqa: BLE001 - whoever waits must hear of it
            self._fail(error)
        if self.logits.cancelled():
            self._drop(self.logits)

    def _pass_on(self, logits: "Future[Logits]") -> None:
        if logits.cancelled():
            return
        if (error := logits.exception()) is not None:
            self._fail(error)
        elif self.logits.set_running_or_notify_cancel():
            self.logits.set_result(logits.result())

    def _fail(self, error: BaseException) -> None:
        if self.logits.set_running_or_notify_cancel():
            self.logits.set_exception(error)

    def _drop(self, logits: "Future[Logits]") -> None:
        """The caller left: what it asked for need not be computed."""
        if logits.cancelled():
            self._first.logits.cancel()
            if self._second is not None:
                self._second.logits.cancel()
