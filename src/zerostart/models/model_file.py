"""The files of an artefact's graph: `model.onnx`, and `model.onnx_data` where the weights are too many for one file."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import onnx

MODEL = "model.onnx"
MODEL_WEIGHTS = "model.onnx_data"
# A protobuf message ends at 2 GiB, and every reader of it holds it twice for a while.
LARGEST_FILE_BYTES = 1_600_000_000
_PAGE_BYTES = 4096
_LARGE_ELEMENTS = 1024


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


def write_model(
    model: "onnx.ModelProto", weights: Sequence[Weight], folder: Path, *, half: bool, largest_file_bytes: int
) -> None:
    """Write `model`, a graph without its weights, and the weights, one after the other, into `folder`.

    `half` keeps each large fp32 weight as fp16 with a Cast in front: half the size, the same graph in fp32.
    """
    import onnx

    total = sum(weight.elements * (2 if half and weight.itemsize == 4 else weight.itemsize) for weight in weights)
    casts: list[onnx.NodeProto] = []
    if total <= largest_file_bytes:
        for weight in weights:
            model.graph.initializer.append(onnx.numpy_helper.from_array(*_stored(weight, casts, half=half)))
    else:
        with (folder / MODEL_WEIGHTS).open("wb") as file:
            model.graph.initializer.extend(_external(weights, file, casts, half=half))
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    (folder / MODEL).write_bytes(model.SerializeToString())


def _stored(weight: Weight, casts: "list[onnx.NodeProto]", *, half: bool) -> tuple[NDArray[Any], str]:
    """The values and the name that a weight is stored with; one that is stored as fp16 gets a cast."""
    import onnx

    values = weight.read()
    if not (half and weight.large and values.dtype == np.float32):
        return values, weight.name
    if max(values.max(), -values.min()) > np.finfo(np.float16).max:
        return values, weight.name
    name = f"{weight.name}_half"
    casts.append(onnx.helper.make_node("Cast", [name], [weight.name], to=onnx.TensorProto.FLOAT))
    return values.astype(np.float16), name


def _external(
    weights: Sequence[Weight], file: BinaryIO, casts: "list[onnx.NodeProto]", *, half: bool
) -> "Iterator[onnx.TensorProto]":
    """Tensors whose values are in `file`, each from the start of a page so that it can be mapped."""
    import onnx

    for weight in weights:
        values, name = _stored(weight, casts, half=half)
        if not weight.large:
            yield onnx.numpy_helper.from_array(values, name)
            continue
        file.write(b"\0" * (-file.tell() % _PAGE_BYTES))
        tensor = onnx.TensorProto(
            name=name,
            dims=values.shape,
            data_type=onnx.helper.np_dtype_to_tensor_dtype(values.dtype),
            data_location=onnx.TensorProto.EXTERNAL,
        )
        where = {"location": MODEL_WEIGHTS, "offset": file.tell(), "length": values.nbytes}
        for key, value in where.items():
            tensor.external_data.add(key=key, value=str(value))
        file.write(np.ascontiguousarray(values).data)
        yield tensor
