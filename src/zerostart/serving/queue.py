"""The batcher's queue: whose turn it is, and which pairs of which requests share the next batch.

It knows no threads and no clock, so that a simulation runs the same code (benchmarks/queueing.py).

A batch is cut by tokens (pairs x padded length). It holds the request whose turn it is; other requests' pairs of about
its length fill it. Turns go by tokens served (fair queueing, Demers et al. 1989,
https://dl.acm.org/doi/10.1145/75247.75248): each request that waits is owed an equal share, so one of ten pairs does
not wait for one of ten thousand, and one that was served in part is not overtaken for ever.
"""

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Generic, TypeVar

# A batch this small is not worth splitting between idle streams.
_LEAST_SHARED_TOKENS = 128
# Share of a batch's width that a pair must fill to join it.
_LEAST_FILL = 0.75


@dataclass(eq=False, kw_only=True)
class QueuedRequest:
    """A request's place in the queue.

    `lengths` are its pairs' content tokens, or the widths that they are padded to where these are `fixed`; `order` has
    the pairs' positions, longest first; those from `taken` on still wait.
    """

    lengths: Sequence[int]
    arrived_s: float
    fixed: bool = False
    turn: float = 0.0
    taken: int = 0
    order: Sequence[int] = field(init=False)

    def __post_init__(self) -> None:
        self.order = sorted(range(len(self.lengths)), key=lambda i: -self.lengths[i])

    @property
    def waiting(self) -> int:
        """Pairs that no batch has taken yet."""
        return len(self.order) - self.taken

    @property
    def next_length(self) -> int:
        """Length of the longest pair that waits."""
        return self.lengths[self.order[self.taken]]

    def take(self, room: int, longest: int, shortest: int) -> list[int]:
        """Take up to `room` of the pairs that are next, if their lengths are `shortest` to `longest`."""
        end = self.taken
        if room and self.next_length <= longest:
            last = min(self.taken + room, len(self.order))
            while end < last and self.lengths[self.order[end]] >= shortest:
                end += 1
        positions = list(self.order[self.taken : end])
        self.taken = end
        return positions


R = TypeVar("R", bound=QueuedRequest)


@dataclass(frozen=True)
class Cut(Generic[R]):
    """What is computed next: positions of pairs by request, and the width that all are padded to.

    `exact`: to that width and no other; else to that of the longest, which is at most this wide.
    """

    parts: list[tuple[R, list[int]]]
    width: int
    exact: bool

    @property
    def pairs(self) -> int:
        """How many there are."""
        return sum(len(positions) for _, positions in self.parts)


class PairQueue(Generic[R]):
    """Requests whose pairs wait. Not safe for many threads: who owns it has a lock."""

    def __init__(self, max_tokens: int, special_tokens: int) -> None:
        self._max_tokens = max_tokens
        self._special_tokens = special_tokens
        self._requests: list[R] = []
        self._virtual_time = 0.0

    def __bool__(self) -> bool:
        return bool(self._requests)

    @property
    def requests(self) -> Sequence[R]:
        """Those with pairs that wait."""
        return self._requests

    @property
    def waiting_pairs(self) -> int:
        """Pairs that no batch has taken yet."""
        return sum(request.waiting for request in self._requests)

    def add(self, request: R) -> None:
        """Queue a request, which has a pair at least."""
        request.turn = self._virtual_time
        self._requests.append(request)

    def drop(self, is_left: Callable[[R], bool]) -> None:
        """Forget the requests of which this is true."""
        self._requests = [request for request in self._requests if not is_left(request)]

    def cut(self, idle_streams: int = 0) -> Cut[R]:
        """Take the next batch off a queue that is not empty; `idle_streams` others could compute a share of it."""
        turns = sorted(self._requests, key=lambda request: (request.turn, request.arrived_s))
        fixed = turns[0].fixed
        alike = [request for request in turns if request.fixed is fixed]
        width = turns[0].next_length if fixed else self._width(alike, idle_streams)
        longest, shortest = (width, width) if fixed else (width - self._special_tokens, self._shortest(width))
        room = self._room(width, idle_streams)
        parts: list[tuple[R, list[int]]] = []
        for request in alike:
            positions = request.take(room, longest, shortest)
            if positions:
                request.turn += width * len(positions)
                room -= len(positions)
                parts.append((request, positions))
        cut = Cut(parts, width, fixed)
        self._virtual_time += width * cut.pairs / len(turns)
        self._requests = [request for request in self._requests if request.waiting]
        return cut

    def _width(self, turns: Sequence[R], idle_streams: int) -> int:
        """Padded length of the next batch: it fits the request whose turn it is, and as many other pairs as can be."""
        own = turns[0].next_length
        waiting: Counter[int] = Counter()
        for request in turns:
            waiting[request.next_length] += request.waiting
        lengths = sorted(waiting)
        pairs_below = [0, *accumulate(waiting[length] for length in lengths)]
        tokens_below = [0, *accumulate(waiting[length] * length for length in lengths)]

        def tokens(longest: int) -> float:
            """Content tokens of the batch whose longest pair is this long."""
            width = longest + self._special_tokens
            end, start = bisect_right(lengths, longest), bisect_left(lengths, self._shortest(width))
            pairs = pairs_below[end] - pairs_below[start]
            return (tokens_below[end] - tokens_below[start]) * min(1.0, self._room(width, idle_streams) / pairs)

        fit = [length for length in lengths if length >= own and self._shortest(length + self._special_tokens) <= own]
        return max(fit, key=tokens) + self._special_tokens

    def _room(self, width: int, idle_streams: int) -> int:
        """Pairs in the next batch: what the limit allows, less if other streams are idle and could take a share."""
        share = -(-self.waiting_pairs // (idle_streams + 1))
        return max(1, min(self._max_tokens // width, max(share, _LEAST_SHARED_TOKENS // width)))

    def _shortest(self, width: int) -> int:
        """Least content tokens of a pair in a batch of this width: a much shorter one would be mostly padding."""
        return int(width * _LEAST_FILL) - self._special_tokens
