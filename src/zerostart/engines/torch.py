"""PyTorch: for GPUs. It reads the original weights, which an artefact holds if it was added with --keep-weights.

`pip install 'zerostart[torch]'`. On a CPU it is slower than OpenVINO.
"""

import os
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers

from zerostart.engines.base import EncodedBatch, EngineOptions, Logits
from zerostart.errors import InvalidArtefact, InvalidSettings

CONFIG = "config.json"
_WEIGHTS = ("model.safetensors", "model.safetensors.index.json")
_TYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


class TorchEngine:
    """A transformers model on the GPU if there is one, else on the CPU; one batch at a time."""

    name = "torch"
    streams = 1

    def __init__(self, model: Any, device: str, precision: str) -> None:
        self.precision = precision
        self._model = model
        self._device = device
        self._typed = getattr(model.config, "type_vocab_size", 0) > 1

    def logits(self, batch: EncodedBatch) -> Logits:
        """Logits, shape (pairs, classes), float32."""
        given = {"input_ids": batch.input_ids, "attention_mask": batch.attention_mask}
        if self._typed:
            given["token_type_ids"] = batch.token_type_ids
        with torch.inference_mode():
            tensors = {name: torch.from_numpy(array).to(self._device) for name, array in given.items()}
            return np.asarray(self._model(**tensors).logits.float().cpu().numpy())

    def close(self) -> None:
        """Drop the model, and give a GPU's memory back."""
        del self._model
        if self._device == "cuda":
            torch.cuda.empty_cache()


def load(folder: Path, classes: int, options: EngineOptions) -> TorchEngine:
    """Load the safetensors of `folder`. `auto` is bf16 or fp16 on a GPU, fp32 on the CPU.

    Raises InvalidArtefact where the artefact holds no weights for torch, InvalidSettings for another precision.
    """
    del classes
    device = "cuda" if torch.cuda.is_available() else "cpu"
    precision = _precision(options.precision, device)
    if not (folder / CONFIG).is_file() or not any((folder / name).is_file() for name in _WEIGHTS):
        raise InvalidArtefact(
            f"{folder} holds no weights for engine 'torch': add or pull the model again with --keep-weights, or use "
            "engine 'openvino'."
        )
    if device == "cpu":
        torch.set_num_threads(options.threads or os.cpu_count() or 1)
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    model = transformers.AutoModelForSequenceClassification.from_pretrained(
        folder, dtype=_TYPES[precision], local_files_only=True, trust_remote_code=False, use_safetensors=True
    )
    return TorchEngine(model.eval().to(device), device, precision)


def _precision(asked: str, device: str) -> str:
    if asked == "auto":
        if device == "cpu":
            return "fp32"
        return "bf16" if torch.cuda.is_bf16_supported() else "fp16"
    if asked not in _TYPES or (asked == "fp16" and device == "cpu"):
        raise InvalidSettings(f"Engine 'torch' computes in fp32, bf16 and on a GPU fp16, not {asked} on {device}.")
    return asked
