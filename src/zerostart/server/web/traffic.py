"""What each endpoint is asked and how fast it answers, of the last minutes, out of the server's own counters."""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise

from zerostart.metrics import ControlPlaneMetrics

_EVERY_S = 5.0
_RATE_WINDOW_S = 60.0
_WINDOW_S = 300.0


@dataclass
class Totals:
    """The counters of an endpoint at one moment: `buckets` has the requests up to each latency."""

    requests: float = 0.0
    errors: float = 0.0
    buckets: dict[float, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Traffic:
    """What happened: requests of the last minute, the rest of the last five; None where there was no request."""

    requests_per_minute: float
    errors: int
    p50_s: float | None
    p99_s: float | None


class TrafficWatch:
    """Looks at the counters every few seconds and keeps what it saw for five minutes."""

    def __init__(self, metrics: ControlPlaneMetrics, clock: Callable[[], float] = time.monotonic) -> None:
        self._metrics = metrics
        self._clock = clock
        self._samples: deque[tuple[float, Mapping[str, Totals]]] = deque(maxlen=int(_WINDOW_S / _EVERY_S) + 1)

    async def run(self) -> None:
        """Look, for ever."""
        while True:
            self.look()
            await asyncio.sleep(_EVERY_S)

    def look(self) -> None:
        """Keep what the counters say now."""
        self._samples.append((self._clock(), self.totals()))

    def of(self, endpoint: str) -> Traffic:
        """The traffic of an endpoint."""
        now = self.totals().get(endpoint, Totals())
        minute, window = self._before(endpoint, _RATE_WINDOW_S), self._before(endpoint, _WINDOW_S)
        buckets = {most_s: count - window.buckets.get(most_s, 0.0) for most_s, count in now.buckets.items()}
        return Traffic(
            now.requests - minute.requests,
            int(now.errors - window.errors),
            quantile(buckets, 0.5),
            quantile(buckets, 0.99),
        )

    def totals(self) -> dict[str, Totals]:
        """What the counters say of each endpoint now."""
        totals: dict[str, Totals] = {}
        for labels, value in _samples(self._metrics.invocations, "_total"):
            totals.setdefault(labels["endpoint"], Totals()).requests += value
        for counter in (self._metrics.errors_4xx, self._metrics.errors_5xx):
            for labels, value in _samples(counter, "_total"):
                totals.setdefault(labels["endpoint"], Totals()).errors += value
        for labels, value in _samples(self._metrics.model_latency, "_bucket"):
            buckets = totals.setdefault(labels["endpoint"], Totals()).buckets
            most_s = float(labels["le"])
            buckets[most_s] = buckets.get(most_s, 0.0) + value
        return totals

    def _before(self, endpoint: str, seconds: float) -> Totals:
        """The counters as they were so long ago; zero if that was before the server's start."""
        since_s = self._clock() - seconds
        older = [totals for at_s, totals in self._samples if at_s <= since_s + _EVERY_S / 2]
        return older[-1].get(endpoint, Totals()) if older else Totals()


def quantile(buckets: Mapping[float, float], share: float) -> float | None:
    """The latency that `share` of the requests stayed under, straight between the bounds of its bucket."""
    bounds = sorted(buckets)
    if not bounds or buckets[bounds[-1]] <= 0:
        return None
    wanted = share * buckets[bounds[-1]]
    for low_s, high_s in pairwise((0.0, *bounds)):
        below, count = buckets.get(low_s, 0.0), buckets[high_s]
        if count >= wanted:
            return low_s if high_s == float("inf") else low_s + (high_s - low_s) * (wanted - below) / (count - below)
    return None


def _samples(metric: object, ending: str) -> Iterable[tuple[Mapping[str, str], float]]:
    for family in metric.collect():  # type: ignore[attr-defined]
        for sample in family.samples:
            if sample.name.endswith(ending):
                yield sample.labels, sample.value
