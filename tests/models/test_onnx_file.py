"""The ONNX file of a folder is taken where it is what it has to be, and refused with a reason where not."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from zerostart.errors import InvalidArtefact
from zerostart.models.onnx_file import read_onnx

Spoil = Callable[[Any], object]


def own_operator(model: Any) -> None:
    model.graph.node[0].domain = "com.microsoft"
    model.graph.node[0].op_type = "FusedAttention"


def own_operator_in_a_branch(model: Any) -> None:
    inner = helper.make_graph([helper.make_node("Odd", [], ["x"], domain="acme")], "inner", [], [])
    model.graph.node.append(helper.make_node("If", ["c"], ["y"], then_branch=inner, else_branch=inner))


def function(model: Any) -> None:
    model.functions.append(helper.make_function("acme", "Odd", ["x"], ["x"], [], [helper.make_opsetid("", 17)]))


def int32_input(model: Any) -> None:
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.INT32


def fixed_length(model: Any) -> None:
    model.graph.input[1].type.tensor_type.shape.dim[1].dim_value = 128


def fixed_batch(model: Any) -> None:
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1


def unknown_input(model: Any) -> None:
    model.graph.input.append(helper.make_tensor_value_info("position_ids", TensorProto.INT64, ["pairs", "tokens"]))


def no_mask(model: Any) -> None:
    model.graph.input.remove(model.graph.input[1])


def two_outputs(model: Any) -> None:
    model.graph.output.append(helper.make_tensor_value_info("hidden", TensorProto.FLOAT, ["pairs", 32]))


def output_per_token(model: Any) -> None:
    model.graph.output[0].CopyFrom(helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["p", "t", 3]))


def two_classes(model: Any) -> None:
    model.graph.output[0].CopyFrom(helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["p", 2]))


def constant_elsewhere(model: Any) -> None:
    tensor = TensorProto(name="c", dims=[4], data_type=TensorProto.FLOAT, data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value="/etc/passwd")
    model.graph.node.append(helper.make_node("Constant", [], ["c"], value=tensor))


def weight_of_another_size(model: Any) -> None:
    model.graph.initializer[0].raw_data = b"12345"


def weight_of_no_type(model: Any) -> None:
    model.graph.initializer[0].data_type = 99


SPOILED: list[tuple[Spoil, str]] = [
    (own_operator, r"com\.microsoft\.FusedAttention, which is not ONNX's own"),
    (own_operator_in_a_branch, r"acme\.Odd, which is not ONNX's own"),
    (function, "defines functions of its own"),
    (int32_input, "input_ids is not of type int64"),
    (fixed_length, "attention_mask does not take pairs of any number and length"),
    (fixed_batch, "input_ids does not take pairs of any number and length"),
    (unknown_input, "has the inputs input_ids, attention_mask, token_type_ids, position_ids"),
    (no_mask, "has the inputs input_ids, token_type_ids"),
    (two_outputs, r"has the outputs logits, hidden: .* shape \(pairs, 3\)"),
    (output_per_token, r"has one, of shape \(pairs, 3\)"),
    (two_classes, r"has one, of shape \(pairs, 3\)"),
    (constant_elsewhere, "lies outside of the file"),
    (weight_of_another_size, "is broken"),
    (weight_of_no_type, "is broken"),
]


@pytest.mark.parametrize(("spoil", "why"), SPOILED, ids=[spoil.__name__ for spoil, _ in SPOILED])
def test_a_file_that_is_not_a_classifier_of_pairs_in_standard_operators_is_refused(
    exported: Path, tmp_path: Path, spoil: Spoil, why: str
) -> None:
    model = onnx.load(exported)
    spoil(model)
    (tmp_path / "model.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(InvalidArtefact, match=why):
        read_onnx(tmp_path / "model.onnx", 3)


@pytest.mark.parametrize("content", [b"", b"\xff" * 100, b"<html>"])
def test_a_file_that_is_not_onnx_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "model.onnx").write_bytes(content)
    with pytest.raises(InvalidArtefact, match=r"model\.onnx"):
        read_onnx(tmp_path / "model.onnx", 3)


def with_external_weights(exported: Path, folder: Path, **where: str) -> Path:
    """The model with its weights in a file of their own; `where` overwrites what it says of each."""
    model = onnx.load(exported)
    onnx.save(model, folder / "model.onnx", save_as_external_data=True, location="weights.bin", size_threshold=0)
    model = onnx.load(folder / "model.onnx", load_external_data=False)
    for tensor in model.graph.initializer:
        for entry in tensor.external_data:
            entry.value = where.get(entry.key, entry.value)
    (folder / "model.onnx").write_bytes(model.SerializeToString())
    return folder / "model.onnx"


def test_weights_in_another_file_of_the_folder_are_read(exported: Path, tmp_path: Path) -> None:
    taken = read_onnx(with_external_weights(exported, tmp_path), 3)
    assert [path.name for path in taken.sources] == ["model.onnx", "weights.bin"]
    inside = {weight.name: weight.read() for weight in read_onnx(exported, 3).weights}
    outside = {weight.name: weight.read() for weight in taken.weights}
    assert inside.keys() == outside.keys()
    assert all(np.array_equal(inside[name], outside[name]) for name in inside)


@pytest.mark.parametrize("location", ["../weights.bin", "/etc/passwd", "sub/weights.bin", "..", "", "a\\b"])
def test_weights_outside_of_the_folder_are_refused(exported: Path, tmp_path: Path, location: str) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    path = with_external_weights(exported, folder, location=location)
    (tmp_path / "weights.bin").write_bytes((folder / "weights.bin").read_bytes())
    with pytest.raises(InvalidArtefact, match="only files of its own folder, by their plain names"):
        read_onnx(path, 3)


def test_weights_behind_a_link_are_refused(exported: Path, tmp_path: Path) -> None:
    path = with_external_weights(exported, tmp_path)
    (tmp_path / "weights.bin").rename(tmp_path / "elsewhere")
    (tmp_path / "weights.bin").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InvalidArtefact, match=r"weights\.bin is missing or not a plain file"):
        read_onnx(path, 3)


@pytest.mark.parametrize(
    "where", [{"offset": "999999999"}, {"offset": "-4"}, {"length": "999999999"}, {"length": "4"}, {"offset": "x"}]
)
def test_weights_that_lie_where_the_file_ends_are_refused(
    exported: Path, tmp_path: Path, where: dict[str, str]
) -> None:
    path = with_external_weights(exported, tmp_path, **where)
    with pytest.raises(InvalidArtefact, match=r"Fetch both again|is not a number"):
        read_onnx(path, 3)
