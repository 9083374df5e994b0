"""The router: which instance takes an invocation. Variants by weight, instances by fewest outstanding."""

import asyncio
import random
import threading
import time
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace

from zerostart.errors import InvalidInput, ModelNotReady, NoInstance, NotFound, Throttled, Waking
from zerostart.hosting.invocation_counts import InvocationCounts
from zerostart.hosting.launcher import Instance


@dataclass(frozen=True)
class RoutedVariant:
    """A variant and its instances that take invocations now. A serverless one has a `max_concurrency`.

    `on_demand`: where it has none, a call has them started, and can wait for them.
    """

    name: str
    weight: float
    instances: tuple[Instance, ...]
    max_concurrency: int | None = None
    on_demand: bool = False


class Router:
    """Knows the ready instances of every endpoint. Safe to use from many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._variants: dict[str, tuple[RoutedVariant, ...]] = {}
        self._outstanding: Counter[str] = Counter()
        self._counts = InvocationCounts()
        self._asking: Counter[str] = Counter()
        self._asked_s: dict[str, float] = {}
        self._called: set[str] = set()
        self._waiting: dict[str, list[asyncio.Future[str | None]]] = {}

    def publish(self, endpoint: str, variants: Sequence[RoutedVariant], failure: str | None = None) -> None:
        """Replace what is known of an endpoint. `failure` is told to those who wait for its instances."""
        with self._lock:
            self._variants[endpoint] = tuple(variants)
            if failure is not None:
                self._called.discard(endpoint)
            waiting = self._waiting.pop(endpoint, [])
        _resolve(waiting, failure)

    def suspend(self, endpoint: str, idle_s: float) -> bool:
        """Route to no instance of an endpoint until it is published again; False if it was called within `idle_s`.

        No call is lost: one that is there is seen, and one that comes later finds no instance and has them started.
        """
        with self._lock:
            asked_s = self._asked_s.get(endpoint, float("-inf"))
            if self._asking[endpoint] or time.monotonic() - asked_s < idle_s:
                return False
            variants = self._variants.get(endpoint, ())
            self._variants[endpoint] = tuple(replace(each, instances=(), on_demand=True) for each in variants)
            self._called.discard(endpoint)
        return True

    def take_call(self, endpoint: str) -> bool:
        """Whether somebody called an endpoint that had no instance, since this was asked last."""
        with self._lock:
            called = endpoint in self._called
            self._called.discard(endpoint)
        return called

    def outstanding(self, instance_id: str) -> int:
        """How many invocations an instance holds."""
        with self._lock:
            return self._outstanding.get(instance_id, 0)

    def invocations(self, endpoint: str, variant: str, within_s: float) -> int:
        """How many invocations a variant had in the last `within_s` seconds, which are at most a minute."""
        with self._lock:
            return self._counts.within(endpoint, variant, within_s)

    def withdraw(self, endpoint: str) -> None:
        """Send an endpoint nothing more."""
        with self._lock:
            self._variants.pop(endpoint, None)
            self._asked_s.pop(endpoint, None)
            self._called.discard(endpoint)
            self._counts.forget(endpoint)
            waiting = self._waiting.pop(endpoint, [])
        _resolve(waiting)

    async def published(self, endpoint: str, timeout_s: float) -> str | None:
        """Returns when the endpoint is published or withdrawn next, or time is up; why it cannot be woken, if so."""
        future: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()
        with self._lock:
            self._waiting.setdefault(endpoint, []).append(future)
        await asyncio.wait([future], timeout=timeout_s)
        return future.result() if future.done() else None

    @contextmanager
    def asking(self, endpoint: str) -> Iterator[None]:
        """Count a request from its arrival to its end, so that an endpoint does not fall asleep meanwhile."""
        with self._lock:
            self._asking[endpoint] += 1
        try:
            yield
        finally:
            with self._lock:
                self._asking[endpoint] -= 1
                if not self._asking[endpoint]:
                    del self._asking[endpoint]
                if endpoint in self._variants:
                    self._asked_s[endpoint] = time.monotonic()

    def asked_s(self, endpoint: str) -> float:
        """When somebody last asked for the endpoint, on the monotonic clock: now, while a request is there."""
        with self._lock:
            return time.monotonic() if self._asking[endpoint] else self._asked_s.get(endpoint, float("-inf"))

    def variants(self, endpoint: str) -> tuple[RoutedVariant, ...]:
        """The variants of an endpoint with their ready instances; empty if it is not routed."""
        with self._lock:
            return self._variants.get(endpoint, ())

    def snapshot(self) -> Mapping[str, tuple[RoutedVariant, ...]]:
        """All endpoints."""
        with self._lock:
            return dict(self._variants)

    @contextmanager
    def lease(self, endpoint: str, target_variant: str | None, tried: Collection[str] = ()) -> Iterator[Instance]:
        """An instance for one invocation, counted as outstanding until the end; never one whose id is in `tried`.

        Raises NotFound for an endpoint that is not routed, InvalidInput for an unknown variant, NoInstance when no
        instance is ready (Waking when one is started on demand), and Throttled over a serverless limit.
        """
        with self._lock:
            variant, instance = self._choose(endpoint, target_variant, tried)
            self._outstanding[instance.id] += 1
            if not tried:  # one that is sent again is the same invocation
                self._counts.add(endpoint, variant)
        try:
            yield instance
        finally:
            with self._lock:
                self._outstanding[instance.id] -= 1
                if not self._outstanding[instance.id]:
                    del self._outstanding[instance.id]

    def _choose(self, endpoint: str, target_variant: str | None, tried: Collection[str]) -> tuple[str, Instance]:
        """The variant's name, and the instance."""
        variants = self._variants.get(endpoint)
        if variants is None:
            raise NotFound(f"Endpoint {endpoint} is not routed.")
        if target_variant is not None:
            variants = tuple(variant for variant in variants if variant.name == target_variant)
            if not variants:
                known = ", ".join(variant.name for variant in self._variants[endpoint])
                raise InvalidInput(f"Variant {target_variant} not found for endpoint {endpoint}: it has {known}.")
        ready = [
            (variant, fresh)
            for variant in variants
            if (fresh := [each for each in variant.instances if each.id not in tried])
        ]
        if not ready and any(variant.on_demand or variant.max_concurrency for variant in variants):
            self._called.add(endpoint)
            if any(variant.max_concurrency for variant in variants):
                raise ModelNotReady(f"The instance of serverless endpoint {endpoint} is not ready yet: try again soon.")
            raise Waking(f"Endpoint {endpoint} was asleep, and its instances are not ready yet: try again in a moment.")
        if not ready:
            raise NoInstance(f"No instance of endpoint {endpoint} is ready: try again in a moment.")
        weights = [variant.weight for variant, _ in ready]
        if not any(weights):
            weights = [1.0] * len(ready)
        ((variant, instances),) = random.choices(ready, weights)  # noqa: S311 - spreads load, guards nothing
        limit = variant.max_concurrency
        if limit is not None and sum(self._outstanding[each.id] for each in variant.instances) >= limit:
            raise Throttled(
                f"Rate exceeded: serverless endpoint {endpoint} works on {limit} invocations at once (MaxConcurrency)."
            )
        return variant.name, min(instances, key=lambda instance: self._outstanding[instance.id])


def _resolve(waiting: Sequence["asyncio.Future[str | None]"], failure: str | None = None) -> None:
    """Tell those who wait, each in its own event loop."""

    def set_result(future: "asyncio.Future[str | None]") -> None:
        if not future.done():
            future.set_result(failure)

    for future in waiting:
        with suppress(RuntimeError):  # its loop is closed: nobody waits any more
            future.get_loop().call_soon_threadsafe(set_result, future)
