import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

import zerostart
from tests.tiny_models import LABELS, SENTENCES
from zerostart.errors import InvalidInput, InvalidSettings, UnknownModel
from zerostart.pipelines import ZeroShotClassificationPipeline


@pytest.fixture(scope="module")
def classify() -> Iterator[ZeroShotClassificationPipeline]:
    with zerostart.pipeline("zero-shot-classification", threads=2, precision="fp32") as loaded:
        yield loaded


def test_one_text_gives_one_result(classify: ZeroShotClassificationPipeline) -> None:
    result = classify(SENTENCES[0], candidate_labels=LABELS)
    assert list(result) == ["sequence", "labels", "scores"]
    assert result["sequence"] == SENTENCES[0]
    assert sorted(result["labels"]) == sorted(LABELS)
    assert result["labels"][0] == "travel"
    assert result["scores"] == sorted(result["scores"], reverse=True)
    assert sum(result["scores"]) == pytest.approx(1)
    assert all(type(score) is float for score in result["scores"])


def test_a_list_gives_a_list_even_of_one(classify: ZeroShotClassificationPipeline) -> None:
    (result,) = classify([SENTENCES[0]], LABELS)
    assert result["scores"] == pytest.approx(classify(SENTENCES[0], LABELS)["scores"], abs=1e-4)


def test_many_texts_are_answered_in_order(classify: ZeroShotClassificationPipeline) -> None:
    texts = [f"{i} apples" for i in range(300)]
    assert [result["sequence"] for result in classify(texts, ["food", "sport", "law", "art"])] == texts


def test_options_of_the_call(classify: ZeroShotClassificationPipeline) -> None:
    multi = classify(SENTENCES[1], "travel, cooking", multi_label=True)
    assert sum(multi["scores"]) != pytest.approx(1, abs=1e-3)
    other = classify(SENTENCES[1], "travel, cooking", multi_label=True, hypothesis_template="It is about {}.")
    assert other["scores"] != multi["scores"]
    described = classify(SENTENCES[1], {"x": "cooking", "y": "travel"})
    assert described["labels"] == ["x", "y"]


def test_a_long_text_reports_how_it_was_read(classify: ZeroShotClassificationPipeline) -> None:
    result = classify("the world " * 600, ["travel"], long_text="windows")
    assert result["long_text"]["mode"] == "windows"
    assert result["long_text"]["windows"] > 1


@pytest.mark.parametrize(
    ("sequences", "options", "part"),
    [
        ([], {}, "'sequences' is an empty list"),
        (" ", {}, "'sequences' is ' '"),
        (["x", 3], {}, "'sequences[1]' is the number 3"),
        ("x", {"candidate_labels": []}, "'candidate_labels' is empty"),
        ("x", {"multi_label": "yes"}, "'multi_label' is the string 'yes'"),
        ("x", {"hypothesis_template": "none"}, "exactly once"),
        ("x", {"hypothesis_template": None}, "'hypothesis_template' is null"),
        ("x", {"long_text": "drop"}, "'long_text' is the string 'drop'"),
    ],
)
def test_wrong_arguments_are_refused(
    classify: ZeroShotClassificationPipeline, sequences: Any, options: dict[str, Any], part: str
) -> None:
    with pytest.raises(InvalidInput) as caught:
        classify(sequences, **({"candidate_labels": LABELS} | options))
    assert part in caught.value.message


def test_another_task_or_model_or_setting_is_refused() -> None:
    with pytest.raises(InvalidInput, match="Task 'summarization' is not known"):
        zerostart.pipeline("summarization")
    with pytest.raises(UnknownModel, match="'nothing' is not on this machine"):
        zerostart.pipeline(model="nothing")
    with pytest.raises(InvalidSettings, match="'quantum' is not known"):
        zerostart.pipeline(engine="quantum")


def test_a_misspelt_setting_is_refused_by_name() -> None:
    with pytest.raises(InvalidSettings, match="thread"):
        zerostart.pipeline(engine="fake", thread=2)


def loaded_modules(code: str) -> set[str]:
    code += "; import sys; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(run.stdout.split())


def test_importing_zerostart_imports_no_engine() -> None:
    heavy = {"numpy", "openvino", "onnxruntime", "tokenizers", "torch", "transformers", "starlette", "boto3"}
    assert not loaded_modules("import zerostart") & heavy


def test_classifying_imports_no_torch_and_no_server() -> None:
    code = "import zerostart; zerostart.pipeline()('a text', 'a,b')"
    modules = loaded_modules(code)
    assert "openvino" in modules
    assert not modules & {"torch", "transformers", "onnx", "onnxruntime", "uvicorn", "sqlalchemy", "boto3"}


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="'pipelines_'"):
        _ = zerostart.pipelines_


def test_int8_is_close_to_fp32(classify: ZeroShotClassificationPipeline) -> None:
    exact = classify(list(SENTENCES), LABELS)
    with zerostart.pipeline(threads=2, precision="int8") as rounding:
        rounded = rounding(list(SENTENCES), LABELS)
    assert rounded != exact, "int8 computed in fp32"
    for one, other in zip(rounded, exact, strict=True):
        assert one["labels"][0] == other["labels"][0]
        difference = dict(zip(other["labels"], other["scores"], strict=True))
        assert all(abs(s - difference[label]) < 0.06 for label, s in zip(one["labels"], one["scores"], strict=True))
