"""What each endpoint was asked in the last hour, and its memory: points a quarter of a minute apart."""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile

from starlette.concurrency import run_in_threadpool

from zerostart.hosting.router import Router
from zerostart.server.web.traffic import Totals, TrafficWatch, quantile

EVERY_S = 15.0
SPAN_S = 3600.0
_WINDOW_LOOKS = 4  # a point is of the minute before it


@dataclass(frozen=True)
class Moment:
    """The minute before one moment; a latency is None where there was no request."""

    age_s: float
    requests_per_minute: float
    errors: float
    p50_s: float | None
    p99_s: float | None
    memory_bytes: int


@dataclass(frozen=True)
class _Look:
    at_s: float
    totals: Mapping[str, Totals]
    memory_bytes: Mapping[str, int]


class History:
    """Looks at the counters and the instances of the endpoints that there are, and keeps an hour of it."""

    def __init__(self, traffic: TrafficWatch, router: Router, clock: Callable[[], float] = time.monotonic) -> None:
        self._traffic = traffic
        self._router = router
        self._clock = clock
        self._looks: deque[_Look] = deque(maxlen=int(SPAN_S / EVERY_S) + _WINDOW_LOOKS + 1)

    async def run(self) -> None:
        """Look, for ever."""
        while True:
            await run_in_threadpool(self.look)
            await asyncio.sleep(EVERY_S)

    def look(self) -> None:
        """Keep what is to be seen now. Of endpoints that are gone nothing more is kept."""
        routed = self._router.snapshot()
        totals = self._traffic.totals()
        memory = {
            name: sum(instance.memory_bytes() for variant in variants for instance in variant.instances)
            for name, variants in routed.items()
        }
        kept = {name: totals.get(name, Totals()) for name in routed}
        self._looks.append(_Look(self._clock(), kept, memory))

    def of(self, endpoint: str) -> Sequence[Moment]:
        """The last hour of an endpoint, oldest first, from when it was first seen; empty if it is not seen yet."""
        now_s = self._clock()
        seen = list(takewhile(lambda look: endpoint in look.totals, reversed(list(self._looks))))[::-1]
        return [
            _moment(now_s - look.at_s, endpoint, look, seen[max(0, number - _WINDOW_LOOKS)])
            for number, look in enumerate(seen)
            if now_s - look.at_s <= SPAN_S
        ]


def _moment(age_s: float, endpoint: str, look: _Look, before: _Look) -> Moment:
    """What happened between two looks. Counters outlive their endpoint: what they say at first is of an earlier one."""
    now, start = look.totals[endpoint], before.totals[endpoint]
    buckets = {most_s: count - start.buckets.get(most_s, 0.0) for most_s, count in now.buckets.items()}
    return Moment(
        age_s,
        now.requests - start.requests,
        now.errors - start.errors,
        quantile(buckets, 0.5),
        quantile(buckets, 0.99),
        look.memory_bytes[endpoint],
    )
