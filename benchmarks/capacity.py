"""How much an endpoint takes: simulated with measured times for 1 to 1,000 instances, and checked with 1 and 2.

Everything follows from `results/service_times.json`: on the same file `capacity` finds the same figures to the bit.
"""

import asyncio
import os
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from tests.processes import ServerProcess, children_of

from benchmarks.open_loop import OpenLoop
from benchmarks.queueing import Call, Endpoint, Load, Outcome, outcome, simulate
from benchmarks.service_times import ONE_THREAD, asked, kept, processor_s
from zerostart.settings import load_settings

_INSTANCES = (1, 2, 10, 100, 1000)
_SHARES_OF_SATURATION = (0.3, 0.6, 0.8, 0.9, 0.95)
_CHECKED_INSTANCES = (1, 2)
_SHARES_OF_KNEE = (0.3, 0.6, 0.8)
_CHECKED_CALLS = 100
_REPEATS = 3
_SEEDS = 5


@dataclass(frozen=True)
class Kind:
    """Calls of so many texts and labels; `bound_s` is what their p99 may be, and `calls` how many are simulated."""

    texts: int
    labels: int
    bound_s: float
    calls: int

    @property
    def name(self) -> str:
        """As it is reported."""
        return f"{self.texts} text{'s' * (self.texts > 1)} x {self.labels} labels"

    def of(self, load: Load) -> Load:
        """The same texts and labels in calls of this kind."""
        return replace(load, texts=self.texts, label_tokens=load.label_tokens[: self.labels])


USUAL = Kind(1, 10, bound_s=0.5, calls=10_000)
_KINDS = (Kind(1, 3, bound_s=0.25, calls=10_000), USUAL, Kind(64, 10, bound_s=20.0, calls=1000))


def capacity() -> dict[str, Any]:
    """p50, p99 and throughput by load for 1 to 1,000 instances, and for each kind of call where the knee is."""
    service, load = kept()
    found: dict[str, Any] = {"bounds_s": {kind.name: kind.bound_s for kind in _KINDS}, "knees": {}, "loads": {}}
    for kind in _KINDS:
        for instances in _INSTANCES:
            calls = max(kind.calls, (30 if kind.texts == 1 else 8) * instances)
            endpoint = Endpoint(service, kind.of(load), instances, calls)
            saturated = endpoint.saturated()
            calls_per_s, at_the_knee = endpoint.knee(kind.bound_s, saturated)
            name = f"{kind.name}, {instances} instance{'s' * (instances > 1)}"
            found["knees"][name] = {
                "calls_per_s": _rounded(calls_per_s),
                "pairs_per_s": round(calls_per_s * kind.texts * kind.labels),
                "of_saturation": round(calls_per_s / saturated, 2),
                **_milliseconds(at_the_knee),
            }
            if kind is USUAL:
                found["loads"][name] = {
                    f"{share:.0%}": _shown(endpoint.at(share * saturated)) for share in _SHARES_OF_SATURATION
                }
    return found


def check() -> dict[str, Any]:
    """The same calls at the same moments, simulated and sent to a real endpoint of 1 and of 2 one-thread instances.

    All of it shares this machine: callers, server and instances. Medians of the repeats, each with calls of its own.
    `others` is the share of the machine that went to anything else meanwhile.
    """
    service, load = kept()
    rows = []
    for instances in _CHECKED_INSTANCES:
        endpoint = Endpoint(service, load, instances, USUAL.calls, server_apart=False)
        knee, _ = endpoint.knee(USUAL.bound_s, endpoint.saturated())
        with tempfile.TemporaryDirectory() as home, ServerProcess(Path(home) / "home", **ONE_THREAD) as server:
            server.deploy("bench", instances=instances)
            _, texts, _ = asked(load_settings({"ZEROSTART_HOME": home}))
            callers = OpenLoop(server, "bench")
            asyncio.run(callers.at([0.02 * n for n in range(len(texts))], texts))  # every shape is met
            for share in _SHARES_OF_KNEE:
                before = _Clocks.now(server)
                pairs = [_both(endpoint, callers, texts, share * knee, seed) for seed in range(_REPEATS)]
                rows.append(_compared(instances, share, share * knee, pairs) | {"others": before.others(server)})
    return {"kind": USUAL.name, "bound_s": USUAL.bound_s, "calls_each": _CHECKED_CALLS, "rows": rows}


@dataclass(frozen=True)
class _Clocks:
    """Seconds: on the wall, of all processors while they were busy or taken away, and of the processes of the check."""

    wall_s: float
    busy_s: float
    own_s: float

    @classmethod
    def now(cls, server: ServerProcess) -> "_Clocks":
        """Read now."""
        user, nice, system, _, _, *others = Path("/proc/stat").read_text("ascii").split()[1:9]
        ticks = sum(map(int, (user, nice, system, *others)))
        own = (os.getpid(), server.pid, *children_of(server.pid))
        return cls(time.monotonic(), ticks / os.sysconf("SC_CLK_TCK"), sum(map(processor_s, own)))

    def others(self, server: ServerProcess) -> str:
        """The share of this machine that went to anything else since."""
        now = _Clocks.now(server)
        taken_s = (now.busy_s - self.busy_s) - (now.own_s - self.own_s)
        return f"{max(0.0, taken_s / (now.wall_s - self.wall_s) / (os.cpu_count() or 1)):.0%}"


def _both(
    endpoint: Endpoint, callers: OpenLoop, texts: Sequence[str], calls_per_s: float, seed: int
) -> tuple[Outcome, Outcome]:
    """Measured, and predicted (the median of several seeds for what the seed decides: how batches vary)."""
    chance = np.random.default_rng(seed)
    arrivals = [float(each) for each in np.cumsum(chance.exponential(1 / calls_per_s, _CHECKED_CALLS))]
    chosen = [int(each) for each in chance.integers(len(texts), size=_CHECKED_CALLS)]
    measured = outcome(asyncio.run(callers.at(arrivals, [texts[place] for place in chosen])))
    load = endpoint.load
    calls: list[Call] = [load.call(at, (load.text_tokens[place],)) for at, place in zip(arrivals, chosen, strict=True)]
    predicted = [
        simulate(calls, endpoint.service, endpoint.instances, seed=each, server_apart=False) for each in range(_SEEDS)
    ]
    return measured, _median(predicted)


def _compared(
    instances: int, share: float, calls_per_s: float, pairs: Sequence[tuple[Outcome, Outcome]]
) -> dict[str, Any]:
    measured, predicted = (_median(column) for column in zip(*pairs, strict=True))
    p99s = [round(1000 * each.p99_s) for each, _ in pairs]
    return {
        "instances": instances,
        "of_knee": share,
        "asked_calls_per_s": _rounded(calls_per_s),
        "measured": _shown(measured) | {"p99_ms_range": [min(p99s), max(p99s)]},
        "predicted": _shown(predicted),
        "predicted_to_measured": {
            "p50": round(predicted.p50_s / measured.p50_s, 2),
            "p99": round(predicted.p99_s / measured.p99_s, 2),
            "calls_per_s": round(predicted.calls_per_s / measured.calls_per_s, 2),
        },
    }


def _median(outcomes: Sequence[Outcome]) -> Outcome:
    return Outcome(
        *(
            statistics.median(getattr(each, name) for each in outcomes)
            for name in ("mean_s", "p50_s", "p99_s", "calls_per_s")
        )
    )


def _shown(found: Outcome) -> dict[str, Any]:
    return {"calls_per_s": _rounded(found.calls_per_s), **_milliseconds(found)}


def _milliseconds(found: Outcome) -> dict[str, float]:
    return {"p50_ms": round(1000 * found.p50_s), "p99_ms": round(1000 * found.p99_s)}


def _rounded(calls_per_s: float) -> float:
    return round(calls_per_s, 2 if calls_per_s < 10 else 1 if calls_per_s < 100 else 0)
