"""ONNX Runtime: fp32 on any processor. `pip install 'zerostart[onnxruntime]'`."""

import os
from pathlib import Path

import numpy as np
import onnxruntime

from zerostart.engines.base import EncodedBatch, EngineOptions, Logits
from zerostart.errors import InvalidSettings


class OnnxRuntimeEngine:
    """`model.onnx` in an ONNX Runtime session; one batch at a time on all threads."""

    name = "onnxruntime"
    precision = "fp32"
    streams = 1

    def __init__(self, session: "onnxruntime.InferenceSession") -> None:
        self._session = session
        self._output = session.get_outputs()[-1].name
        self._run = onnxruntime.RunOptions()
        # Where two models are in one graph, only that of the last output.
        self._run.only_execute_path_to_fetches = True
        self._inputs = [each.name for each in session.get_inputs()]

    def logits(self, batch: EncodedBatch) -> Logits:
        """Logits, shape (pairs, classes), float32."""
        feed = {name: getattr(batch, name) for name in self._inputs}
        return np.asarray(self._session.run([self._output], feed, self._run)[0])

    def close(self) -> None:
        """Drop the session."""
        del self._session


def load(folder: Path, classes: int, options: EngineOptions) -> OnnxRuntimeEngine:
    """Load `model.onnx` of `folder`."""
    del classes
    if options.precision not in {"auto", "fp32"}:
        raise InvalidSettings(f"Engine 'onnxruntime' computes in fp32, not {options.precision}: use engine 'openvino'.")
    session_options = onnxruntime.SessionOptions()
    session_options.intra_op_num_threads = options.threads or os.cpu_count() or 1
    session_options.log_severity_level = 3
    # Weights that are stored as integers are made floats at load, and not multiplied with rounded activations.
    session_options.add_session_config_entry("session.disable_quant_qdq", "1")
    own = folder / "model.onnx"
    # Messages of protobuf that follow each other are one message, with the nodes and weights of both.
    model = str(own) if options.extends is None else options.extends.read_bytes() + own.read_bytes()
    return OnnxRuntimeEngine(onnxruntime.InferenceSession(model, session_options))
