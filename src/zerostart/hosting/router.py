"""The router: which instance takes an invocation. Variants by weight, instances by fewest outstanding."""

import random
import threading
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from zerostart.errors import InvalidInput, NoInstance, NotFound
from zerostart.hosting.launcher import Instance


@dataclass(frozen=True)
class RoutedVariant:
    """A variant and its instances that take invocations now."""

    name: str
    weight: float
    instances: tuple[Instance, ...]


class Router:
    """Knows the ready instances of every endpoint. Safe to use from many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._variants: dict[str, tuple[RoutedVariant, ...]] = {}
        self._outstanding: Counter[str] = Counter()

    def publish(self, endpoint: str, variants: Sequence[RoutedVariant]) -> None:
        """Replace what is known of an endpoint."""
        with self._lock:
            self._variants[endpoint] = tuple(variants)

    def withdraw(self, endpoint: str) -> None:
        """Send an endpoint nothing more."""
        with self._lock:
            self._variants.pop(endpoint, None)

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

        Raises NotFound for an endpoint that is not routed, InvalidInput for an unknown variant, and NoInstance when no
        instance is ready.
        """
        with self._lock:
            instance = self._choose(endpoint, target_variant, tried)
            self._outstanding[instance.id] += 1
        try:
            yield instance
        finally:
            with self._lock:
                self._outstanding[instance.id] -= 1
                if not self._outstanding[instance.id]:
                    del self._outstanding[instance.id]

    def _choose(self, endpoint: str, target_variant: str | None, tried: Collection[str]) -> Instance:
        variants = self._variants.get(endpoint)
        if variants is None:
            raise NotFound(f"Endpoint {endpoint} is not routed.")
        if target_variant is not None:
            variants = tuple(variant for variant in variants if variant.name == target_variant)
            if not variants:
                known = ", ".join(variant.name for variant in self._variants[endpoint])
                raise InvalidInput(f"Variant {target_variant} not found for endpoint {endpoint}: it has {known}.")
        ready = [
            (variant.weight, fresh)
            for variant in variants
            if (fresh := [each for each in variant.instances if each.id not in tried])
        ]
        if not ready:
            raise NoInstance(f"No instance of endpoint {endpoint} is ready: try again in a moment.")
        weights = [weight for weight, _ in ready]
        if not any(weights):
            weights = [1.0] * len(ready)
        ((_, instances),) = random.choices(ready, weights)  # noqa: S311 - spreads load, guards nothing
        return min(instances, key=lambda instance: self._outstanding[instance.id])
