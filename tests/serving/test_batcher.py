"""The batcher under real threads, with small engines that do what engines may do."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from typing import cast

import numpy as np
import pytest

from zerostart.engines.base import EncodedBatch, Engine, Logits
from zerostart.errors import BodyTooLarge, EngineFailure, Overloaded
from zerostart.metrics import CountedBatch
from zerostart.serving.batcher import Batcher, BatchLimits
from zerostart.serving.tokenizer import EncodedPair

POISON, NOT_A_NUMBER, DEADLY = 666, 777, 999
WAIT_S = 20


class SumEngine:
    """Logits of a pair: the sum and the number of its tokens. Certain tokens make it fail, as a real engine may."""

    name = "sum"
    precision = "fp32"

    def __init__(self, streams: int = 1) -> None:
        self.streams = streams
        self.batches: list[EncodedBatch] = []
        self.go_on = threading.Event()
        self.go_on.set()
        self.started = threading.Semaphore(0)
        self.dead = False
        self.closed = False

    def logits(self, batch: EncodedBatch) -> Logits:
        self.batches.append(batch)
        self.started.release()
        assert self.go_on.wait(WAIT_S)
        self.dead = self.dead or bool((batch.input_ids == DEADLY).any())
        if self.dead or (batch.input_ids == POISON).any():
            raise RuntimeError("the device is gone" if self.dead else "a shape that I cannot compute")
        result = np.stack([batch.input_ids.sum(axis=1), batch.attention_mask.sum(axis=1)], axis=1).astype(np.float32)
        result[(batch.input_ids == NOT_A_NUMBER).any(axis=1)] = np.nan
        return result

    def close(self) -> None:
        self.closed = True

    def hold(self, batcher: Batcher) -> "Future[Logits]":
        """Keep the engine busy with one pair until `go_on` is set, so that what comes next has to queue."""
        self.go_on.clear()
        future = batcher.submit([pair(1)])
        assert self.started.acquire(timeout=WAIT_S)
        return future


def pair(*tokens: int) -> EncodedPair:
    return EncodedPair(np.array(tokens[:-1], dtype=np.int64), np.array(tokens[-1:], dtype=np.int64))


def long_pair(tokens: int, value: int = 1) -> EncodedPair:
    return pair(*[value] * tokens)


def assemble(pairs: "list[EncodedPair] | tuple[EncodedPair, ...] | object", width: int = 0) -> EncodedBatch:
    rows = [np.concatenate([each.premise, each.hypothesis]) for each in cast("list[EncodedPair]", pairs)]
    ids = np.zeros((len(rows), max(width, *map(len, rows))), dtype=np.int64)
    mask = np.zeros_like(ids)
    for row, tokens in enumerate(rows):
        ids[row, : len(tokens)] = tokens
        mask[row, : len(tokens)] = 1
    return EncodedBatch(ids, mask, np.zeros_like(ids))


Start = Callable[..., Batcher]


@pytest.fixture
def start() -> Iterator[Start]:
    """Start batchers that are closed when the test ends."""
    started: list[tuple[Batcher, SumEngine]] = []

    def start_one(
        engine: SumEngine,
        limits: BatchLimits = BatchLimits(),  # noqa: B008 - frozen
        on_batch: Callable[[CountedBatch], None] | None = None,
    ) -> Batcher:
        contract: Engine = engine
        batcher = Batcher(contract, assemble, special_tokens=0, limits=limits, on_batch=on_batch)
        started.append((batcher, engine))
        return batcher

    yield start_one
    for batcher, engine in started:
        engine.go_on.set()
        batcher.close()


def test_logits_come_in_the_callers_order_whatever_the_lengths(start: Start) -> None:
    batcher = start(SumEngine(), BatchLimits(max_tokens=64))
    lengths = np.random.default_rng(0).integers(2, 30, 200).tolist()
    logits = batcher.submit([long_pair(length, value=i + 1) for i, length in enumerate(lengths)]).result(WAIT_S)
    expected = [[(i + 1) * length, length] for i, length in enumerate(lengths)]
    np.testing.assert_array_equal(logits, expected)


def test_no_batch_is_over_the_token_budget_but_a_single_pair(start: Start) -> None:
    engine = SumEngine()
    batcher = start(engine, BatchLimits(max_tokens=100))
    first = engine.hold(batcher)
    rng = np.random.default_rng(1)
    futures = [batcher.submit([long_pair(int(n)) for n in rng.integers(2, 60, 20)]) for _ in range(10)]
    futures.append(batcher.submit([long_pair(250), long_pair(240), long_pair(3)]))
    engine.go_on.set()
    for future in [first, *futures]:
        future.result(WAIT_S)
    assert all(batch.input_ids.size <= 100 or batch.pairs == 1 for batch in engine.batches)
    assert sum(batch.pairs for batch in engine.batches) == 1 + 200 + 3
    assert len(engine.batches) < 150, "pairs are batched"


def test_pairs_of_concurrent_requests_share_a_batch(start: Start) -> None:
    engine = SumEngine()
    batcher = start(engine)
    first = engine.hold(batcher)
    futures = [batcher.submit([pair(i, 1), pair(i, 2)]) for i in range(10)]
    assert batcher.queued_pairs == 20
    engine.go_on.set()
    first.result(WAIT_S)
    for i, future in enumerate(futures):
        np.testing.assert_array_equal(future.result(WAIT_S), [[i + 1, 2], [i + 2, 2]])
    assert [batch.pairs for batch in engine.batches] == [1, 20]


def test_pairs_of_given_widths_are_in_batches_of_that_width_alone(start: Start) -> None:
    engine = SumEngine()
    batcher = start(engine, BatchLimits(max_tokens=64))
    first = engine.hold(batcher)
    lengths = [int(n) for n in np.random.default_rng(2).integers(2, 17, 60)]
    pairs = [long_pair(n, value=i + 1) for i, n in enumerate(lengths)]
    widths = [-(-n // 4) * 4 for n in lengths]
    others = [batcher.submit([long_pair(n) for n in lengths[:20]]) for _ in range(3)]
    futures = [batcher.submit(pairs[start : start + 20], widths[start : start + 20]) for start in (0, 20, 40)]
    engine.go_on.set()
    first.result(WAIT_S)
    logits = np.concatenate([future.result(WAIT_S) for future in futures])
    np.testing.assert_array_equal(logits, [[(i + 1) * n, n] for i, n in enumerate(lengths)])
    for future in others:
        np.testing.assert_array_equal(future.result(WAIT_S)[:, 1], lengths[:20])
    fixed = [batch for batch in engine.batches if batch.input_ids.max() > 1]
    assert sum(batch.pairs for batch in fixed) >= 59
    for batch in fixed:
        width = batch.input_ids.shape[1]
        assert {-(-int(n) // 4) * 4 for n in batch.attention_mask.sum(axis=1)} == {width}
    assert max(batch.pairs for batch in fixed) > 2, "they are batched, over requests too"


def test_many_threads_get_their_own_answers(start: Start) -> None:
    batcher = start(SumEngine(streams=3), BatchLimits(max_tokens=128))

    def ask(seed: int) -> None:
        values = np.random.default_rng(seed).integers(1, 600, (7, 5)).tolist()
        logits = batcher.submit([pair(*row) for row in values]).result(WAIT_S)
        np.testing.assert_array_equal(logits[:, 0], [sum(row) for row in values])

    with ThreadPoolExecutor(16) as threads:
        list(threads.map(ask, range(300)))
    assert batcher.queued_pairs == 0
    assert batcher.failure is None


def test_a_poisonous_request_fails_alone(start: Start) -> None:
    engine = SumEngine()
    batcher = start(engine)
    first = engine.hold(batcher)
    before, bad, after = (batcher.submit([pair(1, 2), pair(third, 4)]) for third in (3, POISON, 5))
    engine.go_on.set()
    first.result(WAIT_S)
    assert before.result(WAIT_S).tolist() == [[3, 2], [7, 2]]
    assert after.result(WAIT_S).tolist() == [[3, 2], [9, 2]]
    with pytest.raises(EngineFailure, match="a shape that I cannot compute"):
        bad.result(WAIT_S)
    assert batcher.failure is None
    assert batcher.submit([pair(1, 1)]).result(WAIT_S).tolist() == [[2, 2]]


def test_a_poisonous_request_by_itself_does_not_end_the_batcher(start: Start) -> None:
    batcher = start(SumEngine())
    with pytest.raises(EngineFailure):
        batcher.submit([pair(1, POISON)]).result(WAIT_S)
    assert batcher.failure is None
    assert batcher.submit([pair(1, 1)]).result(WAIT_S).tolist() == [[2, 2]]


def test_a_large_poisonous_request_is_given_up_whole(start: Start) -> None:
    engine = SumEngine()
    batcher = start(engine, BatchLimits(max_tokens=16))
    first = engine.hold(batcher)
    bad = batcher.submit([long_pair(8, POISON), *[long_pair(4)] * 400])
    engine.go_on.set()
    first.result(WAIT_S)
    with pytest.raises(EngineFailure):
        bad.result(WAIT_S)
    assert batcher.submit([pair(1, 1)]).result(WAIT_S).tolist() == [[2, 2]]
    assert batcher.queued_pairs == 0
    assert len(engine.batches) < 10, "pairs of a request that has failed are not computed"


def test_nan_stays_with_the_pair_that_made_it(start: Start) -> None:
    engine = SumEngine()
    batcher = start(engine)
    first = engine.hold(batcher)
    good, bad = batcher.submit([pair(1, 2)]), batcher.submit([pair(1, NOT_A_NUMBER)])
    engine.go_on.set()
    first.result(WAIT_S)
    assert good.result(WAIT_S).tolist() == [[3, 2]]
    assert np.isnan(bad.result(WAIT_S)).all()
    assert batcher.failure is None


def test_the_death_of_the_engine_reaches_all_who_wait_and_all_who_come(start: Start) -> None:
    engine = SumEngine(streams=2)
    batcher = start(engine, BatchLimits(max_tokens=32))
    first = engine.hold(batcher)
    futures = [batcher.submit([pair(1, 2), pair(3, DEADLY)]) for _ in range(5)]
    futures += [batcher.submit([long_pair(9)] * 50) for _ in range(10)]
    engine.go_on.set()
    for future in [first, *futures]:
        assert isinstance(future.exception(WAIT_S), EngineFailure | None)
    assert sum(future.exception(WAIT_S) is not None for future in futures) >= 5
    deadline = time.monotonic() + WAIT_S
    while batcher.failure is None and time.monotonic() < deadline:
        time.sleep(0.01)
    assert "the device is gone" in str(batcher.failure)
    with pytest.raises(EngineFailure, match="the device is gone"):
        batcher.submit([pair(1, 1)])
    assert batcher.queued_pairs == 0


def test_logits_of_a_wrong_shape_are_the_engines_failure(start: Start) -> None:
    class ShortEngine(SumEngine):
        def logits(self, batch: EncodedBatch) -> Logits:
            return super().logits(batch)[1:]

    batcher = start(ShortEngine())
    with pytest.raises(EngineFailure, match=r"logits of shape \(1, 2\) for 2 pairs"):
        batcher.submit([pair(1, 1), pair(2, 2)]).result(WAIT_S)


def test_a_full_queue_refuses_and_takes_again_when_there_is_room(start: Start) -> None:
    engine = SumEngine()
    batcher = start(engine, BatchLimits(max_queued_pairs=10))
    first = engine.hold(batcher)
    waiting = batcher.submit([pair(1, 1)] * 8)
    with pytest.raises(Overloaded, match="8 pairs wait and the limit is 10"):
        batcher.submit([pair(1, 1)] * 3)
    last = batcher.submit([pair(1, 1)] * 2)
    engine.go_on.set()
    for future in (first, waiting, last):
        future.result(WAIT_S)
    assert len(batcher.submit([pair(1, 1)] * 10).result(WAIT_S)) == 10


def test_a_request_that_could_never_wait_is_too_large(start: Start) -> None:
    batcher = start(SumEngine(), BatchLimits(max_queued_pairs=10))
    with pytest.raises(BodyTooLarge, match=r"11 pairs.*limit is 10 \(setting max_queued_pairs\)"):
        batcher.submit([pair(1, 1)] * 11)
    with pytest.raises(BodyTooLarge):
        batcher.check_size(11)
    batcher.check_size(10)


def test_no_pairs_make_no_logits(start: Start) -> None:
    assert len(start(SumEngine()).submit([]).result(WAIT_S)) == 0


def test_a_request_whose_caller_left_is_never_computed(start: Start) -> None:
    engine = SumEngine()
    batcher = start(engine)
    first = engine.hold(batcher)
    left, stays = batcher.submit([pair(41, 1)] * 5), batcher.submit([pair(42, 1)])
    assert left.cancel()
    engine.go_on.set()
    first.result(WAIT_S)
    assert stays.result(WAIT_S).tolist() == [[43, 2]]
    assert not any((batch.input_ids == 41).any() for batch in engine.batches)
    with pytest.raises(CancelledError):
        left.result(0)


def test_a_caller_who_leaves_during_the_computation_harms_nobody(start: Start) -> None:
    engine = SumEngine()
    batcher = start(engine)
    assert engine.hold(batcher).cancel()
    engine.go_on.set()
    assert batcher.submit([pair(1, 1)]).result(WAIT_S).tolist() == [[2, 2]]


def test_a_small_request_does_not_wait_for_a_large_one(start: Start) -> None:
    engine = SumEngine()
    batcher = start(engine, BatchLimits(max_tokens=200))
    first = engine.hold(batcher)
    large = batcher.submit([long_pair(20)] * 10_000)
    small = batcher.submit([long_pair(5, value=2)] * 10)
    computed: list[int] = []
    small.add_done_callback(lambda _: computed.append(len(engine.batches)))
    engine.go_on.set()
    first.result(WAIT_S)
    assert small.result(WAIT_S).tolist() == [[10, 5]] * 10
    assert len(large.result(WAIT_S)) == 10_000
    assert computed[0] < 10, f"the small request waited for {computed[0]} of {len(engine.batches)} batches"


def test_a_request_served_in_part_is_not_overtaken_by_newcomers_for_ever(start: Start) -> None:
    engine = SumEngine()
    batcher = start(engine, BatchLimits(max_tokens=40))
    first = engine.hold(batcher)
    waiting = batcher.submit([long_pair(40)] * 8)
    newcomers = [batcher.submit([long_pair(40)])]
    # Each answer brings the next newcomer, before the next batch is cut: without turns that advance with what was
    # served, the newcomer would always be first.
    served_before: list[int] = []
    waiting.add_done_callback(lambda _: served_before.append(len(newcomers)))  # before this thread wakes up for it

    def bring_another(_: "Future[Logits]") -> None:
        if not served_before and len(newcomers) < 200:
            newcomers.append(batcher.submit([long_pair(40)]))
            newcomers[-1].add_done_callback(bring_another)

    newcomers[0].add_done_callback(bring_another)
    engine.go_on.set()
    first.result(WAIT_S)
    assert len(waiting.result(WAIT_S)) == 8
    assert served_before[0] <= 20, f"{served_before[0]} newcomers of one pair were served before 8 pairs that waited"


def test_a_batch_is_filled_with_pairs_that_are_a_little_longer_too(start: Start) -> None:
    engine = SumEngine()
    batcher = start(engine, BatchLimits(max_tokens=120))
    first = engine.hold(batcher)
    futures = [batcher.submit([long_pair(length)]) for length in (20, 22, 21, 24, 40)]
    engine.go_on.set()
    assert [future.result(WAIT_S)[0, 1] for future in futures] == [20, 22, 21, 24, 40]
    first.result(WAIT_S)
    assert [batch.input_ids.shape for batch in engine.batches[1:]] == [(4, 24), (1, 40)]


def test_closing_answers_those_who_wait(start: Start) -> None:
    engine = SumEngine()
    batcher = start(engine, BatchLimits(max_tokens=8))
    first = engine.hold(batcher)
    waiting = [batcher.submit([long_pair(8)] * 3) for _ in range(3)]
    closing = threading.Thread(target=batcher.close)
    closing.start()
    time.sleep(0.05)
    engine.go_on.set()
    closing.join(WAIT_S)
    assert first.result(WAIT_S).tolist() == [[1, 1]]
    for future in waiting:
        with pytest.raises(EngineFailure, match="was closed"):
            future.result(0)
    assert engine.closed
    with pytest.raises(EngineFailure, match="was closed"):
        batcher.submit([pair(1, 1)])


def test_batches_are_counted_with_their_padding_and_waits(start: Start) -> None:
    counted: list[CountedBatch] = []
    engine = SumEngine()
    batcher = start(engine, on_batch=counted.append)
    first = engine.hold(batcher)
    both = [batcher.submit([long_pair(10), long_pair(9)]), batcher.submit([long_pair(10)])]
    engine.go_on.set()
    for future in [first, *both]:
        future.result(WAIT_S)
    second = counted[1]
    assert (second.pairs, second.tokens) == (3, 29)
    assert len(counted[0].queue_waits_s) == 1
    assert len(second.queue_waits_s) == 2
