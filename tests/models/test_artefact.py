import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.tiny_models import BUILTIN, copy_artefact, edit_manifest, weightless_artefact
from zerostart.errors import InvalidArtefact
from zerostart.models.artefact import BUILTIN_FOLDER, read_artefact, verify


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return weightless_artefact(tmp_path / "tiny").folder


def test_the_built_in_model_is_whole() -> None:
    artefact = read_artefact(BUILTIN)
    verify(artefact)
    assert artefact.model_id == "zerostart-zstc-small"
    assert artefact.manifest.licence == "Apache-2.0"


def test_the_built_in_models_fit_into_the_package() -> None:
    assert sum(path.stat().st_size for path in BUILTIN_FOLDER.rglob("*") if path.is_file()) <= 100_000_000


def test_a_model_that_goes_on_from_another_one_is_not_whole_without_it() -> None:
    artefact = read_artefact(BUILTIN)
    assert artefact.manifest.extends is not None
    extends = replace(artefact.manifest.extends, sha256="0" * 64)
    other = replace(artefact, manifest=replace(artefact.manifest, extends=extends))
    with pytest.raises(InvalidArtefact, match=r"zerostart-embed-base/model\.onnx was altered"):
        verify(other)
    assert other.weights != artefact.weights  # what was compiled of it is no longer right


def test_a_model_that_goes_on_from_another_version_of_a_model_is_refused(tmp_path: Path) -> None:
    extends = {"model_id": "zerostart-embed-base", "sha256": "0" * 64}
    copied = copy_artefact(BUILTIN, tmp_path / BUILTIN.name, extends=extends)
    with pytest.raises(InvalidArtefact, match="'zerostart-embed-base' as another version of Zerostart has it built in"):
        read_artefact(copied)


def test_an_artefact_can_be_moved(folder: Path, tmp_path: Path) -> None:
    verify(read_artefact(folder.rename(tmp_path / "elsewhere")))


def test_an_altered_file_is_named(folder: Path) -> None:
    artefact = read_artefact(folder)
    with (folder / "tokenizer.json").open("a") as file:
        file.write(" ")
    with pytest.raises(InvalidArtefact, match=r"tokenizer\.json was altered: its sha256 is [0-9a-f]{64}"):
        verify(artefact)


def test_a_missing_file_is_named(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()
    with pytest.raises(InvalidArtefact, match=r"tokenizer\.json is missing"):
        read_artefact(folder)


def test_a_symlink_in_place_of_a_file_is_refused(folder: Path, tmp_path: Path) -> None:
    shutil.move(folder / "tokenizer.json", tmp_path / "outside.json")
    (folder / "tokenizer.json").symlink_to(tmp_path / "outside.json")
    with pytest.raises(InvalidArtefact, match="not a plain file"):
        read_artefact(folder)


def test_a_folder_without_a_manifest_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidArtefact, match=r"zerostart\.json is not a manifest that can be read"):
        read_artefact(tmp_path)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"format": 2}, "format that this version does not read"),
        ({"classes": ["negative", "positive"]}, "'negative', 'positive'"),
        ({"classes": 3}, "not a manifest"),
        ({"files": {}}, "lists no tokenizer.json"),
        ({"files": {"../../etc/passwd": "0", "tokenizer.json": "0"}}, "'../../etc/passwd' is not a plain file name"),
        ({"files": {"/etc/passwd": "0"}}, "'/etc/passwd' is not a plain file name"),
        ({"files": {"..": "0"}}, "'..' is not a plain file name"),
        ({"files": ["tokenizer.json"]}, "not a manifest"),
        ({"files": {"tokenizer.json": 3}}, "not a manifest"),
        ({"classes": [0, 1, 2]}, "not a manifest"),
        ({"pad_token_id": "x"}, "not a manifest"),
        ({"model_id": 7}, "not a manifest"),
        ({"model_id": "../up"}, "'../up' is not of the form"),
        ({"max_tokens": 3}, "max_tokens is 3"),
        ({"max_tokens": "many"}, "not a manifest"),
        ({"surplus": 1}, "not a manifest"),
        ({"extends": {"model_id": "../up", "sha256": "0"}}, "extends '../up', which is no built-in model"),
        ({"extends": {"model_id": "unknown", "sha256": "0"}}, "goes on from 'unknown'"),
        ({"extends": {"path": "/etc"}}, "not a manifest"),
        ({"extends": "zerostart-embed-base"}, "not a manifest"),
    ],
)
def test_a_wrong_manifest_is_refused(folder: Path, values: dict[str, Any], message: str) -> None:
    edit_manifest(folder, **values)
    with pytest.raises(InvalidArtefact) as caught:
        read_artefact(folder)
    assert message in caught.value.message


@pytest.mark.parametrize("content", [b"", b"[]", b"null", b"{", b"\xff", b"{}", b'{"format": 1}'])
def test_a_manifest_that_is_none_is_refused(folder: Path, content: bytes) -> None:
    (folder / "zerostart.json").write_bytes(content)
    with pytest.raises(InvalidArtefact, match="not a manifest"):
        read_artefact(folder)


def test_a_manifest_lists_every_file_with_its_checksum(folder: Path) -> None:
    files = json.loads((folder / "zerostart.json").read_text())["files"]
    assert list(files) == ["tokenizer.json"]
    assert len(files["tokenizer.json"]) == 64
