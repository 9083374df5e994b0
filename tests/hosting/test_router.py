"""Which instance takes an invocation."""

from collections import Counter
from dataclasses import dataclass
from typing import cast

import pytest

from zerostart.errors import InvalidInput, NoInstance, NotFound
from zerostart.hosting.launcher import Instance
from zerostart.hosting.router import RoutedVariant, Router


@dataclass
class Named:
    """As much of an instance as a router looks at."""

    id: str


def instances(*names: str) -> tuple[Instance, ...]:
    return tuple(cast("Instance", Named(name)) for name in names)


def test_the_instance_with_fewest_outstanding_is_chosen() -> None:
    router = Router()
    router.publish("e", [RoutedVariant("v", 1.0, instances("a", "b", "c"))])
    with router.lease("e", None) as first, router.lease("e", None) as second, router.lease("e", None) as third:
        assert {first.id, second.id, third.id} == {"a", "b", "c"}
    with router.lease("e", None) as one, router.lease("e", None), router.lease("e", None):
        pass
    assert one.id == "a"


def test_variants_are_chosen_by_weight() -> None:
    router = Router()
    router.publish("e", [RoutedVariant("blue", 3.0, instances("b")), RoutedVariant("green", 1.0, instances("g"))])
    counts: Counter[str] = Counter()
    for _ in range(4000):
        with router.lease("e", None) as instance:
            counts[instance.id] += 1
    assert 2700 < counts["b"] < 3300


def test_a_variant_without_a_ready_instance_is_left_out() -> None:
    router = Router()
    router.publish("e", [RoutedVariant("blue", 99.0, ()), RoutedVariant("green", 1.0, instances("g"))])
    with router.lease("e", None) as instance:
        assert instance.id == "g"
    with pytest.raises(NoInstance), router.lease("e", "blue"):
        pass


def test_what_was_tried_is_not_tried_again() -> None:
    router = Router()
    router.publish("e", [RoutedVariant("v", 1.0, instances("a", "b"))])
    with router.lease("e", None, tried=["a"]) as instance:
        assert instance.id == "b"
    with pytest.raises(NoInstance), router.lease("e", None, tried=["a", "b"]):
        pass


def test_unknown_names() -> None:
    router = Router()
    with pytest.raises(NotFound), router.lease("e", None):
        pass
    router.publish("e", [RoutedVariant("v", 1.0, instances("a"))])
    with pytest.raises(InvalidInput, match="Variant w not found for endpoint e: it has v"), router.lease("e", "w"):
        pass
    router.withdraw("e")
    with pytest.raises(NotFound), router.lease("e", None):
        pass


def test_invocations_are_counted_by_variant_and_one_that_is_sent_again_once() -> None:
    router = Router()
    router.publish("e", [RoutedVariant("blue", 1.0, instances("b")), RoutedVariant("green", 0.0, instances("g", "h"))])
    for _ in range(3):
        with router.lease("e", "blue"):
            pass
    with router.lease("e", "green") as first:
        pass
    with router.lease("e", "green", tried=[first.id]):
        pass
    with pytest.raises(InvalidInput), router.lease("e", "red"):
        pass
    assert [router.invocations("e", name, 60) for name in ("blue", "green", "red")] == [3, 1, 0]
    router.withdraw("e")
    assert router.invocations("e", "blue", 60) == 0
