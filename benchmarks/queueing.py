"""A discrete-event simulation of an endpoint: callers, the server, its router, and instances on the cores of nodes.

What a caller meets on the way: the server, which is one process and does one thing at a time; the instance with the
fewest outstanding calls; there the queue of the embedding model's batcher and then that of the NLI model's, which are
the real ones (zerostart.serving.queue); and cores that everything on a node shares. Times are measured ones
(benchmarks/service_times.py); a seed makes a run repeat itself to the bit.
"""

import random
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import simpy

from benchmarks.cores import Cores
from zerostart.serving.queue import Cut, PairQueue, QueuedRequest

# The share of the calls at the start that no percentile counts: queues are still empty.
_WARM_UP = 0.1
# So many wait at each instance of a saturated endpoint.
_WAITING_PAIRS = 100


@dataclass(frozen=True)
class BatchTimes:
    """Seconds of one batch of `n` pairs, `w` tokens wide: fixed + token x n w + square x n w^2, times one of `ratios`.

    `ratios` are those of single measurements to the formula. A batch holds `max_tokens` at most; `special_tokens` are
    added to each pair's length.
    """

    fixed_s: float
    token_s: float
    square_s: float
    special_tokens: int
    max_tokens: int = 512
    ratios: tuple[float, ...] = (1.0,)

    def mean_s(self, pairs: int, width: int) -> float:
        """By the formula alone."""
        return self.fixed_s + pairs * width * (self.token_s + self.square_s * width)


@dataclass(frozen=True)
class Service:
    """What serves: an instance with one engine thread, the server before it, and the node below.

    `ranker` is the embedding model of hybrid scoring, None for a model without. Of a call `server_s` is the server's
    processor time and `delay_s` what is neither the server's nor an engine's. `rates[n - 1]` is the speed of each of
    `n` busy cores of a node, 1 for one that is busy alone.
    """

    scorer: BatchTimes
    ranker: BatchTimes | None = None
    server_s: float = 0.0
    delay_s: float = 0.0
    rates: tuple[float, ...] = (1.0,)


@dataclass(frozen=True)
class Call:
    """One invocation: when it comes, and the content tokens of its pairs, and of its texts alone."""

    arrives_s: float
    pairs: tuple[int, ...]
    texts: tuple[int, ...] = ()


@dataclass(frozen=True)
class Outcome:
    """What became of calls: seconds from arrival to answer, and calls answered a second."""

    mean_s: float
    p50_s: float
    p99_s: float
    calls_per_s: float


@dataclass(eq=False, kw_only=True)
class _Queued(QueuedRequest):
    done: simpy.Event
    answered: int = 0


class _Batcher:
    """The real queue before an engine of one stream, in simulated time."""

    def __init__(self, env: simpy.Environment, cores: Cores, times: BatchTimes, chance: random.Random) -> None:
        self._env = env
        self._cores = cores
        self._times = times
        self._chance = chance
        self._queue: PairQueue[_Queued] = PairQueue(times.max_tokens, times.special_tokens)
        self._busy = False

    def submit(self, lengths: Sequence[int]) -> simpy.Event:
        """An event that comes when all pairs are computed."""
        request = _Queued(lengths=lengths, arrived_s=self._env.now, done=self._env.event())
        self._queue.add(request)
        if not self._busy:
            self._next()
        return request.done

    def _next(self) -> None:
        self._busy = bool(self._queue)
        if self._busy:
            cut = self._queue.cut()
            longest = max(request.lengths[position] for request, positions in cut.parts for position in positions)
            seconds = self._times.mean_s(cut.pairs, longest + self._times.special_tokens)
            computed = self._cores.work(seconds * self._chance.choice(self._times.ratios))
            computed.callbacks.append(lambda _: self._answer(cut))

    def _answer(self, cut: Cut[_Queued]) -> None:
        for request, positions in cut.parts:
            request.answered += len(positions)
            if request.answered == len(request.lengths):
                request.done.succeed()
        self._next()


class _Instance:
    def __init__(self, env: simpy.Environment, cores: Cores, service: Service, chance: random.Random) -> None:
        self.outstanding = 0
        self._scorer = _Batcher(env, cores, service.scorer, chance)
        self._ranker = _Batcher(env, cores, service.ranker, chance) if service.ranker is not None else None

    def answer(self, call: Call) -> Generator[simpy.Event, object, None]:
        if self._ranker is not None:
            yield self._ranker.submit(call.texts)
        yield self._scorer.submit(call.pairs)


class _Endpoint:
    def __init__(self, env: simpy.Environment, service: Service, instances: int, chance: random.Random, apart: bool):
        self._env = env
        self._service = service
        cores = len(service.rates)
        nodes = [Cores(env, service.rates) for _ in range(-(-instances // cores))]
        self._instances = [_Instance(env, nodes[i // cores], service, chance) for i in range(instances)]
        self._server = simpy.Resource(env)
        self._server_cores = Cores(env, service.rates[:1]) if apart else nodes[0]
        self.answered: list[tuple[float, float]] = []

    def run(self, calls: Sequence[Call]) -> None:
        """Each call comes when it is due."""
        for call in calls:
            self._env.process(self._due(call))
        self._env.run()

    def run_closed(self, calls: Sequence[Call], callers: int) -> None:
        """Each of so many callers makes its next call when its last one was answered."""
        left = iter(calls)
        for _ in range(callers):
            self._env.process(self._caller(left))
        self._env.run()

    def _due(self, call: Call) -> Generator[simpy.Event, object, None]:
        yield self._env.timeout(call.arrives_s)
        yield from self._call(call)

    def _caller(self, left: Iterator[Call]) -> Generator[simpy.Event, object, None]:
        for call in left:
            yield from self._call(call)

    def _call(self, call: Call) -> Generator[simpy.Event, object, None]:
        came_s = self._env.now
        yield from self._serve(self._service.server_s / 2)
        instance = min(self._instances, key=lambda each: each.outstanding)  # as the router does
        instance.outstanding += 1
        yield from instance.answer(call)
        instance.outstanding -= 1
        yield from self._serve(self._service.server_s / 2)
        yield self._env.timeout(self._service.delay_s)
        self.answered.append((came_s, self._env.now))

    def _serve(self, seconds: float) -> Generator[simpy.Event, object, None]:
        if seconds:
            with self._server.request() as turn:
                yield turn
                yield self._server_cores.work(seconds)


def simulate(
    calls: Sequence[Call], service: Service, instances: int = 1, *, seed: int = 0, server_apart: bool = True
) -> Outcome:
    """What becomes of `calls` at an endpoint of so many instances, as many on a node as it has cores.

    The server has a core of its own, or (not `server_apart`) those of the first node.
    """
    env = simpy.Environment()
    endpoint = _Endpoint(env, service, instances, random.Random(seed), server_apart)  # noqa: S311 - no secret
    endpoint.run(calls)
    return outcome(endpoint.answered)


def outcome(answered: Sequence[tuple[float, float]]) -> Outcome:
    """Percentiles and throughput of calls that were answered, given as the times of arrival and answer."""
    times = np.array(sorted(answered))
    counted = times[int(len(times) * _WARM_UP) :]
    taken_s = counted[:, 1] - counted[:, 0]
    p50_s, p99_s = np.percentile(taken_s, (50, 99))
    elapsed_s = float(times[:, 1].max() - times[0, 0])
    return Outcome(float(taken_s.mean()), float(p50_s), float(p99_s), len(times) / elapsed_s)


@dataclass(frozen=True)
class Load:
    """What is asked: tokens of texts and of hypotheses, of which each call has so many `texts`, and all labels."""

    text_tokens: tuple[int, ...]
    label_tokens: tuple[int, ...]
    texts: int = 1
    max_tokens: int = 512

    def calls(self, calls_per_s: float, count: int, seed: int = 0) -> list[Call]:
        """Calls that come as a Poisson process."""
        chance = np.random.default_rng(seed)
        arrivals = np.cumsum(chance.exponential(1 / calls_per_s, count))
        chosen = chance.choice(np.array(self.text_tokens), (count, self.texts))
        return [self.call(float(at), tuple(map(int, texts))) for at, texts in zip(arrivals, chosen, strict=True)]

    def call(self, arrives_s: float, texts: tuple[int, ...]) -> Call:
        """One call about texts of so many tokens."""
        pairs = tuple(min(text + label, self.max_tokens) for text in texts for label in self.label_tokens)
        return Call(arrives_s, pairs, texts)


@dataclass(frozen=True)
class Endpoint:
    """An endpoint whose limits are looked for; `calls` is how many are simulated for each load."""

    service: Service
    load: Load
    instances: int
    calls: int
    server_apart: bool = True

    def at(self, calls_per_s: float, seed: int = 0) -> Outcome:
        """What happens at a load."""
        calls = self.load.calls(calls_per_s, self.calls, seed)
        return simulate(calls, self.service, self.instances, seed=seed, server_apart=self.server_apart)

    def saturated(self) -> float:
        """Calls answered a second when enough for some batches are always waiting at every instance."""
        waiting = max(2, -(-_WAITING_PAIRS // (self.load.texts * len(self.load.label_tokens))))
        env = simpy.Environment()
        endpoint = _Endpoint(env, self.service, self.instances, random.Random(0), self.server_apart)  # noqa: S311
        endpoint.run_closed(self.load.calls(1.0, 4 * waiting * self.instances), waiting * self.instances)
        ends = np.sort([answered_s for _, answered_s in endpoint.answered])
        first, last = len(ends) // 4, len(ends) * 3 // 4  # when all callers are at it
        return float((last - first) / (ends[last] - ends[first]))

    def knee(self, bound_s: float, saturated: float, *, steps: int = 6) -> tuple[float, Outcome]:
        """The largest load, in calls a second, at which the p99 stays under the bound, by bisection; or 0.

        Loads go up to 98 % of `saturated`, the load that the endpoint cannot exceed: beyond, a queue has no end.
        """
        low, high = 0.0, 0.98 * saturated
        best, found = self.at(high / 1000), self.at(high)
        if found.p99_s <= bound_s:
            return high, found
        for _ in range(steps):
            middle = (low + high) / 2
            found = self.at(middle)
            if found.p99_s <= bound_s:
                low, best = middle, found
            else:
                high = middle
        return low, best
