"""The batcher: pairs of all requests in, full batches to the engine, each request's logits out.

One lock guards the queue (zerostart.serving.queue), and one thread for each of the engine's streams takes batches from
it.

Padding changes the last digits of a row, so that these depend on who else asks at the time. A request that has to be
answered the same to the bit gives the width of each pair: it is computed in batches of that width alone
(docs/decisions/0026-answers-depend-on-text-and-question.md).
"""

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

import numpy as np

from zerostart.engines.base import EncodedBatch, Engine, Logits
from zerostart.errors import BodyTooLarge, EngineFailure, Overloaded
from zerostart.metrics import CountedBatch
from zerostart.serving.queue import Cut, PairQueue, QueuedRequest
from zerostart.serving.tokenizer import EncodedPair

# A pair that any model can compute.
PLAIN_PAIR = EncodedPair(np.ones(1, dtype=np.int64), np.ones(1, dtype=np.int64))

# Pairs, and the width that they are padded to; 0 is that of the longest.
Assemble = Callable[[Sequence[EncodedPair], int], EncodedBatch]


@dataclass(frozen=True)
class BatchLimits:
    """`max_tokens` of one batch, padding included; `max_queued_pairs` waiting, and most in one request."""

    max_tokens: int = 512
    max_queued_pairs: int = 16384


@dataclass(eq=False, kw_only=True)
class _Entry(QueuedRequest):
    """A request that was not answered yet."""

    pairs: Sequence[EncodedPair]
    future: "Future[Logits]" = field(default_factory=Future)
    answered: int = 0
    logits: Logits | None = None


class Batcher:
    """Owns the queue and the engine's threads. Every request gets an answer: its logits or an error."""

    def __init__(
        self,
        engine: Engine,
        assemble: Assemble,
        *,
        special_tokens: int,
        limits: BatchLimits,
        on_batch: Callable[[CountedBatch], None] | None = None,
    ) -> None:
        self._engine = engine
        self._assemble = assemble
        self._limits = limits
        self._on_batch = on_batch
        self._changed = threading.Condition()
        self._queue: PairQueue[_Entry] = PairQueue(limits.max_tokens, special_tokens)
        self._running: set[_Entry] = set()
        self._idle_streams = 0
        self._closed = False
        self._failure: EngineFailure | None = None
        self._threads = [
            threading.Thread(target=self._serve, name=f"batcher-{i}", daemon=True) for i in range(engine.streams)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def failure(self) -> EngineFailure | None:
        """Why nothing can be computed any more, or None while all is well."""
        return self._failure

    @property
    def queued_pairs(self) -> int:
        """Pairs that no batch has taken yet."""
        with self._changed:
            return self._queue.waiting_pairs

    def check_size(self, pairs: int) -> None:
        """Raise BodyTooLarge if so many pairs could never wait at once."""
        limit = self._limits.max_queued_pairs
        if pairs > limit:
            raise BodyTooLarge(
                f"The request makes {pairs} pairs of text and label; the limit is {limit} (setting max_queued_pairs): "
                "send fewer texts or labels at a time."
            )

    def submit(self, pairs: Sequence[EncodedPair], widths: Sequence[int] | None = None) -> "Future[Logits]":
        """Queue one request; the future gives logits of shape (pairs, classes). Cancel it to drop what still waits.

        With `widths` each pair is padded to its own, in batches of that width alone: its row is the same to the bit
        whatever else is asked.

        Raises Overloaded when the queue is full, BodyTooLarge when the request could never fit, and the engine's
        failure once there is one.
        """
        limit = self._limits.max_queued_pairs
        self.check_size(len(pairs))
        lengths = [pair.content_tokens for pair in pairs] if widths is None else widths
        with self._changed:
            if self._failure is not None:
                raise self._failure
            if self._closed:
                raise EngineFailure("The classifier was closed.")
            if (queued := self._queue.waiting_pairs) + len(pairs) > limit:
                raise Overloaded(f"{queued} pairs wait and the limit is {limit}: try again in a moment.")
            entry = _Entry(pairs=pairs, lengths=lengths, fixed=widths is not None, arrived_s=time.monotonic())
            if not pairs:
                entry.future.set_result(np.empty((0, 0), dtype=np.float32))
                return entry.future
            self._queue.add(entry)
            self._changed.notify()
        return entry.future

    def close(self) -> None:
        """Stop the threads, answer what still waits with EngineFailure, and close the engine."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()
        self._give_up(EngineFailure("The classifier was closed."))
        self._engine.close()

    def _serve(self) -> None:
        try:
            while (cut := self._next_batch()) is not None:
                self._compute(cut)
        except BaseException as error:
            self._break(error)
            raise

    def _next_batch(self) -> Cut[_Entry] | None:
        """Wait for work and take a batch of it; None when the batcher was closed or has failed."""
        with self._changed:
            while not self._closed and self._failure is None:
                self._drop_cancelled()
                if self._queue:
                    cut = self._queue.cut(self._idle_streams)
                    self._running.update(entry for entry, _ in cut.parts)
                    if self._queue:
                        self._changed.notify()
                    return cut
                self._idle_streams += 1
                self._changed.wait()
                self._idle_streams -= 1
            return None

    def _drop_cancelled(self) -> None:
        self._running = {entry for entry in self._running if not entry.future.cancelled()}
        self._queue.drop(lambda entry: entry.future.cancelled())

    def _compute(self, cut: Cut[_Entry]) -> None:
        try:
            logits = self._run(cut)
        except Exception as error:  # noqa: BLE001 - an engine may raise anything, and every caller must hear of it
            self._isolate(cut, error)
            return
        start = 0
        for entry, positions in cut.parts:
            self._answer(entry, positions, logits[start : start + len(positions)])
            start += len(positions)

    def _run(self, cut: Cut[_Entry]) -> Logits:
        started_s = time.monotonic()
        batch = self._assemble(
            [entry.pairs[i] for entry, positions in cut.parts for i in positions], cut.width if cut.exact else 0
        )
        logits = self._engine.logits(batch)
        if logits.ndim != 2 or len(logits) != batch.pairs:
            raise EngineFailure(f"The engine answered logits of shape {logits.shape} for {batch.pairs} pairs.")
        if self._on_batch is not None:
            waits = tuple(started_s - entry.arrived_s for entry, positions in cut.parts if entry.order[0] in positions)
            tokens = int(batch.attention_mask.sum())
            elapsed_s = time.monotonic() - started_s
            self._on_batch(CountedBatch(batch.pairs, tokens, batch.input_ids.size, elapsed_s, waits))
        return logits

    def _isolate(self, cut: Cut[_Entry], error: Exception) -> None:
        """A batch failed: run each request's share alone, so that only the request at fault fails.

        If no share can be computed, the engine itself is at fault unless it still computes a plain pair.
        """
        worked = False
        for entry, positions in cut.parts:
            try:
                logits = self._run(Cut([(entry, positions)], cut.width, cut.exact))
            except Exception as own:  # noqa: BLE001 - as above
                self._fail(entry, EngineFailure(f"The engine failed on this request: {own}"))
            else:
                worked = True
                self._answer(entry, positions, logits)
        if not worked and not self._engine_lives():
            self._break(error)

    def _engine_lives(self) -> bool:
        try:
            self._engine.logits(self._assemble([PLAIN_PAIR], 0))
        except Exception:  # noqa: BLE001 - as above
            return False
        return True

    def _answer(self, entry: _Entry, positions: list[int], logits: Logits) -> None:
        with self._changed:
            if entry.logits is None:
                entry.logits = np.empty((len(entry.pairs), logits.shape[1]), dtype=np.float32)
            entry.logits[positions] = logits
            entry.answered += len(positions)
            mine = entry.answered == len(entry.pairs) and self._claim(entry)
            result = entry.logits
        if mine and entry.future.set_running_or_notify_cancel():
            entry.future.set_result(result)

    def _fail(self, entry: _Entry, error: EngineFailure) -> None:
        with self._changed:
            mine = self._claim(entry)
        if mine and entry.future.set_running_or_notify_cancel():
            entry.future.set_exception(error)

    def _claim(self, entry: _Entry) -> bool:
        """Whether the caller is the one to answer `entry`: it is answered once. Needs the lock."""
        self._queue.drop(lambda other: other is entry)
        mine = entry in self._running
        self._running.discard(entry)
        return mine

    def _break(self, error: BaseException) -> None:
        """The engine is lost: say so to all who wait, and to all who come."""
        failure = EngineFailure(f"The engine failed and answers nothing more: {error!r}")
        with self._changed:
            self._failure = self._failure or failure
            self._changed.notify_all()
        self._give_up(self._failure)

    def _give_up(self, error: EngineFailure) -> None:
        with self._changed:
            waiting = {*self._queue.requests, *self._running}
            self._running = set(waiting)
        for entry in waiting:
            self._fail(entry, error)
