"""Tiny sources that are built once, and copies of them that a test may spoil."""

import json
import shutil
from pathlib import Path

import pytest

from tests.tiny_models import build_source
from zerostart.models.conversion import convert


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_source(tmp_path_factory.mktemp("source") / "bert", "bert", spread=0.1)


@pytest.fixture
def source(built: Path, tmp_path: Path) -> Path:
    """A copy that a test may spoil."""
    shutil.copytree(built, tmp_path / "source")
    return tmp_path / "source"


@pytest.fixture(scope="session")
def exported(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The ONNX file of the same model, in fp32."""
    folder = tmp_path_factory.mktemp("exported")
    return convert(built, folder, "tiny", weights="fp32").artefact.folder / "model.onnx"


@pytest.fixture
def onnx_source(source: Path, exported: Path) -> Path:
    """A folder with an ONNX file and no safetensors."""
    (source / "model.safetensors").unlink()
    (source / "onnx").mkdir()
    shutil.copyfile(exported, source / "onnx" / "model.onnx")
    return source


def edit_config(source: Path, name: str = "config.json", **values: object) -> None:
    """Overwrite values in a JSON file of the source."""
    path = source / name
    path.write_text(json.dumps(json.loads(path.read_text()) | values))
