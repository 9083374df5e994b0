"""Where a profile is applied, for every surface: around what a classifier makes of a request."""

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Protocol

from zerostart.engines.base import Logits
from zerostart.errors import ZerostartError
from zerostart.nli.classification import Classification, ClassificationRequest
from zerostart.nli.profile import Profile
from zerostart.serving.ranking import Answer, Asked, ClassifyEach


class Pending(Protocol):
    """A request whose pairs are in the queue; cancel its `logits` to drop it."""

    @property
    def logits(self) -> "Future[Logits]":
        """Done when everything is computed."""
        ...

    @property
    def tokens(self) -> int:
        """How many tokens the model reads for it; ask when the logits are there."""
        ...

    def result(self) -> list[Classification]:
        """One classification a text, in order; waits for the logits and raises what went wrong."""
        ...


@dataclass(frozen=True)
class Profiled:
    """A request that was asked in a profile's words, and what waits for its answer."""

    request: ClassificationRequest
    inner: Pending
    profile: Profile

    @property
    def logits(self) -> "Future[Logits]":
        """Done when everything is computed."""
        return self.inner.logits

    @property
    def tokens(self) -> int:
        """The same as without a profile."""
        return self.inner.tokens

    def result(self) -> list[Classification]:
        """The answers, as the profile gives them."""
        return [self.profile.answered(each) for each in self.inner.result()]


def profiled_each(requests: Iterable[Asked], profile: Profile, classify_each: ClassifyEach) -> Iterator[Answer]:
    """The answer of every request, in order; a request that the profile is not for is answered without it."""
    applied: deque[bool] = deque()

    def worded() -> Iterator[Asked]:
        for request in requests:
            own = profile.asked(request) if isinstance(request, ClassificationRequest) else None
            applied.append(own is not None)
            yield request if own is None else own

    for answer in classify_each(worded()):
        if applied.popleft() and not isinstance(answer, ZerostartError):
            yield [profile.answered(each) for each in answer]
        else:
            yield answer
