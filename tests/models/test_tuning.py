"""What was measured of a model decides how it is run, on the machine and for the weights that it was measured on."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.tiny_models import copy_artefact
from zerostart.bootstrap.classifier import build_classifier
from zerostart.bootstrap.tuning import Samples, measure, own_samples, samples_of
from zerostart.errors import InvalidInput
from zerostart.models.artefact import Artefact
from zerostart.models.local_artefacts import BUILTIN_MODEL_ID, LocalArtefacts
from zerostart.models.tuning import Measurement, read_tuning, tuning_path, write_tuning
from zerostart.settings import Settings

SLOW = Measurement("openvino", "fp32", 100, 1.0, 0, 0)
FAITHFUL = Measurement("onnxruntime", "fp32", 150, 1.0, 1e-5, 1e-6)
FASTEST = Measurement("openvino", "int8", 300, 0.985, 0.2, 0.01)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path, threads=2)


@pytest.fixture
def artefact(settings: Settings) -> Artefact:
    return LocalArtefacts(settings.models_folder).find(BUILTIN_MODEL_ID)


def engine_of(settings: Settings) -> tuple[str, str]:
    classifier = build_classifier(settings, BUILTIN_MODEL_ID)
    engine = classifier.batcher._engine
    classifier.close()
    return engine.name, engine.precision


def test_the_fastest_that_is_faithful_is_used_where_nothing_else_is_asked_for(
    settings: Settings, artefact: Artefact
) -> None:
    write_tuning(settings.tuning_folder, artefact, 400, [SLOW, FAITHFUL, FASTEST])
    assert engine_of(settings) == ("onnxruntime", "fp32")
    assert engine_of(settings.with_values(engine="openvino")) == ("openvino", "fp32")
    assert engine_of(settings.with_values(precision="int8")) == ("openvino", "int8"), "asked for, faithful or not"
    write_tuning(settings.tuning_folder, artefact, 400, [replace(FASTEST, agreement=0.99)])
    assert engine_of(settings) == ("openvino", "int8")


def test_without_measurements_the_default_engine_is_used(settings: Settings) -> None:
    assert engine_of(settings)[0] == "openvino"


@pytest.mark.parametrize("spoilt", ["machine", "artefact", "json", "member"])
def test_measurements_of_another_machine_or_of_other_weights_do_not_count(
    settings: Settings, artefact: Artefact, spoilt: str
) -> None:
    write_tuning(settings.tuning_folder, artefact, 400, [FAITHFUL])
    path = tuning_path(settings.tuning_folder, artefact)
    document = json.loads(path.read_text())
    if spoilt == "json":
        path.write_text(path.read_text()[:50])
    else:
        path.write_text(json.dumps(document | {spoilt: "another"}))
    assert read_tuning(settings.tuning_folder, artefact) is None
    assert engine_of(settings)[0] == "openvino"


def test_other_weights_under_the_same_name_are_measured_anew(settings: Settings, artefact: Artefact) -> None:
    write_tuning(settings.tuning_folder, artefact, 400, [FAITHFUL])
    copy_artefact(artefact.folder, settings.models_folder / BUILTIN_MODEL_ID, revision="2")
    assert read_tuning(settings.tuning_folder, LocalArtefacts(settings.models_folder).find(BUILTIN_MODEL_ID)) is None


@pytest.mark.slow
def test_each_candidate_is_compared_with_fp32_and_kept(settings: Settings, artefact: Artefact) -> None:
    samples = Samples(own_samples().texts[:12], {"topic": own_samples().labels["topic"]})
    told: list[str] = []
    chosen = [("openvino", "int8"), ("onnxruntime", "fp32"), ("openvino", "fp8")]
    tuning = measure(settings, BUILTIN_MODEL_ID, chosen, samples, told.append)
    assert read_tuning(settings.tuning_folder, artefact) == tuning
    found = {(each.engine, each.precision): each for each in tuning.measurements}
    assert set(found) == {("openvino", "fp32"), ("openvino", "int8"), ("onnxruntime", "fp32")}
    assert all(each.pairs_per_s > 0 for each in tuning.measurements)
    assert found["openvino", "fp32"].max_score_difference == 0
    assert 0 < found["onnxruntime", "fp32"].max_score_difference < 1e-3
    assert found["onnxruntime", "fp32"].agreement == 1
    assert 0.001 < found["openvino", "int8"].max_score_difference < 0.9
    assert any("fp8 is left out" in each for each in told)


def test_texts_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "texts.txt"
    path.write_text("one\n\n two \n")
    samples = samples_of(path, "a,b")
    assert samples.texts == ("one", "two")
    assert [request.pairs for request in samples.requests()] == [2, 2]
    path.write_text("\n")
    with pytest.raises(InvalidInput, match="holds no text"):
        samples_of(path, "a,b")
