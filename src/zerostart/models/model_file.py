"""The files of an artefact's graph: `model.onnx`, and `model.onnx_data` where the weights are too many for one file.

Weights are stored as they are, as fp16, or rounded to integers with scales, and standard operators in front of them
make them float32 again. Engines do that when they load the model, so that none multiplies integers.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Literal

import numpy as np
from numpy.typing import NDArray

from zerostart.models.rounding import INT4, INT8, Integers, rounded

if TYPE_CHECKING:
    import onnx

MODEL = "model.onnx"
MODEL_WEIGHTS = "model.onnx_data"
# A protobuf message ends at 2 GiB, and every reader of it holds it twice for a while.
LARGEST_FILE_BYTES = 1_600_000_000
WeightType = Literal["fp32", "fp16", "int8", "int4"]
_PAGE_BYTES = 4096
_LARGE_ELEMENTS = 1024
_LARGE_TABLE_ELEMENTS = 1_000_000
_BLOCKS_OPSET = 21  # the first one whose DequantizeLinear knows groups


@dataclass(frozen=True)
class Weight:
    """A weight by its name in the graph; `read` gives its values when it is written, and not before."""

    name: str
    elements: int
    itemsize: int
    read: Callable[[], NDArray[Any]]

    @property
    def large(self) -> bool:
        """Whether it is worth storing otherwise than as it is."""
        return self.elements >= _LARGE_ELEMENTS


@dataclass(frozen=True)
class _Tensor:
    """What is stored: values of an ONNX data type, and their shape in the graph; int4 is two to a byte of `content`."""

    name: str
    shape: tuple[int, ...]
    data_type: int
    content: NDArray[Any]


@dataclass(frozen=True)
class _Uses:
    """Which weights the graph looks rows up in, and which ones it multiplies with, of shape (inputs, outputs)."""

    tables: frozenset[str]
    linear: frozenset[str]


def write_model(
    model: "onnx.ModelProto",
    weights: Sequence[Weight],
    folder: Path,
    *,
    stored_as: WeightType,
    largest_file_bytes: int,
) -> None:
    """Write `model`, a graph without its weights, and the weights, one after the other, into `folder`.

    The large fp32 ones are `stored_as` that, with nodes in front that make them fp32 again: the same graph. int4 is of
    the weights of linear layers alone, and large tables are int8 then; what no integers suit is stored as fp16.
    """
    import onnx

    if stored_as in ("int8", "int4"):
        model = _in_opset(model, weights, _BLOCKS_OPSET)
    uses = _uses(model.graph)
    nodes: list[onnx.NodeProto] = []

    def tensors(weight: Weight) -> list[_Tensor]:
        return _stored(weight, uses, nodes, stored_as)

    total = sum(
        weight.elements * (2 if stored_as != "fp32" and weight.itemsize == 4 else weight.itemsize) for weight in weights
    )
    if total <= largest_file_bytes:
        for weight in weights:
            model.graph.initializer.extend(_internal(tensor) for tensor in tensors(weight))
    else:
        with (folder / MODEL_WEIGHTS).open("wb") as file:
            for weight in weights:
                model.graph.initializer.extend(
                    _external(tensor, file) if weight.large else _internal(tensor) for tensor in tensors(weight)
                )
    nodes += model.graph.node
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    (folder / MODEL).write_bytes(model.SerializeToString())


def _in_opset(model: "onnx.ModelProto", weights: Sequence[Weight], opset: int) -> "onnx.ModelProto":
    """The graph in operators of `opset`; its weights are inputs for that long, since the converter asks for them."""
    import onnx

    given = len(model.graph.input)
    for weight in weights:
        model.graph.input.append(onnx.helper.make_tensor_value_info(weight.name, onnx.TensorProto.FLOAT, None))
    converted: onnx.ModelProto = onnx.version_converter.convert_version(model, opset)
    del converted.graph.input[given:]
    return converted


def _uses(graph: "onnx.GraphProto") -> _Uses:
    users: dict[str, set[str]] = {}
    for node in graph.node:
        for place, name in enumerate(node.input):
            users.setdefault(name, set()).add(f"{node.op_type} {place}")
    return _Uses(
        frozenset(name for name, found in users.items() if found == {"Gather 0"}),
        frozenset(name for name, found in users.items() if found == {"MatMul 1"}),
    )


def _stored(weight: Weight, uses: _Uses, nodes: "list[onnx.NodeProto]", stored_as: WeightType) -> list[_Tensor]:
    """What is stored of a weight; nodes that make its values of that are added to `nodes`."""
    values = weight.read()
    if stored_as == "fp32" or not weight.large or values.dtype != np.float32:
        return [_tensor(weight.name, values)]
    if stored_as in ("int8", "int4") and values.ndim == 2:
        form = INT4 if stored_as == "int4" else INT8
        # A layer of few outputs, such as a classifier's last one, decides much and takes little.
        if weight.name in uses.linear and values.shape[0] % form.group == 0 and values.shape[1] >= form.group:
            return _in_integers(weight.name, values, nodes, form, axis=0)
        if (
            weight.name in uses.tables
            and weight.elements >= _LARGE_TABLE_ELEMENTS
            and values.shape[1] % INT8.group == 0
        ):
            return _in_integers(weight.name, values, nodes, INT8, axis=1)
    if max(values.max(), -values.min()) > np.finfo(np.float16).max:
        return [_tensor(weight.name, values)]
    return [_half(weight.name, values, nodes)]


def _half(name: str, values: NDArray[Any], nodes: "list[onnx.NodeProto]") -> _Tensor:
    """Values as fp16, and a node that makes `name` of them."""
    import onnx

    nodes.append(onnx.helper.make_node("Cast", [f"{name}_half"], [name], to=onnx.TensorProto.FLOAT))
    return _tensor(f"{name}_half", values.astype(np.float16))


def _in_integers(
    name: str, values: NDArray[np.float32], nodes: "list[onnx.NodeProto]", form: Integers, *, axis: int
) -> list[_Tensor]:
    """Integers with one scale for each group along `axis`, and a node that multiplies them."""
    import onnx

    scales, integers = rounded(values, form, axis=axis)
    content = integers.astype(np.int8)
    data_type = onnx.TensorProto.INT8
    if form.bits == 4:  # two to a byte, the first one low
        flat = content.ravel().view(np.uint8) & 15
        content, data_type = flat[0::2] | flat[1::2] << 4, onnx.TensorProto.INT4
    inputs = [f"{name}_int{form.bits}", f"{name}_scale"]
    stored = [_Tensor(inputs[0], values.shape, data_type, content), _half(inputs[1], scales, nodes)]
    nodes.append(onnx.helper.make_node("DequantizeLinear", inputs, [name], axis=axis, block_size=form.group))
    return stored


def _tensor(name: str, values: NDArray[Any]) -> _Tensor:
    import onnx

    return _Tensor(name, values.shape, onnx.helper.np_dtype_to_tensor_dtype(values.dtype), np.ascontiguousarray(values))


def _internal(tensor: _Tensor) -> "onnx.TensorProto":
    import onnx

    if tensor.content.shape == tensor.shape:
        return onnx.numpy_helper.from_array(tensor.content, tensor.name)
    packed = tensor.content.tobytes()
    return onnx.TensorProto(name=tensor.name, dims=tensor.shape, data_type=tensor.data_type, raw_data=packed)


def _external(tensor: _Tensor, file: BinaryIO) -> "onnx.TensorProto":
    """A tensor whose values are in `file`, from the start of a page so that they can be mapped."""
    import onnx

    file.write(b"\0" * (-file.tell() % _PAGE_BYTES))
    external = onnx.TensorProto(
        name=tensor.name,
        dims=tensor.shape,
        data_type=tensor.data_type,
        data_location=onnx.TensorProto.EXTERNAL,
    )
    where = {"location": MODEL_WEIGHTS, "offset": file.tell(), "length": tensor.content.nbytes}
    for key, value in where.items():
        external.external_data.add(key=key, value=str(value))
    file.write(tensor.content.data)
    return external
