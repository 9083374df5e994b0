import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, get_args

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from safetensors.numpy import load_file, save_file

from tests.models.conftest import edit_config
from tests.models.test_making import visible
from tests.processes import wait_for
from tests.tiny_models import LABELS, SENTENCES, build_source, weightless_artefact
from zerostart.bootstrap.classifier import build_classifier
from zerostart.errors import InvalidArtefact, InvalidInput
from zerostart.models.artefact import sha256_of, verify
from zerostart.models.conversion import TOLERANCES, convert
from zerostart.models.model_file import WeightType
from zerostart.nli.classification import ClassificationRequest
from zerostart.nli.labels import labels_per_text
from zerostart.pipelines import ZeroShotClassificationPipeline
from zerostart.settings import Settings


def scores(home: Path, engine: str = "openvino") -> list[float]:
    """What the model `tiny` in `home` says, text by text, in the order of the labels."""
    settings = Settings(home=home, engine=engine, precision="fp32", threads=1)
    with ZeroShotClassificationPipeline(build_classifier(settings, "tiny")) as classify:
        answers: Any = classify(list(SENTENCES), LABELS)
    return [answer["scores"][answer["labels"].index(label)] for answer in answers for label in LABELS]


def edit_onnx(path: Path, edit: Any) -> None:
    model = onnx.load(path)
    edit(model)
    path.write_bytes(model.SerializeToString())


def shift(model: Any) -> None:
    """Add 1 to one of the logits."""
    for node in model.graph.node:
        node.output[:] = ["before" if name == "logits" else name for name in node.output]
    model.graph.initializer.append(helper.make_tensor("shift", TensorProto.FLOAT, [3], [0.0, 0.0, 1.0]))
    model.graph.node.append(helper.make_node("Add", ["before", "shift"], ["logits"]))


def rename_output(model: Any) -> None:
    """Name it as another exporter does."""
    for node in model.graph.node:
        node.output[:] = ["output_0" if name == "logits" else name for name in node.output]
    model.graph.output[0].name = "output_0"


def own_operator(model: Any) -> None:
    model.graph.node[0].domain = "com.microsoft"


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
    assert sorted(path.name for path in existing.folder.iterdir()) == ["tokenizer.json", "zerostart.json"]


def test_an_id_that_is_a_path_is_refused(source: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="NAME or OWNER/NAME"):
        convert(source, tmp_path / "models", "../tiny")


def test_weights_without_a_head_are_refused_and_leave_nothing(source: Path, tmp_path: Path) -> None:
    weights = load_file(source / "model.safetensors")
    del weights["classifier.weight"], weights["classifier.bias"]
    save_file(weights, source / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(InvalidArtefact, match=r"lack classifier\.bias, classifier\.weight: .* at random"):
        convert(source, tmp_path / "models", "tiny")
    assert visible(tmp_path / "models") == []


def test_an_unknown_architecture_is_refused(source: Path, tmp_path: Path) -> None:
    edit_config(source, model_type="gliclass")
    with pytest.raises(InvalidArtefact, match=r"cannot load .* of architecture 'gliclass'"):
        convert(source, tmp_path / "models", "tiny")


def test_weights_of_another_shape_are_refused(source: Path, tmp_path: Path) -> None:
    edit_config(source, hidden_size=64)
    with pytest.raises(InvalidArtefact, match="transformers cannot load"):
        convert(source, tmp_path / "models", "tiny")


def test_a_model_stored_in_half_precision_keeps_its_answers(source: Path, tmp_path: Path) -> None:
    (source / "README.md").write_text("# Tiny")
    report = convert(source, tmp_path / "models", "acme/tiny", revision="r1", licence="MIT", languages=("en",))
    manifest = report.artefact.manifest
    assert (manifest.model_id, manifest.revision, manifest.licence) == ("acme/tiny", "r1", "MIT")
    assert manifest.max_tokens == 64
    assert report.max_probability_difference is not None
    assert 0 < report.max_probability_difference < 1e-3
    assert manifest.max_probability_difference == report.max_probability_difference
    assert report.origin == "exported from safetensors"
    assert sorted(manifest.files) == ["README.md", "model.onnx", "tokenizer.json"]
    assert visible(tmp_path / "models") == ["acme--tiny"]
    read = ["README.md", "config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"]
    assert manifest.sources == {name: sha256_of(source / name) for name in read}


def test_a_conversion_that_changes_too_much_is_refused_with_the_difference(tmp_path: Path) -> None:
    wild = build_source(tmp_path / "wild", "bert", spread=2.0)  # which is another model in half precision
    with pytest.raises(InvalidArtefact, match=r"differs from the original by 0\.\d+ in probability, and 0\.001 is"):
        convert(wild, tmp_path / "models", "tiny")
    assert visible(tmp_path / "models") == []


def test_sharded_weights_are_one_model(source: Path, tmp_path: Path) -> None:
    import transformers

    convert(source, tmp_path / "models", "tiny")
    sharded = tmp_path / "sharded"
    shutil.copytree(source, sharded)
    (sharded / "model.safetensors").unlink()
    model = transformers.AutoModelForSequenceClassification.from_pretrained(source)
    model.save_pretrained(sharded, max_shard_size="40KB")
    shards = sorted(path.name for path in sharded.glob("model-*.safetensors"))
    assert len(shards) > 1
    report = convert(sharded, tmp_path / "other" / "models", "tiny")
    assert set(shards) < set(report.artefact.manifest.sources)
    assert scores(tmp_path / "other") == scores(tmp_path)


@pytest.mark.parametrize("weights", ["int8", "int4"])
def test_weights_stored_as_integers_are_small_and_nearly_the_same_model(tmp_path: Path, weights: WeightType) -> None:
    wide = build_source(tmp_path / "wide", "bert", spread=0.05, hidden_size=128, intermediate_size=512)
    half = convert(wide, tmp_path / "half" / "models", "tiny")
    report = convert(wide, tmp_path / "models", "tiny", weights=weights)
    assert report.max_probability_difference is not None
    assert 1e-5 < report.max_probability_difference < TOLERANCES[weights]
    model, half_model = (each.artefact.folder / "model.onnx" for each in (report, half))
    assert model.stat().st_size < half_model.stat().st_size * (0.75 if weights == "int8" else 0.6)
    answers = scores(tmp_path)
    np.testing.assert_allclose(answers, scores(tmp_path / "half"), atol=TOLERANCES[weights])
    np.testing.assert_allclose(answers, scores(tmp_path, "onnxruntime"), atol=1e-4)


@pytest.mark.parametrize("weights", get_args(WeightType))
def test_weights_over_the_limit_are_in_a_file_of_their_own(source: Path, tmp_path: Path, weights: WeightType) -> None:
    convert(source, tmp_path / "one" / "models", "tiny", weights=weights)
    report = convert(source, tmp_path / "two" / "models", "tiny", weights=weights, largest_file_bytes=10_000)
    assert sorted(report.artefact.manifest.files) == ["model.onnx", "model.onnx_data", "tokenizer.json"]
    verify(report.artefact)
    for engine in ("openvino", "onnxruntime"):
        np.testing.assert_allclose(scores(tmp_path / "two", engine), scores(tmp_path / "one", engine), atol=1e-6)


def test_the_folders_onnx_file_is_taken_where_it_computes_the_same(
    source: Path, exported: Path, tmp_path: Path
) -> None:
    (source / "onnx").mkdir()
    shutil.copyfile(exported, source / "onnx" / "model.onnx")
    edit_onnx(source / "onnx" / "model.onnx", rename_output)
    report = convert(source, tmp_path / "models", "tiny", weights="fp32")
    assert report.origin == "model.onnx of the folder"
    assert report.max_probability_difference is not None
    assert report.max_probability_difference < 1e-5
    assert {"onnx/model.onnx", "model.safetensors"} < set(report.artefact.manifest.sources)


@pytest.mark.parametrize(
    ("edit", "why"), [(shift, "differs from the original by 0"), (own_operator, "has the operator com.microsoft")]
)
def test_the_safetensors_are_exported_where_the_onnx_file_is_wrong(
    source: Path, exported: Path, tmp_path: Path, edit: Any, why: str
) -> None:
    shutil.copyfile(exported, source / "model.onnx")
    edit_onnx(source / "model.onnx", edit)
    report = convert(source, tmp_path / "models", "tiny")
    assert report.origin.startswith("exported from safetensors; model.onnx of the folder was not taken: ")
    assert why in report.origin
    assert "model.onnx" not in report.artefact.manifest.sources
    convert(source, tmp_path / "plain" / "models", "tiny")
    assert scores(tmp_path) == scores(tmp_path / "plain")


def test_an_onnx_file_alone_is_taken_and_said_not_to_be_compared(
    onnx_source: Path, built: Path, tmp_path: Path
) -> None:
    report = convert(onnx_source, tmp_path / "models", "tiny")
    assert report.max_probability_difference is None
    assert report.artefact.manifest.max_probability_difference is None
    assert report.origin == "model.onnx of the folder, not compared with the original"
    convert(built, tmp_path / "original" / "models", "tiny", weights="fp32")
    np.testing.assert_allclose(scores(tmp_path), scores(tmp_path / "original"), atol=1e-6)


def test_an_onnx_file_alone_that_is_wrong_is_refused(onnx_source: Path, tmp_path: Path) -> None:
    edit_onnx(onnx_source / "onnx" / "model.onnx", own_operator)
    with pytest.raises(InvalidArtefact, match=r"has the operator com\.microsoft"):
        convert(onnx_source, tmp_path / "models", "tiny")
    assert visible(tmp_path / "models") == []


def test_an_onnx_file_that_does_not_run_is_refused(onnx_source: Path, tmp_path: Path) -> None:
    edit_onnx(onnx_source / "onnx" / "model.onnx", lambda model: model.graph.node.remove(model.graph.node[5]))
    with pytest.raises(InvalidArtefact, match="The engine cannot run the model"):
        convert(onnx_source, tmp_path / "models", "tiny")


WITHOUT_TORCH = """
import sys
sys.modules.update(dict.fromkeys(("torch", "transformers", "safetensors")))
from pathlib import Path
from zerostart.models.conversion import TOLERANCES, convert
from zerostart.models.model_file import WeightType
print(convert(Path(sys.argv[1]), Path(sys.argv[2]), "tiny").origin)
"""


def run_without_torch(source: Path, models: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", WITHOUT_TORCH, str(source), str(models)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_a_folder_with_an_onnx_file_needs_no_torch(onnx_source: Path, built: Path, tmp_path: Path) -> None:
    ended = run_without_torch(onnx_source, tmp_path / "models")
    assert ended.stdout == "model.onnx of the folder, not compared with the original\n", ended.stderr
    shutil.copyfile(built / "model.safetensors", onnx_source / "model.safetensors")
    assert run_without_torch(onnx_source, tmp_path / "both").returncode == 0
    assert len(scores(tmp_path)) == len(SENTENCES) * len(LABELS)


def test_a_folder_without_an_onnx_file_names_the_extra(source: Path, tmp_path: Path) -> None:
    ended = run_without_torch(source, tmp_path / "models")
    assert "pip install 'zerostart[convert]'" in ended.stderr
    assert visible(tmp_path / "models") == []


def test_a_killed_import_leaves_nothing_registered_and_the_next_one_clears_up(source: Path, tmp_path: Path) -> None:
    models = tmp_path / "models"
    code = (
        "import sys; from pathlib import Path; from zerostart.models.conversion import convert\n"
        "convert(Path(sys.argv[1]), Path(sys.argv[2]), 'killed')"
    )
    killed = subprocess.Popen([sys.executable, "-c", code, str(source), str(models)])
    wait_for(lambda: list(models.glob(".adding-*/killed/tokenizer.json")), every_s=0.001)
    killed.send_signal(signal.SIGKILL)
    assert killed.wait() == -signal.SIGKILL
    assert [name for name in visible(models) if not name.startswith(".adding-")] == []
    convert(source, models, "tiny")
    assert visible(models) == ["tiny"]


@pytest.mark.slow
def test_the_original_weights_are_kept_for_the_engine_torch_where_that_is_asked_for(
    source: Path, tmp_path: Path
) -> None:
    settings = Settings(home=tmp_path, threads=1, precision="fp32")
    report = convert(source, settings.models_folder, "acme/tiny", keep_weights=True)
    assert {"config.json", "model.safetensors"} <= set(report.artefact.manifest.files)
    request = ClassificationRequest(("the travel plan",), labels_per_text(["dog", "travel", "cook"], 1))
    answers = []
    for engine in ("openvino", "torch"):
        classifier = build_classifier(settings.with_values(engine=engine), "acme/tiny")
        answers.append(classifier.classify(request)[0])
        classifier.close()
    assert answers[0].labels == answers[1].labels
    assert answers[0].scores == pytest.approx(answers[1].scores, abs=1e-3)
