"""An ONNX file that came with a model, checked and taken over: of standard operators, for pairs of any length."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from zerostart.errors import InvalidArtefact, MissingExtra
from zerostart.models.model_file import Weight, WeightType, write_model
from zerostart.models.reference import INPUTS

if TYPE_CHECKING:
    import onnx

_OUTPUT = "logits"


@dataclass(frozen=True)
class OnnxFile:
    """A graph without its weights, and the weights. `sources` are the files that they come from."""

    path: Path
    graph: "onnx.ModelProto"
    weights: tuple[Weight, ...]
    sources: tuple[Path, ...]

    def write(self, folder: Path, *, stored_as: WeightType, largest_file_bytes: int) -> None:
        """Write it as the model of an artefact in `folder`."""
        write_model(self.graph, self.weights, folder, stored_as=stored_as, largest_file_bytes=largest_file_bytes)


def read_onnx(path: Path, classes: int) -> OnnxFile:
    """The model in `path`, whose output has `classes` columns and is named `logits`.

    Raises InvalidArtefact, saying why, if it is not such a model, or reads files from elsewhere; MissingExtra without
    onnx.
    """
    try:
        import onnx
    except ModuleNotFoundError as error:
        raise MissingExtra("Importing a model needs onnx: run pip install 'zerostart[convert]'.") from error
    try:
        model = onnx.load(str(path), load_external_data=False)
    except Exception as error:
        raise InvalidArtefact(f"{path} is not an ONNX file: {str(error)[:200]}. Fetch it again.") from error
    try:
        return _checked(path, model, classes)
    except InvalidArtefact:
        raise
    except Exception as error:
        raise InvalidArtefact(f"{path} is broken: {str(error)[:200]}. Fetch it again.") from error


def _checked(path: Path, model: "onnx.ModelProto", classes: int) -> OnnxFile:
    _refuse_own_operators(path, model)
    initializers = {each.name for each in model.graph.initializer}
    _check_inputs(path, [each for each in model.graph.input if each.name not in initializers])
    _check_output(path, model.graph.output, classes)
    weights, sources = _take_weights(path, model)
    _name_output(path, model.graph)
    return OnnxFile(path, _copied(model), tuple(weights), (path, *sources))


def _refuse_own_operators(path: Path, model: "onnx.ModelProto") -> None:
    if model.functions:
        raise InvalidArtefact(f"{path} defines functions of its own: export it again with standard operators.")
    for node in _nodes(model.graph):
        if node.domain not in {"", "ai.onnx"}:
            raise InvalidArtefact(
                f"{path} has the operator {node.domain}.{node.op_type}, which is not ONNX's own and not every engine "
                "knows: export it again without optimising it for one engine."
            )


def _check_inputs(path: Path, inputs: "list[onnx.ValueInfoProto]") -> None:
    import onnx

    names = [each.name for each in inputs]
    if not {"input_ids", "attention_mask"} <= set(names) <= set(INPUTS):
        raise InvalidArtefact(
            f"{path} has the inputs {', '.join(names)}: a model of pairs has input_ids, attention_mask and, if it "
            "tells them apart, token_type_ids."
        )
    for each in inputs:
        dimensions = each.type.tensor_type.shape.dim
        if each.type.tensor_type.elem_type != onnx.TensorProto.INT64:
            raise InvalidArtefact(f"{path}: the input {each.name} is not of type int64: export it again.")
        if len(dimensions) != 2 or any(dimension.dim_value for dimension in dimensions):
            raise InvalidArtefact(
                f"{path}: the input {each.name} does not take pairs of any number and length: export it with two "
                "dynamic axes."
            )


def _check_output(path: Path, outputs: Any, classes: int) -> None:
    sizes = [dimension.dim_value for dimension in outputs[0].type.tensor_type.shape.dim] if len(outputs) == 1 else []
    if len(sizes) != 2 or sizes[0] != 0 or sizes[1] not in {0, classes}:  # a size of 0 is one that is not fixed
        raise InvalidArtefact(
            f"{path} has the outputs {', '.join(each.name for each in outputs)}: a classifier of pairs has one, of "
            f"shape (pairs, {classes}). Export it for sequence classification."
        )


def _name_output(path: Path, graph: "onnx.GraphProto") -> None:
    import onnx

    output = graph.output[0]
    if output.name == _OUTPUT:
        return
    if any(_OUTPUT in node.output for node in graph.node):
        raise InvalidArtefact(f"{path} has values named {_OUTPUT} and its output is {output.name}: export it again.")
    graph.node.append(onnx.helper.make_node("Identity", [output.name], [_OUTPUT]))
    output.name = _OUTPUT


def _take_weights(path: Path, model: "onnx.ModelProto") -> tuple[list[Weight], list[Path]]:
    """Take the initializers out of the graph; constants inside nodes stay, and must be inside the file."""
    import onnx

    for node in _nodes(model.graph):
        for attribute in node.attribute:
            if any(each.data_location == onnx.TensorProto.EXTERNAL for each in (attribute.t, *attribute.tensors)):
                raise InvalidArtefact(f"{path}: the constant {node.name} lies outside of the file: export it again.")
    if model.graph.sparse_initializer:
        raise InvalidArtefact(f"{path} has sparse weights, which not every engine knows: export it with dense ones.")
    weights, sources = [], set()
    for tensor in model.graph.initializer:
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            values, source = _external(path, tensor)
            sources.add(source)
        else:
            values = onnx.numpy_helper.to_array(tensor)
        weights.append(Weight(tensor.name, values.size, values.itemsize, lambda values=values: values))  # type: ignore[misc]
    names = {weight.name for weight in weights}
    for value in [each for each in model.graph.input if each.name in names]:
        model.graph.input.remove(value)
    del model.graph.initializer[:]
    model.ir_version = max(model.ir_version, 4)  # before it, weights had to be inputs too
    return weights, sorted(sources)


def _external(path: Path, tensor: "onnx.TensorProto") -> tuple[NDArray[Any], Path]:
    """The values of a tensor in another file of the same folder, mapped and not read yet, and that file."""
    import onnx

    where = {entry.key: entry.value for entry in tensor.external_data}
    location = where.get("location", "")
    source = path.parent / location
    if not location or Path(location).name != location or location in {".", ".."} or "\\" in location:
        raise InvalidArtefact(
            f"{path} reads {tensor.name} from {location!r}: only files of its own folder, by their plain names, are "
            "read."
        )
    if source.is_symlink() or not source.is_file():
        raise InvalidArtefact(f"{source} is missing or not a plain file, and {path.name} reads {tensor.name} from it.")
    dtype = onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type)
    length = prod(tensor.dims) * dtype.itemsize
    try:
        offset, claimed = int(where.get("offset", 0)), int(where.get("length", length))
    except ValueError as error:
        raise InvalidArtefact(f"{path}: where {tensor.name} lies is not a number: export it again.") from error
    if claimed != length or offset < 0 or offset + length > source.stat().st_size:
        raise InvalidArtefact(
            f"{path}: {tensor.name} of {length:,} bytes lies at {offset:,} for {claimed:,} in {source.name}, which has "
            f"{source.stat().st_size:,}. Fetch both again."
        )
    if length == 0:
        return np.empty(tuple(tensor.dims), dtype), source
    return np.memmap(source, dtype, "r", offset, tuple(tensor.dims)), source


def _copied(model: "onnx.ModelProto") -> "onnx.ModelProto":
    """A message gives the memory of what was taken out of it back only when it goes itself."""
    import onnx

    return onnx.load_model_from_string(model.SerializeToString())


def _nodes(graph: "onnx.GraphProto") -> "Iterator[onnx.NodeProto]":
    """The nodes of a graph and of the graphs inside them."""
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                yield from _nodes(inner)
