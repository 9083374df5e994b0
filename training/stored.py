"""The weights of an artefact as they are served: what its integers, scales and fp16 numbers stand for."""

from pathlib import Path
from typing import Any

import numpy as np
import torch

from zerostart.models.model_file import MODEL


def stored_weights(folder: Path, prefix: str = "model.body.") -> dict[str, torch.Tensor]:
    """Weights in fp32 of the artefact in `folder`, by their names after `prefix`, which are those of transformers."""
    import onnx

    model = onnx.load(str(folder / MODEL))
    values = {each.name: _array(each) for each in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type == "Cast" and node.input[0] in values:
            values[node.output[0]] = values.pop(node.input[0]).astype(np.float32)
        elif node.op_type == "DequantizeLinear":
            axis, group = (onnx.helper.get_node_attr_value(node, name) for name in ("axis", "block_size"))
            integers, scales = values.pop(node.input[0]), values.pop(node.input[1])
            values[node.output[0]] = integers.astype(np.float32) * scales.repeat(group, axis=axis)
    multiplied = {node.input[1] for node in model.graph.node if node.op_type == "MatMul"}
    return {
        name.removeprefix(prefix): torch.from_numpy(np.array(value.T if name in multiplied else value))
        for name, value in values.items()
        if name.startswith(prefix)
    }


def _array(tensor: Any) -> Any:
    import onnx

    return np.asarray(onnx.numpy_helper.to_array(tensor))
