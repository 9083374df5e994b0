"""The decision of autoscaling, by made-up loads on a made-up clock."""

import math
import random
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zerostart.hosting.invocation_counts import InvocationCounts
from zerostart.hosting.scaling import MINUTE_S, RECENT_S, Load, Trend, decide
from zerostart.metadata.scalable_target import ScalableTarget, ScaledVariant, Suspended
from zerostart.metadata.scaling_policy import ScalingPolicy

OF = ScaledVariant("site", "AllTraffic")
NOW = datetime(2026, 11, 23, tzinfo=UTC)
TARGET = ScalableTarget(OF, "1", 1, 10, NOW)
POLICY = ScalingPolicy(OF, "2", "by-load", 600.0, NOW)


@dataclass(frozen=True)
class Change:
    """A change of the count at a time."""

    at_s: float
    before: int
    after: int


def changes(
    arrivals: Iterator[int],
    *,
    target: ScalableTarget = TARGET,
    policy: ScalingPolicy | None = POLICY,
    count: int = 1,
) -> list[Change]:
    """What is decided where `arrivals` has the invocations of each second, looked at once a second."""
    trend, made, window = Trend(0.0), [], deque[int](maxlen=int(MINUTE_S))
    for second, invocations in enumerate(arrivals, start=1):
        window.append(invocations)
        load = Load(sum(list(window)[-int(RECENT_S) :]), sum(window))
        desired, trend = decide(target, policy, load, count, trend, float(second))
        if desired != count:
            made.append(Change(second, count, desired))
        count = desired
    return made


def steady(a_minute: float, seconds: int) -> Iterator[int]:
    """A constant load, as evenly as whole invocations can be."""
    for second in range(seconds):
        yield math.floor((second + 1) * a_minute / 60) - math.floor(second * a_minute / 60)


def poisson(a_minute: float, seconds: int, seed: int) -> Iterator[int]:
    """A load of callers that do not know each other."""
    source, at_s, counts = random.Random(seed), 0.0, [0] * seconds
    while (at_s := at_s + source.expovariate(a_minute / 60)) < seconds:
        counts[int(at_s)] += 1
    yield from counts


def then(*parts: Iterator[int]) -> Iterator[int]:
    for each in parts:
        yield from each


loads = st.lists(st.tuples(st.integers(0, 100), st.integers(1, 120)), min_size=1, max_size=8)
targets = st.builds(
    lambda low, more, into, out: replace(
        TARGET, min_capacity=low, max_capacity=max(1, low + more), suspended=Suspended(into, out)
    ),
    st.integers(0, 5),
    st.integers(0, 10),
    st.booleans(),
    st.booleans(),
)
policies = st.builds(
    lambda value, out_s, in_s, only_out: replace(
        POLICY, target_value=value, scale_out_cooldown_s=out_s, scale_in_cooldown_s=in_s, disable_scale_in=only_out
    ),
    st.floats(0.5, 5000),
    st.one_of(st.none(), st.integers(0, 400)),
    st.one_of(st.none(), st.integers(0, 400)),
    st.booleans(),
)


@given(loads, targets, policies, st.integers(1, 20))
def test_it_stays_within_bounds_and_keeps_cooldowns(
    parts: list[tuple[int, int]], target: ScalableTarget, policy: ScalingPolicy, count: int
) -> None:
    arrivals = (a_second for a_second, seconds in parts for _ in range(seconds))
    low, high = max(1, target.min_capacity), target.max_capacity
    made = changes(arrivals, target=target, policy=policy, count=count)
    if not low <= count <= high:
        assert made[0] == Change(1, count, min(max(count, low), high))  # the nearest bound, at the first look
        made = made[1:]
    assert all(low <= each.after <= high for each in made)
    outs = [each for each in made if each.after > each.before]
    ins = [each for each in made if each.after < each.before]
    if target.suspended.scale_out:
        assert outs == []
    if target.suspended.scale_in or policy.disable_scale_in:
        assert ins == []
    for first, second in pairwise(outs):
        step, earlier = second.after - second.before, first.after - first.before
        assert second.at_s - first.at_s >= 15
        assert second.at_s - first.at_s >= policy.out_cooldown_s or step > earlier
    for first, second in pairwise(made):
        if second.after < second.before:
            assert second.at_s - first.at_s >= policy.in_cooldown_s


@given(
    st.floats(4, 6000),
    st.floats(3, 3000),
    st.integers(1, 10),
    st.one_of(st.none(), st.integers(15, 300)),
)
def test_a_constant_load_does_not_flap(a_minute: float, value: float, count: int, cooldown_s: int | None) -> None:
    policy = replace(POLICY, target_value=value, scale_in_cooldown_s=cooldown_s, scale_out_cooldown_s=cooldown_s)
    made = changes(steady(a_minute, 1500), policy=policy, count=count)
    directions = [each.after > each.before for each in made]
    assert len(set(directions)) <= 1
    assert not made or made[-1].at_s < 900
    settled = made[-1].after if made else count
    assert settled >= min(10, math.ceil(math.floor(a_minute) / value))
    assert settled <= max(count if directions[:1] != [False] else 0, min(10, math.ceil((a_minute + 4) / 0.9 / value)))


@pytest.mark.parametrize("share", [0.5, 0.8, 1.6, 2.5])
def test_chance_alone_does_not_flap(share: float) -> None:
    for seed in range(5):
        made = changes(poisson(600 * share, 4 * 3600, seed))
        assert all(each.after > each.before for each in made)
        assert len(made) <= math.ceil(share)


def test_a_rise_is_answered_within_half_a_minute_by_as_many_as_it_needs() -> None:
    made = changes(then(steady(60, 120), steady(2400, 60)))
    (change,) = made
    assert (change.before, change.after) == (1, 4)
    assert 120 + 15 <= change.at_s <= 120 + 30


def test_a_short_burst_is_no_reason() -> None:
    assert (
        changes(then(steady(60, 60), iter([200] * 4), steady(60, 120)), policy=replace(POLICY, target_value=900)) == []
    )


def test_a_few_invocations_are_no_trend() -> None:
    policy = replace(POLICY, target_value=4.0)
    assert changes(then(iter([1, 1]), steady(0, 100)), policy=policy) == []


def test_a_larger_rise_does_not_wait_for_the_cooldown_and_a_smaller_one_does() -> None:
    rising = then(steady(1100, 60), steady(2200, 60), steady(2900, 400))
    made = changes(rising)
    assert [(each.before, each.after) for each in made] == [(1, 2), (2, 4), (4, 5)]
    assert made[1].at_s - made[0].at_s < 120
    assert made[2].at_s - made[1].at_s >= 300


def test_it_scales_in_to_what_was_needed_at_most_in_the_cooldown() -> None:
    waning = then(steady(3000, 200), steady(100, 100), steady(900, 40), steady(100, 900))
    made = changes(waning, count=5)
    assert [(each.before, each.after) for each in made] == [(5, 2), (2, 1)]
    assert made[0].at_s >= 200 + 300
    assert made[1].at_s - made[0].at_s >= 300


def test_after_a_restart_nothing_is_scaled_in_before_a_minute_was_seen() -> None:
    policy = replace(POLICY, scale_in_cooldown_s=60)
    assert [each.at_s for each in changes(steady(0, 300), policy=policy, count=3)] == [61]
    policy = replace(POLICY, scale_in_cooldown_s=0)
    assert [each.at_s for each in changes(steady(0, 300), policy=policy, count=3)] == [10]


def test_a_load_that_ended_is_not_scaled_for_afterwards() -> None:
    policy = replace(POLICY, scale_in_cooldown_s=1, scale_out_cooldown_s=1)
    made = changes(then(steady(1800, 90), steady(0, 120)), policy=policy)
    assert [each.after for each in made] == [3, 2, 1]


def test_a_target_without_a_policy_keeps_its_bounds_alone() -> None:
    bounds = replace(TARGET, min_capacity=2, max_capacity=3)
    for count, wanted in ((1, [2]), (2, []), (3, []), (9, [3])):
        made = changes(steady(60_000, 200), target=bounds, policy=None, count=count)
        assert [each.after for each in made] == wanted


@given(st.lists(st.floats(0, 3), max_size=200))
def test_invocations_are_counted_for_a_minute(gaps_s: list[float]) -> None:
    now_s, times_s = 1000.0, []
    clock: Callable[[], float] = lambda: now_s  # noqa: E731 - it reads the variable
    counts = InvocationCounts(clock)
    for gap_s in gaps_s:
        now_s += gap_s
        times_s.append(now_s)
        counts.add("site", "a")
    for within_s in (15.0, 60.0):
        counted = counts.within("site", "a", within_s)
        assert sum(at_s > now_s - within_s + 0.5 for at_s in times_s) <= counted
        assert counted <= sum(at_s > now_s - within_s - 0.5 for at_s in times_s)
    assert counts.within("site", "b", 60.0) == 0
    counts.forget("site")
    assert counts.within("site", "a", 60.0) == 0
