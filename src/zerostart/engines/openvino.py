"""OpenVINO on the CPU: the default engine."""

import os
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import numpy as np
import openvino

from zerostart.engines.base import EncodedBatch, EngineOptions, Logits
from zerostart.errors import InvalidSettings

_HINTS = {"fp32": "f32", "bf16": "bf16"}


class OpenVinoEngine:
    """A compiled model with one infer request for each stream."""

    name = "openvino"

    def __init__(self, compiled: Any, precision: str, streams: int) -> None:
        self.precision = precision
        self.streams = streams
        self._inputs = [each.any_name for each in compiled.inputs]
        self._compiled = compiled
        self._requests: SimpleQueue[Any] = SimpleQueue()
        for _ in range(streams):
            self._requests.put(compiled.create_infer_request())

    def logits(self, batch: EncodedBatch) -> Logits:
        """Logits, shape (pairs, classes), float32."""
        request = self._requests.get()
        try:
            outputs = request.infer({name: getattr(batch, name) for name in self._inputs}, share_inputs=True)
            return np.array(outputs[0], dtype=np.float32)
        finally:
            self._requests.put(request)

    def close(self) -> None:
        """Drop the requests and the model."""
        while not self._requests.empty():
            self._requests.get()
        del self._compiled


def load(folder: Path, classes: int, options: EngineOptions) -> OpenVinoEngine:
    """Load `model.onnx` of `folder`, in bf16 where the processor multiplies it in hardware (AMX), else in fp32."""
    del classes
    core = openvino.Core()
    precision = options.precision
    if precision == "auto":
        precision = "bf16" if "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES") else "fp32"
    if precision not in _HINTS:
        raise InvalidSettings(f"Engine 'openvino' computes in {', '.join(_HINTS)}, not {precision}.")
    threads = options.threads or os.cpu_count() or 1
    streams = min(threads, 4)
    properties: dict[str, Any] = {
        "INFERENCE_PRECISION_HINT": _HINTS[precision],
        "INFERENCE_NUM_THREADS": threads,
        "NUM_STREAMS": streams,
        "ENABLE_CPU_PINNING": False,
    }
    if options.cache_folder is not None:
        properties["CACHE_DIR"] = str(options.cache_folder)
    compiled = core.compile_model(core.read_model(folder / "model.onnx"), "CPU", properties)
    return OpenVinoEngine(compiled, precision, streams)
