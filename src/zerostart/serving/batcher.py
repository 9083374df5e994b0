"""The batcher: pairs of all requests in, full batches to the engine, each request's logits out.

One lock guards the queue, and one thread for each of the engine's streams takes batches from it. A batch is cut by
tokens (pairs x padded length). It holds the request whose turn it is; other requests' pairs of about its length fill
it. Turns go by tokens served (fair queueing, Demers et al. 1989,
https://dl.acm.org/doi/10.1145/75247.75248): each request that waits is owed an equal share, so one of ten pairs does
not wait for one of ten thousand, and one that was served in part is not overtaken for ever.

Padding changes the last digits of a row, so that these depend on who else asks at the time. A request that has to be
answered the same to the bit gives the width of each pair: it is computed in batches of that width alone
(docs/decisions/0026-answers-depend-on-text-and-question.md).
"""

import threading
import time
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from itertools import accumulate

import numpy as np

from zerostart.engines.base import EncodedBatch, Engine, Logits
from zerostart.errors import BodyTooLarge, EngineFailure, Overloaded
from zerostart.metrics import CountedBatch
from zerostart.serving.tokenizer import EncodedPair

# A batch this small is not worth splitting between idle streams.
_LEAST_SHARED_TOKENS = 128
# Share of a batch's width that a pair must fill to join it.
_LEAST_FILL = 0.75

# A pair that any model can compute.
PLAIN_PAIR = EncodedPair(np.ones(1, dtype=np.int64), np.ones(1, dtype=np.int64))

# Pairs, and the width that they are padded to; 0 is that of the longest.
Assemble = Callable[[Sequence[EncodedPair], int], EncodedBatch]


@dataclass(frozen=True)
class BatchLimits:
    """`max_tokens` of one batch, padding included; `max_queued_pairs` waiting, and most in one request."""

    max_tokens: int = 512
    max_queued_pairs: int = 16384


@dataclass(eq=False)
class _Entry:
    """A request in the queue. `order` has its pairs' positions, longest first; those from `taken` on still wait.

    `lengths` are their content tokens, or the widths that they are padded to where these are `fixed`.
    """

    pairs: Sequence[EncodedPair]
    lengths: Sequence[int]
    fixed: bool
    order: Sequence[int]
    turn: float
    arrived_s: float
    future: "Future[Logits]" = field(default_factory=Future)
    taken: int = 0
    answered: int = 0
    logits: Logits | None = None

    @property
    def waiting(self) -> int:
        return len(self.order) - self.taken

    @property
    def next_length(self) -> int:
        return self.lengths[self.order[self.taken]]

    def take(self, room: int, longest: int, shortest: int) -> list[int]:
        """Take up to `room` of the pairs that are next, if their lengths are `shortest` to `longest`."""
        end = self.taken
        if room and self.next_length <= longest:
            last = min(self.taken + room, len(self.order))
            while end < last and self.lengths[self.order[end]] >= shortest:
                end += 1
        positions = list(self.order[self.taken : end])
        self.taken = end
        return positions


_Part = tuple[_Entry, list[int]]


@dataclass(frozen=True)
class _Cut:
    """What is computed next: parts of requests, and the width that they are padded to; 0 is that of the longest."""

    parts: list[_Part]
    width: int = 0


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
        self._special_tokens = special_tokens
        self._limits = limits
        self._on_batch = on_batch
        self._changed = threading.Condition()
        self._entries: list[_Entry] = []
        self._running: set[_Entry] = set()
        self._virtual_time = 0.0
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
            return self._queued_pairs()

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
        order = sorted(range(len(pairs)), key=lambda i: -lengths[i])
        with self._changed:
            if self._failure is not None:
                raise self._failure
            if self._closed:
                raise EngineFailure("The classifier was closed.")
            if (queued := self._queued_pairs()) + len(pairs) > limit:
                raise Overloaded(f"{queued} pairs wait and the limit is {limit}: try again in a moment.")
            entry = _Entry(pairs, lengths, widths is not None, order, self._virtual_time, time.monotonic())
            if not pairs:
                entry.future.set_result(np.empty((0, 0), dtype=np.float32))
                return entry.future
            self._entries.append(entry)
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

    def _queued_pairs(self) -> int:
        return sum(entry.waiting for entry in self._entries)

    def _serve(self) -> None:
        try:
            while (cut := self._next_batch()) is not None:
                self._compute(cut)
        except BaseException as error:
            self._break(error)
            raise

    def _next_batch(self) -> _Cut | None:
        """Wait for work and take a batch of it; None when the batcher was closed or has failed."""
        with self._changed:
            while not self._closed and self._failure is None:
                self._drop_cancelled()
                if self._entries:
                    cut = self._cut()
                    if self._entries:
                        self._changed.notify()
                    return cut
                self._idle_streams += 1
                self._changed.wait()
                self._idle_streams -= 1
            return None

    def _drop_cancelled(self) -> None:
        self._running = {entry for entry in self._running if not entry.future.cancelled()}
        self._entries = [entry for entry in self._entries if not entry.future.cancelled()]

    def _cut(self) -> _Cut:
        turns = sorted(self._entries, key=lambda entry: (entry.turn, entry.arrived_s))
        fixed = turns[0].fixed
        alike = [entry for entry in turns if entry.fixed is fixed]
        width = turns[0].next_length if fixed else self._width(alike)
        longest, shortest = (width, width) if fixed else (width - self._special_tokens, self._shortest(width))
        room = self._room(width)
        parts: list[_Part] = []
        for entry in alike:
            positions = entry.take(room, longest, shortest)
            if positions:
                entry.turn += width * len(positions)
                room -= len(positions)
                parts.append((entry, positions))
        served = width * sum(len(positions) for _, positions in parts)
        self._virtual_time += served / len(turns)
        self._entries = [entry for entry in self._entries if entry.waiting]
        self._running.update(entry for entry, _ in parts)
        return _Cut(parts, width if fixed else 0)

    def _width(self, turns: Sequence[_Entry]) -> int:
        """Padded length of the next batch: it fits the request whose turn it is, and as many other pairs as can be."""
        own = turns[0].next_length
        waiting: Counter[int] = Counter()
        for entry in turns:
            waiting[entry.next_length] += entry.waiting
        lengths = sorted(waiting)
        pairs_below = [0, *accumulate(waiting[length] for length in lengths)]
        tokens_below = [0, *accumulate(waiting[length] * length for length in lengths)]

        def tokens(longest: int) -> float:
            """Content tokens of the batch whose longest pair is this long."""
            width = longest + self._special_tokens
            end, start = bisect_right(lengths, longest), bisect_left(lengths, self._shortest(width))
            pairs = pairs_below[end] - pairs_below[start]
            return (tokens_below[end] - tokens_below[start]) * min(1.0, self._room(width) / pairs)

        fit = [length for length in lengths if length >= own and self._shortest(length + self._special_tokens) <= own]
        return max(fit, key=tokens) + self._special_tokens

    def _room(self, width: int) -> int:
        """Pairs in the next batch: what the limit allows, less if other streams are idle and could take a share."""
        share = -(-self._queued_pairs() // (self._idle_streams + 1))
        return max(1, min(self._limits.max_tokens // width, max(share, _LEAST_SHARED_TOKENS // width)))

    def _shortest(self, width: int) -> int:
        """Least content tokens of a pair in a batch of this width: a much shorter one would be mostly padding."""
        return int(width * _LEAST_FILL) - self._special_tokens

    def _compute(self, cut: _Cut) -> None:
        try:
            logits = self._run(cut)
        except Exception as error:  # noqa: BLE001 - an engine may raise anything, and every caller must hear of it
            self._isolate(cut, error)
            return
        start = 0
        for entry, positions in cut.parts:
            self._answer(entry, positions, logits[start : start + len(positions)])
            start += len(positions)

    def _run(self, cut: _Cut) -> Logits:
        started_s = time.monotonic()
        batch = self._assemble([entry.pairs[i] for entry, positions in cut.parts for i in positions], cut.width)
        logits = self._engine.logits(batch)
        if logits.ndim != 2 or len(logits) != batch.pairs:
            raise EngineFailure(f"The engine answered logits of shape {logits.shape} for {batch.pairs} pairs.")
        if self._on_batch is not None:
            waits = tuple(started_s - entry.arrived_s for entry, positions in cut.parts if entry.order[0] in positions)
            tokens = int(batch.attention_mask.sum())
            elapsed_s = time.monotonic() - started_s
            self._on_batch(CountedBatch(batch.pairs, tokens, batch.input_ids.size, elapsed_s, waits))
        return logits

    def _isolate(self, cut: _Cut, error: Exception) -> None:
        """A batch failed: run each request's share alone, so that only the request at fault fails.

        If no share can be computed, the engine itself is at fault unless it still computes a plain pair.
        """
        worked = False
        for entry, positions in cut.parts:
            try:
                logits = self._run(_Cut([(entry, positions)], cut.width))
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
        self._entries = [other for other in self._entries if other is not entry]
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
            waiting = {*self._entries, *self._running}
            self._running = set(waiting)
        for entry in waiting:
            self._fail(entry, error)
