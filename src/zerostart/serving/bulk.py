"""Many requests in order, with scores that depend on nothing but the pair.

The batcher cuts batches by what waits at the moment, which is right for callers who wait; but padding changes the last
digits of a score, so that these depend on the other callers. A job that is done again after a crash has to give the
same bytes, and a pair that is met again should not be computed again: here a pair is padded to a width that follows
from its own length, a batch holds pairs of one width, and a pair's logits are the same whatever else is in its batch
(docs/decisions/0015-scores-depend-on-the-pair.md).
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from hashlib import blake2b

import numpy as np

from zerostart.engines.base import Engine, Logits
from zerostart.errors import EngineFailure, InvalidInput, ZerostartError
from zerostart.models.artefact import Artefact
from zerostart.nli.classification import ClassificationRequest
from zerostart.nli.hybrid import TwoViews
from zerostart.nli.profile import Profile
from zerostart.serving.encoding import EncodedText, Scorer
from zerostart.serving.profiled import profiled_each
from zerostart.serving.ranking import Answer, Asked, ClassifyEach, checked, ranked_each
from zerostart.serving.tokenizer import EncodedPair, PairTokenizer

_FIRST_WINDOW_PAIRS = 64  # small, so that the first answers come soon; the next ones double
_WINDOW_TOKENS = 262_144


@dataclass(frozen=True)
class _Room:
    """How many pairs are in a window, in one request, and known, so that memory is bounded."""

    window: int
    request: int
    known: int


_LOGITS = _Room(8192, 65_536, 200_000)
_EMBEDDINGS = _Room(2048, 8192, 40_000)  # a row is a hundred times as long
_MOST_CLASSES = 8


@dataclass(eq=False)
class _Asked:
    """A request, its texts, and where in the known logits the row of each of its pairs is."""

    request: ClassificationRequest
    encoded: Sequence[EncodedText]
    slots: list[int]


@dataclass(eq=False)
class _Window:
    """Requests whose pairs are computed together; `new` are the pairs that were not known, by slot."""

    asked: list[_Asked | ZerostartError] = field(default_factory=list)
    new: dict[int, EncodedPair] = field(default_factory=dict)
    running: "list[tuple[int, list[int], Future[Logits]]]" = field(default_factory=list)


class BulkClassifier:
    """Classifies with one loaded model, for one caller at a time. Of the last pairs (200,000 of an NLI model, 40,000 of
    an embedding model) the rows are known, and not computed again.

    `pairs` and `computed_pairs` count what was asked and what the engine was given. `load_ranker` gives the embedding
    model that ranks labels, at the first request that needs it; without one every label is scored by this model alone.
    `profile` is applied to the requests that are about its labels.
    """

    def __init__(
        self,
        artefact: Artefact,
        scorer: Scorer,
        engine: Engine,
        max_batch_tokens: int,
        load_ranker: "Callable[[], BulkClassifier] | None" = None,
        profile: Profile | None = None,
    ) -> None:
        self.artefact = artefact
        self.profile = profile
        self.pairs = 0
        self.computed_pairs = 0
        self._views = TwoViews(artefact.manifest.blend)
        self._load_ranker = load_ranker
        self._ranker: BulkClassifier | None = None
        self._scorer = scorer
        self._tokenizer = scorer.tokenizer
        self._engine = engine
        self._max_tokens = max_batch_tokens
        self._threads = ThreadPoolExecutor(engine.streams, thread_name_prefix="bulk")
        self._room = _LOGITS if scorer.columns <= _MOST_CLASSES else _EMBEDDINGS
        in_flight = 2 * (self._room.window + self._room.request)
        self._known = KnownPairs(scorer.columns, self._room.known, in_flight=in_flight)

    def classify_each(self, requests: Iterable[Asked]) -> Iterator[Answer]:
        """The answer of every request, in order; an error is one request's own, and one that is asked is the answer."""
        if self.profile is not None:
            return profiled_each(requests, self.profile, self._answered_each)
        return self._answered_each(requests)

    def _answered_each(self, requests: Iterable[Asked]) -> Iterator[Answer]:
        if self._load_ranker is None:
            return self._scored(checked(requests, self._views))
        return ranked_each(requests, self._views, self._rank_each, self._scored)

    def _rank_each(self) -> ClassifyEach:
        assert self._load_ranker is not None  # noqa: S101 - who calls this has looked
        self._ranker = self._ranker or self._load_ranker()
        return self._ranker.classify_each

    def _scored(self, requests: Iterable[Asked]) -> Iterator[Answer]:
        """While a window is computed, the next one is read and encoded."""
        before: _Window | None = None
        try:
            for window in self._windows(requests):
                self._start(window)
                if before is not None:
                    yield from self._answers(before)
                before = window
            if before is not None:
                yield from self._answers(before)
        finally:
            self._known.forget_unsettled()

    def close(self) -> None:
        """End the threads and give the engine's memory back."""
        self._threads.shutdown(cancel_futures=True)
        self._engine.close()
        if self._ranker is not None:
            self._ranker.close()

    def _windows(self, requests: Iterable[Asked]) -> Iterator[_Window]:
        window, pairs, tokens, enough = _Window(), 0, 0, _FIRST_WINDOW_PAIRS
        for request in requests:
            asked = request if isinstance(request, ZerostartError) else self._asked(request, window)
            window.asked.append(asked)
            if isinstance(asked, ZerostartError):
                pairs += 1
            else:
                pairs += len(asked.slots)
                tokens += sum(pair.content_tokens for text in asked.encoded for pair in text.pairs)
            if pairs >= enough or tokens >= _WINDOW_TOKENS:
                yield window
                window, pairs, tokens, enough = _Window(), 0, 0, min(2 * enough, self._room.window)
        if window.asked:
            yield window

    def _asked(self, request: ClassificationRequest, window: _Window) -> _Asked | InvalidInput:
        try:
            encoded = self._scorer.encoded(request)
        except InvalidInput as error:
            return error
        pairs = [pair for text in encoded for pair in text.pairs]
        if len(pairs) > self._room.request:
            return InvalidInput(
                f"The record makes {len(pairs)} pairs (texts x labels x windows), over {self._room.request}: "
                "split its texts or labels over several records."
            )
        slots = []
        for pair in pairs:
            slot, known = self._known.slot(pair)
            if not known:
                window.new[slot] = pair
            slots.append(slot)
        self.pairs += len(pairs)
        return _Asked(request, encoded, slots)

    def _start(self, window: _Window) -> None:
        self.computed_pairs += len(window.new)
        for width, slots in _batches(window.new, self._max_tokens, self._tokenizer):
            pairs = [window.new[slot] for slot in slots]
            window.running.append((width, slots, self._threads.submit(self._logits, pairs, width)))

    def _answers(self, window: _Window) -> Iterator[Answer]:
        for width, slots, future in window.running:
            self._collect(window, width, slots, future)
        for asked in window.asked:
            yield asked if isinstance(asked, ZerostartError) else self._answer(asked)

    def _collect(self, window: _Window, width: int, slots: list[int], future: "Future[Logits]") -> None:
        """Keep a batch's rows; where the batch failed, compute its pairs one by one, so that only some fail."""
        try:
            self._known.settle(slots, future.result())
        except Exception:  # noqa: BLE001 - an engine may raise anything
            for slot in slots:
                try:
                    self._known.settle([slot], self._logits([window.new[slot]], width))
                except Exception as error:  # noqa: BLE001 - as above
                    self._known.fail(slot, str(error))

    def _answer(self, asked: _Asked) -> Answer:
        try:
            logits = self._known.logits(asked.slots)
            return list(self._scorer.classified(asked.request, asked.encoded, logits))
        except ZerostartError as error:
            return error

    def _logits(self, pairs: Sequence[EncodedPair], width: int) -> Logits:
        logits = self._engine.logits(self._tokenizer.batch(pairs, width))
        if logits.ndim != 2 or len(logits) != len(pairs):
            raise EngineFailure(f"The engine answered logits of shape {logits.shape} for {len(pairs)} pairs.")
        return logits


class KnownPairs:
    """A ring of logits, shape (pairs, classes): the oldest pair makes room for a new one.

    A slot is unsettled from the moment it is given out until its row is written; nobody reads it before. Between that
    a slot is asked for and its row is read, at most `in_flight` others are given out.
    """

    def __init__(self, classes: int, capacity: int, in_flight: int) -> None:
        self._capacity = capacity
        self._in_flight = in_flight
        self._rows = np.zeros((capacity, classes), dtype=np.float32)
        self._slots: dict[bytes, int] = {}
        self._keys: list[bytes] = []
        self._next = 0
        self._unsettled: set[int] = set()
        self._failed: dict[int, str] = {}

    def slot(self, pair: EncodedPair) -> tuple[int, bool]:
        """Where a pair's row is, or is to be written; and whether it need not be computed.

        A row that may make room before it is read is computed again.
        """
        key = _key(pair)
        slot = self._slots.get(key)
        if slot is not None and not self._makes_room_soon(slot):
            return slot, True
        slot = self._next
        if len(self._keys) == self._capacity:
            self._forget(slot)
            self._keys[slot] = key
        else:
            self._keys.append(key)
        self._failed.pop(slot, None)
        self._slots[key] = slot
        self._unsettled.add(slot)
        self._next = (slot + 1) % self._capacity
        return slot, False

    def settle(self, slots: list[int], logits: Logits) -> None:
        """Write rows."""
        self._rows[slots] = logits
        self._unsettled.difference_update(slots)

    def fail(self, slot: int, error: str) -> None:
        """A pair that the engine cannot compute: those who asked for it hear why, and it is tried again later."""
        self._forget(slot)
        self._unsettled.discard(slot)
        self._failed[slot] = error

    def forget_unsettled(self) -> None:
        """The caller went away before all was computed."""
        for slot in self._unsettled:
            self._forget(slot)
        self._unsettled.clear()

    def logits(self, slots: list[int]) -> Logits:
        """Rows, shape (slots, classes). Raises EngineFailure if one could not be computed."""
        if self._failed:
            for slot in slots:
                if slot in self._failed:
                    raise EngineFailure(f"The engine failed on this record: {self._failed[slot]}")
        return self._rows[slots]

    def _forget(self, slot: int) -> None:
        if self._slots.get(self._keys[slot]) == slot:
            del self._slots[self._keys[slot]]

    def _makes_room_soon(self, slot: int) -> bool:
        ahead = (slot - self._next) % self._capacity
        return len(self._keys) == self._capacity and ahead < self._in_flight


def _batches(
    pairs: dict[int, EncodedPair], max_batch_tokens: int, tokenizer: PairTokenizer
) -> Iterator[tuple[int, list[int]]]:
    """Widths, and slots of pairs that are computed in them, widest first; a batch has up to `max_batch_tokens`, or one
    pair.

    What is left over is cut by powers of two: an engine keeps memory for every shape that it ever computed.
    """
    by_width: dict[int, list[int]] = {}
    for slot, pair in pairs.items():
        by_width.setdefault(tokenizer.padded(pair), []).append(slot)
    for width, slots in sorted(by_width.items(), reverse=True):
        size = max(1, max_batch_tokens // width)
        start = 0
        while start < len(slots):
            left = len(slots) - start
            taken = size if left >= size else 1 << (left.bit_length() - 1)
            yield width, slots[start : start + taken]
            start += taken


def _key(pair: EncodedPair) -> bytes:
    digest = blake2b(pair.premise.tobytes(), digest_size=16, salt=len(pair.premise).to_bytes(8, "big"))
    digest.update(pair.hypothesis.tobytes())
    return digest.digest()
