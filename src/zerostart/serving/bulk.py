"""Many requests in order, in batches that depend on nothing but the requests.

The batcher cuts batches by what waits at the moment, which is right for callers who wait, and gives scores that differ
in their last digits from run to run, as padding does. A job that is done again after a crash has to give the same
bytes: here the same requests make the same batches, whatever the timing.
"""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from hashlib import blake2b

import numpy as np

from zerostart.engines.base import Engine, Logits
from zerostart.errors import EngineFailure, InvalidInput, ZerostartError
from zerostart.models.artefact import Artefact
from zerostart.nli.classification import Classification, ClassificationRequest
from zerostart.serving.encoding import EncodedText, classifications, encode_request
from zerostart.serving.tokenizer import EncodedPair, PairTokenizer

_WINDOW_PAIRS = 4096
_MOST_KNOWN_PAIRS = 200_000

Answer = list[Classification] | ZerostartError


@dataclass(eq=False)
class _Window:
    """Requests whose pairs are computed together. `slots` says for each pair in which window's logits its row is."""

    requests: list[ClassificationRequest] = field(default_factory=list)
    encoded: list[list[EncodedText] | InvalidInput] = field(default_factory=list)
    slots: list[list[tuple["_Window", int]]] = field(default_factory=list)
    pairs: list[EncodedPair] = field(default_factory=list)
    running: "list[tuple[list[int], Future[Logits]]]" = field(default_factory=list)
    rows: dict[int, Logits] = field(default_factory=dict)
    failed: dict[int, str] = field(default_factory=dict)


class BulkClassifier:
    """Classifies with one loaded model, for one caller at a time."""

    def __init__(self, artefact: Artefact, tokenizer: PairTokenizer, engine: Engine, max_batch_tokens: int) -> None:
        self.artefact = artefact
        self._tokenizer = tokenizer
        self._engine = engine
        self._max_tokens = max_batch_tokens
        self._threads = ThreadPoolExecutor(engine.streams, thread_name_prefix="bulk")

    def classify_each(self, requests: Iterable[ClassificationRequest]) -> Iterator[Answer]:
        """The answer of every request, in order; an error is one request's own. Pairs that repeat are computed once.

        While a window is computed, the next one is read and encoded.
        """
        known: dict[bytes, tuple[_Window, int]] = {}
        before: _Window | None = None
        for window in self._windows(requests, known):
            self._start(window)
            if before is not None:
                yield from self._answers(before)
            before = window
        if before is not None:
            yield from self._answers(before)

    def close(self) -> None:
        """End the threads and give the engine's memory back."""
        self._threads.shutdown(cancel_futures=True)
        self._engine.close()

    def _windows(
        self, requests: Iterable[ClassificationRequest], known: dict[bytes, tuple[_Window, int]]
    ) -> Iterator[_Window]:
        window, pairs = _Window(), 0
        for request in requests:
            self._add(window, request, known)
            pairs += max(1, request.pairs)
            if pairs >= _WINDOW_PAIRS:
                yield window
                window, pairs = _Window(), 0
                while len(known) > _MOST_KNOWN_PAIRS:
                    del known[next(iter(known))]
        if window.requests:
            yield window

    def _add(self, window: _Window, request: ClassificationRequest, known: dict[bytes, tuple[_Window, int]]) -> None:
        window.requests.append(request)
        try:
            encoded = encode_request(self._tokenizer, request)
        except InvalidInput as error:
            window.encoded.append(error)
            window.slots.append([])
            return
        slots = []
        for pair in (pair for text in encoded for pair in text.pairs):
            key = _key(pair)
            slot = known.get(key)
            if slot is None:
                slot = known[key] = (window, len(window.pairs))
                window.pairs.append(pair)
            slots.append(slot)
        window.encoded.append(encoded)
        window.slots.append(slots)

    def _start(self, window: _Window) -> None:
        for positions in _batches(window.pairs, self._max_tokens, self._tokenizer.template.special_tokens):
            pairs = [window.pairs[i] for i in positions]
            window.running.append((positions, self._threads.submit(self._logits, pairs)))

    def _answers(self, window: _Window) -> Iterator[Answer]:
        for positions, future in window.running:
            self._collect(window, positions, future)
        for request, encoded, slots in zip(window.requests, window.encoded, window.slots, strict=True):
            yield encoded if isinstance(encoded, InvalidInput) else self._answer(request, encoded, slots)
        window.requests, window.encoded, window.slots, window.pairs, window.running = [], [], [], [], []

    def _collect(self, window: _Window, positions: list[int], future: "Future[Logits]") -> None:
        """Keep a batch's rows; where the batch failed, compute its pairs one by one, so that only some fail."""
        try:
            window.rows.update(zip(positions, future.result(), strict=True))
        except Exception:  # noqa: BLE001 - an engine may raise anything
            for position in positions:
                try:
                    window.rows[position] = self._logits([window.pairs[position]])[0]
                except Exception as error:  # noqa: BLE001 - as above
                    window.failed[position] = str(error)

    def _answer(
        self, request: ClassificationRequest, encoded: list[EncodedText], slots: Sequence[tuple[_Window, int]]
    ) -> Answer:
        for window, position in slots:
            if position in window.failed:
                return EngineFailure(f"The engine failed on this record: {window.failed[position]}")
        logits = np.stack([window.rows[position] for window, position in slots])
        try:
            return list(classifications(request, encoded, logits, self.artefact.head))
        except ZerostartError as error:
            return error

    def _logits(self, pairs: Sequence[EncodedPair]) -> Logits:
        logits = self._engine.logits(self._tokenizer.batch(pairs))
        if logits.ndim != 2 or len(logits) != len(pairs):
            raise EngineFailure(f"The engine answered logits of shape {logits.shape} for {len(pairs)} pairs.")
        return logits


def _batches(pairs: Sequence[EncodedPair], max_tokens: int, special_tokens: int) -> Iterator[list[int]]:
    """Positions of the pairs, longest first, cut so that a batch has `max_tokens` with its padding, or one pair."""
    order = sorted(range(len(pairs)), key=lambda i: -pairs[i].content_tokens)
    start = 0
    while start < len(order):
        width = pairs[order[start]].content_tokens + special_tokens
        end = start + max(1, max_tokens // width)
        yield order[start:end]
        start = end


def _key(pair: EncodedPair) -> bytes:
    digest = blake2b(pair.premise.tobytes(), digest_size=16, salt=len(pair.premise).to_bytes(8, "big"))
    digest.update(pair.hypothesis.tobytes())
    return digest.digest()
