"""Make an artefact go on from another one's graph: what both hold is taken from there, and left out."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from zerostart.models.artefact import GRAPH, Artefact, Extended, read_artefact, write_manifest

if TYPE_CHECKING:
    import onnx

_PREFIXES = ("model.mpnet.", "model.body.")  # of a weight here, and there
_OWN = "nli/"


def extend(folder: Path, base: Path) -> Artefact:
    """Leave in the artefact in `folder` what the one in `base` does not have.

    Weights and inputs have their names there. What is left has names of its own, so that both graphs can be one.
    """
    import onnx

    own, other = (onnx.load(str(each / GRAPH)) for each in (folder, base))
    if [each.version for each in own.opset_import] != [each.version for each in other.opset_import]:
        raise ValueError(f"{folder} and {base} are in operators of different versions.")
    there = {each.name: each for each in other.graph.initializer}
    names = {each.name: each.name for each in own.graph.input}
    for tensor in own.graph.initializer:
        name = _there(tensor.name)
        names[tensor.name] = name if _same(tensor, there.get(name)) else _OWN + tensor.name
    for node in own.graph.node:
        shared = bool(node.input) and all(names.get(each, _OWN).startswith(_PREFIXES[1]) for each in node.input)
        for each in node.output:
            names[each] = _there(each) if shared else _OWN + each
    rest = onnx.GraphProto(node=_nodes(own.graph, names), output=own.graph.output)
    for tensor in own.graph.initializer:
        if names[tensor.name].startswith(_OWN):
            rest.initializer.add().CopyFrom(tensor)
            rest.initializer[-1].name = names[tensor.name]
    for output in rest.output:
        output.name = names[output.name]
    (folder / GRAPH).write_bytes(onnx.ModelProto(graph=rest).SerializeToString())
    base_manifest = read_artefact(base).manifest
    extends = Extended(base_manifest.model_id, base_manifest.files[GRAPH])
    return write_manifest(folder, replace(read_artefact(folder).manifest, extends=extends))


def _nodes(graph: "onnx.GraphProto", names: dict[str, str]) -> "Iterator[onnx.NodeProto]":
    """Those that have an output of their own, with all values by their new names."""
    for node in graph.node:
        if any(names[each].startswith(_OWN) for each in node.output):
            node.name = node.name and _OWN + node.name
            for values in (node.input, node.output):
                values[:] = [names.get(each, each) for each in values]
            yield node


def _there(name: str) -> str:
    return name.replace(*_PREFIXES, 1)


def _same(tensor: "onnx.TensorProto", other: "onnx.TensorProto | None") -> bool:
    return other is not None and (tensor.data_type, tensor.dims, tensor.raw_data) == (
        other.data_type,
        other.dims,
        other.raw_data,
    )
