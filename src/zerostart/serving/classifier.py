"""The classifier: requests in, classifications out, over one model's tokenizer, batcher and engine."""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass

from zerostart.engines.base import Logits
from zerostart.models.artefact import Artefact
from zerostart.nli.classification import Classification, ClassificationRequest
from zerostart.nli.head import NLIHead
from zerostart.serving.batcher import Batcher
from zerostart.serving.encoding import EncodedText, classifications, encode_request
from zerostart.serving.tokenizer import PairTokenizer


@dataclass(frozen=True)
class PendingClassification:
    """A request whose pairs are in the queue. `logits` is its future: cancel it to drop the request."""

    request: ClassificationRequest
    head: NLIHead
    encoded: Sequence[EncodedText]
    logits: "Future[Logits]"

    def result(self) -> list[Classification]:
        """One classification a text, in order; waits for the logits and raises what went wrong."""
        return list(classifications(self.request, self.encoded, self.logits.result(), self.head))


class Classifier:
    """Classifies with one loaded model. Safe to call from many threads; their requests share batches."""

    def __init__(self, artefact: Artefact, tokenizer: PairTokenizer, batcher: Batcher) -> None:
        self.artefact = artefact
        self._tokenizer = tokenizer
        self.batcher = batcher

    def submit(self, request: ClassificationRequest) -> PendingClassification:
        """Tokenise and queue. Raises InvalidInput for a hypothesis that does not fit, and what the batcher raises."""
        encoded = encode_request(self._tokenizer, request)
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
