import json
from pathlib import Path

import pytest

from tests.tiny_models import build_source, weightless_artefact
from zerostart.errors import InvalidArtefact, InvalidInput
from zerostart.models.conversion import convert


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_source(tmp_path_factory.mktemp("source") / "bert", "bert", spread=0.1)


@pytest.fixture
def source(built: Path, tmp_path: Path) -> Path:
    """A copy that a test may spoil."""
    folder = tmp_path / "source"
    folder.mkdir()
    for path in built.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    return folder


def edit_config(source: Path, **values: object) -> None:
    path = source / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def test_pickled_weights_are_refused_unread(source: Path, tmp_path: Path) -> None:
    (source / "model.safetensors").rename(source / "pytorch_model.bin")
    with pytest.raises(InvalidArtefact, match=r"no \*\.safetensors: pickled weights"):
        convert(source, tmp_path / "models", "tiny")


def test_a_model_with_code_of_its_own_is_refused(source: Path, tmp_path: Path) -> None:
    (source / "modeling.py").write_text("raise SystemExit('this code ran')")
    edit_config(source, auto_map={"AutoModelForSequenceClassification": "modeling.Model"})
    with pytest.raises(InvalidArtefact, match=r"auto_map in config\.json"):
        convert(source, tmp_path / "models", "tiny")


def test_a_model_that_is_not_nli_is_refused_with_its_classes(source: Path, tmp_path: Path) -> None:
    edit_config(source, id2label={"0": "joy", "1": "anger", "2": "fear"})
    with pytest.raises(InvalidArtefact, match="'joy', 'anger', 'fear'"):
        convert(source, tmp_path / "models", "tiny")


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json"])
def test_a_missing_file_is_named(source: Path, tmp_path: Path, name: str) -> None:
    (source / name).unlink()
    with pytest.raises(InvalidArtefact, match=f"{name} is missing"):
        convert(source, tmp_path / "models", "tiny")


def test_an_id_that_is_taken_is_refused_and_left_as_it_was(source: Path, tmp_path: Path) -> None:
    existing = weightless_artefact(tmp_path / "models" / "tiny")
    with pytest.raises(InvalidArtefact, match="exists: remove it first"):
        convert(source, tmp_path / "models", "tiny")
    assert [path.name for path in existing.folder.iterdir()] == ["tokenizer.json", "zerostart.json"]


def test_an_id_that_is_a_path_is_refused(source: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="NAME or OWNER/NAME"):
        convert(source, tmp_path / "models", "../tiny")


def test_a_conversion_that_fails_half_way_leaves_nothing(source: Path, tmp_path: Path) -> None:
    (source / "model.safetensors").write_bytes((source / "model.safetensors").read_bytes()[:1000])
    with pytest.raises(Exception, match=r"(?i)header|safetensor"):
        convert(source, tmp_path / "models", "tiny")
    assert list((tmp_path / "models").iterdir()) == []


@pytest.mark.slow
def test_a_model_stored_in_half_precision_keeps_its_answers(source: Path, tmp_path: Path) -> None:
    report = convert(source, tmp_path / "models", "acme/tiny", revision="r1", licence="MIT", languages=("en",))
    manifest = report.artefact.manifest
    assert (manifest.model_id, manifest.revision, manifest.licence) == ("acme/tiny", "r1", "MIT")
    assert manifest.max_tokens == 64
    assert 0 <= report.max_probability_difference < 1e-3
    assert sorted(manifest.files) == ["model.onnx", "tokenizer.json"]
    assert [path.name for path in (tmp_path / "models").iterdir()] == ["acme--tiny"]
