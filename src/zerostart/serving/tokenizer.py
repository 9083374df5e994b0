"""Tokenising pairs: each premise once, each hypothesis once, joined by the model's own pair template."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from zerostart.engines.base import EncodedBatch
from zerostart.errors import InvalidArtefact, InvalidInput

Ids = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class EncodedPair:
    """A premise (or a window of it) and a hypothesis, shape (tokens,) each, without special tokens."""

    premise: Ids
    hypothesis: Ids

    @property
    def content_tokens(self) -> int:
        """Tokens of both, without the special ones, which are as many for every pair."""
        return len(self.premise) + len(self.hypothesis)


def distinct(pairs: Sequence[EncodedPair]) -> tuple[list[EncodedPair], list[int]]:
    """The pairs without repeats, and for each of `pairs` where it is among them."""
    places: dict[tuple[bytes, bytes], int] = {}
    rows = [places.setdefault((pair.premise.tobytes(), pair.hypothesis.tobytes()), len(places)) for pair in pairs]
    if len(places) == len(pairs):
        return list(pairs), rows
    kept: dict[int, EncodedPair] = {}
    for row, pair in zip(rows, pairs, strict=True):
        kept.setdefault(row, pair)
    return list(kept.values()), rows


@dataclass(frozen=True)
class PairTemplate:
    """Special tokens around a pair (before, between, after) and the type id of each of the five parts."""

    before: Ids
    between: Ids
    after: Ids
    type_ids: tuple[int, int, int, int, int]

    @property
    def special_tokens(self) -> int:
        """How many tokens the template adds to a pair."""
        return len(self.before) + len(self.between) + len(self.after)


class PairTokenizer:
    """Turns texts into token ids and pairs into batches, for one model. Safe to use from many threads.

    With `pairs` off a pair is a text alone, its hypothesis empty: what embedding models read.
    """

    def __init__(
        self, path: Path, max_tokens: int, pad_token_id: int, *, cached_hypotheses: int = 8192, pairs: bool = True
    ) -> None:
        try:
            self._tokenizer = Tokenizer.from_file(str(path))
        except Exception as error:
            raise InvalidArtefact(f"{path} is not a tokenizer that can be read: {error}") from error
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self.template = _pair_template(self._tokenizer) if pairs else _text_template(self._tokenizer)
        self.max_tokens = max_tokens
        self._pad = pad_token_id
        self.hypothesis = lru_cache(maxsize=cached_hypotheses)(self._ids)

    def premise(self, text: str) -> Ids:
        """Token ids of a text, shape (tokens,), however long."""
        return self._ids(text)

    def premise_budget(self, hypothesis: Ids, label: str) -> int:
        """Tokens that a premise may have beside `hypothesis`; raises InvalidInput, naming `label`, if none."""
        budget = self.max_tokens - self.template.special_tokens - len(hypothesis)
        if budget < 1:
            raise InvalidInput(
                f"The hypothesis for label {label[:80]!r} has {len(hypothesis)} tokens; with a text the model reads "
                f"{self.max_tokens} in all: shorten the label, its description or 'hypothesis_template'."
            )
        return budget

    def padded(self, pair: EncodedPair) -> int:
        """The width that follows from a pair's own length: exact up to 32 tokens, above at most a sixteenth more.

        In batches of that width alone a pair's row is the same to the bit, whatever else is in them.
        """
        tokens = pair.content_tokens + self.template.special_tokens
        step = max(1, 1 << (tokens - 1).bit_length() >> 5)
        return min(-(-tokens // step) * step, self.max_tokens)

    def batch(self, pairs: Sequence[EncodedPair], width: int = 0) -> EncodedBatch:
        """The pairs as one batch, padded on the right to the longest, or to `width` tokens if that is more."""
        template = self.template
        width = max(width, *(pair.content_tokens + template.special_tokens for pair in pairs))
        ids = np.full((len(pairs), width), self._pad, dtype=np.int64)
        mask = np.zeros_like(ids)
        types = np.zeros_like(ids)
        for row, pair in enumerate(pairs):
            parts = (template.before, pair.premise, template.between, pair.hypothesis, template.after)
            joined = np.concatenate(parts)
            ids[row, : len(joined)] = joined
            mask[row, : len(joined)] = 1
            if any(template.type_ids):
                types[row, : len(joined)] = np.repeat(template.type_ids, [len(part) for part in parts])
        return EncodedBatch(ids, mask, types)

    def _ids(self, text: str) -> Ids:
        return np.array(self._tokenizer.encode(text, add_special_tokens=False).ids, dtype=np.int64)


def _pair_template(tokenizer: Tokenizer) -> PairTemplate:
    """Read off what the tokenizer puts around a pair, by encoding one."""
    encoding = tokenizer.encode("a", "b")
    owner = encoding.sequence_ids
    if 0 not in owner or 1 not in owner:
        raise InvalidArtefact("The tokenizer gives no tokens for plain letters: it does not fit its model.")
    first = [i for i, o in enumerate(owner) if o == 0]
    second = [i for i, o in enumerate(owner) if o == 1]
    cuts = (0, first[0], first[-1] + 1, second[0], second[-1] + 1, len(owner))
    spans = list(pairwise(cuts))
    ids = [np.array(encoding.ids[start:end], dtype=np.int64) for start, end in spans]
    kinds = tuple(encoding.type_ids[start] if start < end else 0 for start, end in spans)
    return PairTemplate(ids[0], ids[2], ids[4], (kinds[0], kinds[1], kinds[2], kinds[3], kinds[4]))


def _text_template(tokenizer: Tokenizer) -> PairTemplate:
    """The same around a text alone."""
    encoding = tokenizer.encode("a")
    own = [i for i, owner in enumerate(encoding.sequence_ids) if owner == 0]
    if not own:
        raise InvalidArtefact("The tokenizer gives no tokens for plain letters: it does not fit its model.")
    before, after = (np.array(ids, dtype=np.int64) for ids in (encoding.ids[: own[0]], encoding.ids[own[-1] + 1 :]))
    return PairTemplate(before, np.empty(0, dtype=np.int64), after, (0, 0, 0, 0, 0))
