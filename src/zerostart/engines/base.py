"""The contract of an engine: an encoded batch goes in, logits come out. An engine knows of nothing else."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

TokenIds = NDArray[np.int64]
Logits = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class EncodedBatch:
    """Pairs padded to one length. Each array has shape (pairs, tokens) and dtype int64."""

    input_ids: TokenIds
    attention_mask: TokenIds
    token_type_ids: TokenIds

    @property
    def pairs(self) -> int:
        """Rows of the batch."""
        return int(self.input_ids.shape[0])


@dataclass(frozen=True)
class EngineOptions:
    """How to load a model. `precision` is auto, fp32, bf16, fp16 or int8; `threads` 0 means every core.

    `frugal` is for callers of few shapes: an engine that keeps memory for each shape that it met keeps less.
    In `cache_folder` an engine may keep what it made of a model, under `weights`, which tells the content of the
    model's file from every other (its checksum). `extends` is the file whose graph the model's goes on from, if the
    model's is not whole: one after the other, they are one file.
    """

    threads: int = 0
    precision: str = "auto"
    cache_folder: Path | None = None
    weights: str = ""
    extends: Path | None = None
    frugal: bool = False


class Engine(Protocol):
    """A loaded model. `logits` is called from `streams` threads at once; it must be safe for that many."""

    name: str
    precision: str
    streams: int

    def logits(self, batch: EncodedBatch) -> Logits:
        """Logits, shape (pairs, classes). Raises whatever the runtime raises; the batcher answers for it."""
        ...

    def close(self) -> None:
        """Give the memory back; no call follows."""
        ...
