"""How many invocations each variant had in the last minute."""

import time
from collections import deque
from collections.abc import Callable

LONGEST_S = 60.0
_BUCKETS_A_SECOND = 4


class InvocationCounts:
    """Counts by the quarter of a second. Not safe to use from many threads: its owner has a lock."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._buckets: dict[str, dict[str, deque[list[int]]]] = {}

    def add(self, endpoint: str, variant: str) -> None:
        """Count one that begins now."""
        now = self._now()
        buckets = self._buckets.setdefault(endpoint, {}).setdefault(variant, deque())
        if buckets and buckets[-1][0] == now:
            buckets[-1][1] += 1
            return
        buckets.append([now, 1])
        while buckets[0][0] <= now - LONGEST_S * _BUCKETS_A_SECOND:
            buckets.popleft()

    def within(self, endpoint: str, variant: str, seconds: float) -> int:
        """How many began in the last `seconds`, which are at most a minute."""
        since = self._now() - seconds * _BUCKETS_A_SECOND
        return sum(count for at, count in self._buckets.get(endpoint, {}).get(variant, ()) if at > since)

    def forget(self, endpoint: str) -> None:
        """It is gone."""
        self._buckets.pop(endpoint, None)

    def _now(self) -> int:
        return int(self._clock() * _BUCKETS_A_SECOND)
