"""Our scores are those of transformers' zero-shot-classification pipeline, wherever that pipeline is right."""

from typing import Any

import numpy as np
import pytest

from tests.parity.conftest import Zoo
from tests.tiny_models import ARCHITECTURES, LABELS, MAX_TOKENS, SENTENCES

pytestmark = pytest.mark.slow  # each model is converted first

ENGINES = ("openvino", "onnxruntime")
LONG = " ".join(SENTENCES * 3)
CALLS: dict[str, tuple[Any, dict[str, Any]]] = {
    "single-label": (SENTENCES[0], {"candidate_labels": LABELS}),
    "multi-label": (SENTENCES[1], {"candidate_labels": LABELS, "multi_label": True}),
    "one label": (SENTENCES[2], {"candidate_labels": ["finance"]}),
    "comma-separated string": (SENTENCES[3], {"candidate_labels": "travel, cooking,sport , finance"}),
    "commas inside labels of a list": (SENTENCES[4], {"candidate_labels": ["travel, far", "flour, eggs", "rates"]}),
    "own template": (SENTENCES[5], {"candidate_labels": LABELS, "hypothesis_template": "It rains in the {}!"}),
    "template that is only the label": (SENTENCES[5], {"candidate_labels": LABELS, "hypothesis_template": "{}"}),
    "list of texts": (list(SENTENCES), {"candidate_labels": LABELS}),
    "list of one text": ([SENTENCES[0]], {"candidate_labels": LABELS, "multi_label": True}),
    "unknown characters": ("  Zoë naïve 日本 🎉\n\ttravel  ", {"candidate_labels": ["日本", "travel"]}),
    "premise truncated": (LONG, {"candidate_labels": ["travel", "a quarter of a point of the final minutes"]}),
    "premise truncated, multi-label": (LONG, {"candidate_labels": LABELS, "multi_label": True}),
}


def assert_equal(actual: Any, expected: Any) -> None:
    """The same result form, labels in the same order, and scores within 1e-5."""
    if isinstance(expected, list):
        assert isinstance(actual, list)
        assert len(actual) == len(expected)
        for mine, theirs in zip(actual, expected, strict=True):
            assert_equal(mine, theirs)
        return
    assert actual["sequence"] == expected["sequence"]
    assert actual["labels"] == expected["labels"]
    np.testing.assert_allclose(actual["scores"], expected["scores"], rtol=0, atol=1e-5)


@pytest.fixture(scope="module", params=list(ARCHITECTURES))
def model_id(request: pytest.FixtureRequest, zoo: Zoo) -> str:
    return zoo.ensure(request.param)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("call", CALLS)
def test_scores_equal_the_pipelines(zoo: Zoo, model_id: str, engine: str, call: str) -> None:
    texts, arguments = CALLS[call]
    actual = zoo.zerostart(model_id, engine)(texts, **arguments)
    assert_equal(actual, zoo.hugging_face(model_id)(texts, **arguments))


def test_the_conversion_compared_other_shapes_and_found_the_same(zoo: Zoo, model_id: str) -> None:
    """A pair of 5 tokens, padded pairs, and pairs as long as the model reads."""
    difference = zoo.reports[model_id].max_probability_difference
    assert difference is not None
    assert difference < 1e-5


def test_the_models_tell_texts_and_labels_apart(zoo: Zoo, model_id: str) -> None:
    """Else the comparison above would compare nothing."""
    results = zoo.zerostart(model_id)(list(SENTENCES), LABELS)
    assert np.ptp([result["scores"][0] for result in results]) > 0.01
    assert all(result["scores"][0] - result["scores"][-1] > 0.01 for result in results)


def test_the_long_text_is_longer_than_the_model(zoo: Zoo, model_id: str) -> None:
    result = zoo.zerostart(model_id)(LONG, ["travel"])
    assert result["long_text"]["dropped_tokens"] > MAX_TOKENS // 2


@pytest.mark.parametrize("kind", ["bert", "deberta-v2"])
@pytest.mark.parametrize("classes", [("entailment", "not_entailment"), ("not_entailment", "entailment")])
@pytest.mark.parametrize("multi_label", [False, True])
@pytest.mark.parametrize("engine", ENGINES)
def test_two_class_heads_in_either_order(
    zoo: Zoo, classes: tuple[str, ...], kind: str, multi_label: bool, engine: str
) -> None:
    model_id = zoo.ensure(kind, ("entailment", "not_entailment"))
    two_classes = zoo.rename(model_id, f"{kind}-two-{classes[0]}", classes)
    arguments = {"candidate_labels": LABELS, "multi_label": multi_label}
    expected = zoo.hugging_face(two_classes)(list(SENTENCES), **arguments)
    assert_equal(zoo.zerostart(two_classes, engine)(list(SENTENCES), **arguments), expected)


@pytest.mark.parametrize(
    "classes", [("CONTRADICTION", "NEUTRAL", "ENTAILMENT"), ("entailment", "neutral", "contradiction")]
)
def test_heads_with_contradiction_at_either_end(zoo: Zoo, classes: tuple[str, ...]) -> None:
    renamed = zoo.rename(zoo.ensure("bert"), f"ends-{classes[0]}", classes)
    arguments = {"candidate_labels": LABELS, "multi_label": True}
    assert_equal(
        zoo.zerostart(renamed)(SENTENCES[0], **arguments), zoo.hugging_face(renamed)(SENTENCES[0], **arguments)
    )
