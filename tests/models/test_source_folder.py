import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.models.conftest import edit_config
from zerostart.errors import InvalidArtefact
from zerostart.models.source_folder import SourceFolder, open_source_folder


def refused(source: Path, match: str) -> None:
    with pytest.raises(InvalidArtefact, match=match):
        open_source_folder(source)


def large(path: Path) -> None:
    """A file of 201 MiB that takes no room on disk."""
    with path.open("r+b") as file:
        file.truncate(201 * 2**20)


def test_pickled_weights_are_refused_unread(source: Path) -> None:
    (source / "model.safetensors").rename(source / "pytorch_model.bin")
    refused(source, r"no \*\.safetensors: pickled weights .* can run code")


def test_pickles_beside_safetensors_are_not_read(source: Path) -> None:
    (source / "pytorch_model.bin").write_bytes(b"cposix\nsystem\n(S'touch ran'\ntR.")
    assert [path.name for path in open_source_folder(source).weights] == ["model.safetensors"]


@pytest.mark.parametrize("name", ["config.json", "tokenizer_config.json"])
def test_a_model_with_code_of_its_own_is_refused(source: Path, name: str) -> None:
    (source / "modeling.py").write_text("raise SystemExit('this code ran')")
    edit_config(source, name, auto_map={"AutoModelForSequenceClassification": "modeling.Model"})
    refused(source, rf"auto_map in {name}\), which is never run")


@pytest.mark.parametrize("name", ["adapter_model.bin", "sub/model.safetensors.index.json"])
def test_a_config_that_names_other_weights_is_refused(source: Path, name: str) -> None:
    edit_config(source, transformers_weights=name)
    refused(source, "transformers_weights.*may be a pickle")


def test_quantised_weights_are_refused(source: Path) -> None:
    edit_config(source, quantization_config={"load_in_8bit": True})
    refused(source, "use the model that they were made from")


def test_an_adapter_is_refused(source: Path) -> None:
    (source / "adapter_config.json").write_text('{"base_model_name_or_path": "/etc"}')
    refused(source, "merge it into its model first")


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "README.md", "onnx/model.onnx"])
def test_a_symbolic_link_is_refused_by_its_name(source: Path, tmp_path: Path, name: str) -> None:
    link = source / name
    link.parent.mkdir(exist_ok=True)
    if link.exists():
        link.rename(tmp_path / "elsewhere")
    link.symlink_to(tmp_path / "elsewhere")
    refused(source, rf"{name} is a symbolic link, .* `cp -rL")


def test_a_folder_that_is_named_by_a_link_is_read(source: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(source)
    assert open_source_folder(tmp_path / "link").model_type == "bert"


def test_a_file_instead_of_a_folder_is_refused(source: Path) -> None:
    refused(source / "config.json", "is not a folder")


@pytest.mark.parametrize("text", ["{", "[1]", "[" * 100_000])
def test_a_config_that_is_no_json_object_is_refused(source: Path, text: str) -> None:
    (source / "config.json").write_text(text)
    refused(source, r"config\.json (is not valid JSON|holds no JSON object)")


def test_a_config_of_absurd_size_is_refused_unread(source: Path) -> None:
    large(source / "config.json")
    refused(source, r"config\.json has 210,763,776 bytes, and at most 16,777,216 are read")


def sharded(source: Path, names: dict[str, str]) -> Path:
    (source / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": names}))
    (source / "model.safetensors").rename(source / "model-00001-of-00001.safetensors")
    return source


@pytest.mark.parametrize("name", ["../model.safetensors", "/etc/passwd", "sub/model.safetensors", "..", "model.bin"])
def test_an_index_that_names_a_path_is_refused(source: Path, name: str) -> None:
    shutil.copyfile(source / "model.safetensors", source.parent / "model.safetensors")
    refused(sharded(source, {"classifier.weight": name}), "not the plain name of a safetensors file in the folder")


def test_an_index_that_names_a_missing_file_is_refused(source: Path) -> None:
    refused(sharded(source, {"classifier.weight": "model-00002.safetensors"}), r"model-00002\.safetensors is missing")


@pytest.mark.parametrize("weight_map", [None, {}, ["model.safetensors"]])
def test_an_index_without_weights_is_refused(source: Path, weight_map: Any) -> None:
    refused(sharded(source, weight_map), "has no weight_map")


@pytest.mark.parametrize(
    ("length", "why"),
    [(2**63, "claims 9,223,372,036,854,775,808 bytes"), (10**9, "claims 1,000,000,000 bytes"), (3, "cannot be read")],
)
def test_a_header_that_claims_more_than_the_file_holds_is_refused(source: Path, length: int, why: str) -> None:
    path = source / "model.safetensors"
    path.write_bytes(length.to_bytes(8, "little") + path.read_bytes()[8:])
    refused(source, f"not a whole safetensors file: .*{why}")


def test_a_header_over_the_bound_is_refused_unread(source: Path) -> None:
    path = source / "model.safetensors"
    path.write_bytes((50_000_000).to_bytes(8, "little"))
    large(path)
    refused(source, "its header claims 50,000,000 bytes, of 210,763,776 in all and at most 16,777,216")


@pytest.mark.parametrize("kept", [0, 7, 1000, -1])
def test_weights_that_were_cut_off_are_refused(source: Path, kept: int) -> None:
    path = source / "model.safetensors"
    path.write_bytes(path.read_bytes()[:kept])
    refused(source, "not a whole safetensors file")


@pytest.mark.parametrize(
    "tensor",
    [
        {"dtype": "F32", "shape": [2], "data_offsets": [0, 800]},
        {"dtype": "F32", "shape": [2], "data_offsets": [0, 4]},
        {"dtype": "F32", "shape": [2], "data_offsets": [8, 0]},
        {"dtype": "F32", "shape": [2]},
        7,
    ],
)
def test_a_tensor_that_is_not_where_it_claims_is_refused(source: Path, tensor: Any) -> None:
    header = json.dumps({"classifier.weight": tensor}).encode()
    (source / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + b"\0" * 8)
    refused(source, "not a whole safetensors file")


@pytest.mark.parametrize(
    ("config", "model_max_length", "expected"),
    [
        ({"model_type": "bert", "max_position_embeddings": 512}, 512, 512),
        ({"model_type": "bert", "max_position_embeddings": 512}, 256, 256),
        ({"model_type": "bert"}, None, 512),
        ({"model_type": "roberta", "max_position_embeddings": 514, "pad_token_id": 1}, 512, 512),
        ({"model_type": "roberta", "max_position_embeddings": 514}, None, 512),
        ({"model_type": "xlm-roberta", "max_position_embeddings": 514, "pad_token_id": 1}, 1e30, 512),
        ({"model_type": "mpnet", "max_position_embeddings": 514, "pad_token_id": 1}, None, 512),
        ({"model_type": "bart", "max_position_embeddings": 1024, "pad_token_id": 1}, 10**30, 1024),
        ({"model_type": "deberta-v2", "max_position_embeddings": 512, "pad_token_id": 0}, 1e30, 512),
        ({"model_type": "deberta-v2", "max_position_embeddings": 512, "pad_token_id": 0}, 128, 128),
        ({"model_type": "modernbert", "max_position_embeddings": 8192, "pad_token_id": 50283}, 8192, 8192),
        ({"model_type": "modernbert", "max_position_embeddings": 32768, "pad_token_id": 50283}, 32768, 8192),
    ],
)
def test_max_tokens_are_those_of_the_model_and_its_tokenizer(
    config: dict[str, Any], model_max_length: Any, expected: int
) -> None:
    source = SourceFolder(Path("source"), config, {"model_max_length": model_max_length}, (), None)
    assert source.max_tokens == expected


def test_padding_is_the_architectures_where_the_config_does_not_say() -> None:
    ids = [
        SourceFolder(Path(), {"model_type": kind}, {}, (), None).pad_token_id for kind in ("bert", "roberta", "bart")
    ]
    assert ids == [0, 1, 1]


@pytest.mark.parametrize("value", ["many", -5, [512]])
def test_positions_that_are_no_number_are_refused(value: Any) -> None:
    source = SourceFolder(Path("source"), {"max_position_embeddings": value}, {}, (), None)
    with pytest.raises(InvalidArtefact, match=r"max_position_embeddings in .* write a number"):
        _ = source.max_tokens
