"""The simulation of endpoints against what queueing theory knows, and against itself."""

from dataclasses import replace
from itertools import pairwise

import pytest
import simpy
from benchmarks.cores import Cores
from benchmarks.queueing import BatchTimes, Call, Endpoint, Load, Service, simulate

# One pair fills a batch, so that nothing is batched: 10 ms each.
ALONE = Service(BatchTimes(0.010, 0.0, 0.0, special_tokens=4, max_tokens=64))
ONE_PAIR = Load(text_tokens=(50,), label_tokens=(10,))
# What a small model takes on one core, as measured; ratios as of a machine with other work.
REAL = Service(
    scorer=BatchTimes(0.001, 1.5e-4, 1e-8, special_tokens=3, ratios=(0.9, 1.0, 1.0, 1.3)),
    ranker=BatchTimes(0.001, 1e-4, 1e-8, special_tokens=2, ratios=(0.9, 1.0, 1.0, 1.3)),
    server_s=0.001,
    delay_s=0.002,
    rates=(1.0, 0.8),
)
SHORT = Load(text_tokens=(6, 9, 12, 15, 25), label_tokens=(6, 7, 8))


@pytest.mark.parametrize("utilisation", [0.3, 0.6, 0.8])
def test_one_instance_without_batching_is_the_queue_of_the_textbook(utilisation: float) -> None:
    """M/D/1: the mean time in the system is s + u s / 2 (1 - u) (Pollaczek 1930, Khinchin 1932)."""
    found = Endpoint(ALONE, ONE_PAIR, instances=1, calls=20_000).at(utilisation / 0.010, seed=1)
    assert found.mean_s == pytest.approx(0.010 + utilisation * 0.010 / (2 * (1 - utilisation)), rel=0.05)
    assert found.calls_per_s == pytest.approx(utilisation / 0.010, rel=0.03)


def test_what_shares_a_core_is_served_in_turn_and_what_has_one_to_itself_is_not_held_up() -> None:
    ended: dict[str, float] = {}
    env = simpy.Environment()
    cores = Cores(env, rates=(1.0, 0.5))

    def task(name: str, starts_s: float, seconds: float) -> "simpy.events.ProcessGenerator":
        yield env.timeout(starts_s)
        yield cores.work(seconds)
        ended[name] = env.now

    # Alone for a second at speed 1, then two at 0.5, then three that share two cores: 1/3 each.
    for name, starts_s, seconds in (("first", 0.0, 2.0), ("second", 1.0, 1.0), ("third", 2.0, 0.5)):
        env.process(task(name, starts_s, seconds))
    env.run()
    assert ended == pytest.approx({"first": 3.5, "second": 3.5, "third": 3.5})


def test_calls_of_an_idle_endpoint_take_their_own_time() -> None:
    call = SHORT.call(1.0, (9,))
    quiet = replace(REAL, scorer=replace(REAL.scorer, ratios=(1.0,)), ranker=None)
    own_s = REAL.scorer.mean_s(3, 9 + 8 + 3) + 0.001 + 0.002  # three pairs, as wide as the longest
    assert simulate([call], quiet, seed=3).p50_s == pytest.approx(own_s)


def test_the_same_seed_gives_the_same_outcome_and_another_one_does_not() -> None:
    endpoint = Endpoint(REAL, SHORT, instances=3, calls=2000)
    assert endpoint.at(60, seed=7) == endpoint.at(60, seed=7)
    assert endpoint.at(60, seed=7) != endpoint.at(60, seed=8)


@pytest.mark.parametrize("load", [SHORT, replace(SHORT, texts=8)], ids=["one text", "eight texts"])
def test_more_instances_are_never_worse(load: Load) -> None:
    endpoint = Endpoint(replace(REAL, rates=(1.0,)), load, instances=1, calls=1500)
    calls_per_s = 0.8 * endpoint.saturated()
    found = [replace(endpoint, instances=instances).at(calls_per_s) for instances in (1, 2, 4, 16)]
    for fewer, more in pairwise(found):
        assert more.p99_s <= fewer.p99_s * 1.01
        assert more.mean_s <= fewer.mean_s * 1.01


def test_batching_answers_more_calls_than_one_after_the_other() -> None:
    """Short pairs share what each batch costs: the same work, cut into batches of one pair, saturates earlier."""
    costly = Service(BatchTimes(0.010, 1e-5, 0.0, special_tokens=3))
    apart = replace(costly, scorer=replace(costly.scorer, max_tokens=1))
    together = Endpoint(costly, SHORT, instances=1, calls=1).saturated()
    assert together > 5 * Endpoint(apart, SHORT, instances=1, calls=1).saturated()


def test_the_server_is_the_limit_however_many_instances_there_are() -> None:
    endpoint = Endpoint(REAL, SHORT, instances=100, calls=1)
    assert endpoint.saturated() == pytest.approx(1 / REAL.server_s, rel=0.05)


def test_the_knee_is_where_the_bound_is_reached() -> None:
    endpoint = Endpoint(REAL, SHORT, instances=2, calls=1500)
    saturated = endpoint.saturated()
    calls_per_s, at_the_knee = endpoint.knee(0.1, saturated)
    assert at_the_knee.p99_s <= 0.1 < endpoint.at(calls_per_s * 1.1).p99_s
    assert 0 < calls_per_s < saturated
    assert endpoint.knee(1e-6, saturated)[0] == 0


def test_a_call_of_many_texts_does_not_hold_up_a_small_one() -> None:
    """The queue is fair: one call of 1,000 pairs that came first is not computed whole before one of three."""
    large, small = Call(0.0, (17,) * 1000), SHORT.call(0.001, (9,))
    service = replace(REAL, ranker=None)
    both = simulate([large, *[replace(small, arrives_s=0.001 * n) for n in range(1, 10)]], service)
    assert both.p99_s < 0.4  # the first call is not counted
    assert 10 / both.calls_per_s > 3
