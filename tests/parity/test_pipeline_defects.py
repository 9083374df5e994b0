"""Where transformers' pipeline is wrong: each case shows its answer, and pins ours."""

import numpy as np
import pytest
import torch

from tests.parity.conftest import Call, Zoo
from tests.tiny_models import LABELS, SENTENCES
from zerostart.errors import InvalidArtefact, InvalidInput

pytestmark = pytest.mark.slow

TEXT = SENTENCES[0]


def class_probabilities(pipeline: Call, label: str) -> dict[str, float]:
    """What the model itself says of one pair, by class name."""
    model, tokenizer = pipeline.model, pipeline.tokenizer  # type: ignore[attr-defined]
    encoded = tokenizer(TEXT, f"This example is {label}.", return_tensors="pt")
    with torch.inference_mode():
        probabilities = model(**encoded).logits[0].softmax(-1)
    return {model.config.id2label[i]: float(value) for i, value in enumerate(probabilities)}


@pytest.mark.parametrize(
    "classes",
    [
        ("neutral", "entailment", "contradiction"),
        ("neutral", "contradiction", "entailment"),
        ("entailment", "contradiction", "neutral"),
    ],
)
def test_it_takes_neutral_for_contradiction_where_neutral_stands_at_that_end(
    zoo: Zoo, classes: tuple[str, ...]
) -> None:
    renamed = zoo.rename(zoo.ensure("bert"), "-".join(classes), classes)
    says = {label: class_probabilities(zoo.hugging_face(renamed), label) for label in LABELS}
    right = {label: p["entailment"] / (p["entailment"] + p["contradiction"]) for label, p in says.items()}
    wrong = {label: p["entailment"] / (p["entailment"] + p["neutral"]) for label, p in says.items()}
    assert max(abs(right[label] - wrong[label]) for label in LABELS) > 0.01
    theirs = zoo.hugging_face(renamed)(TEXT, LABELS, multi_label=True)
    ours = zoo.zerostart(renamed)(TEXT, LABELS, multi_label=True)
    assert dict(zip(theirs["labels"], theirs["scores"], strict=True)) == pytest.approx(wrong, abs=1e-5)
    assert dict(zip(ours["labels"], ours["scores"], strict=True)) == pytest.approx(right, abs=1e-5)


def test_it_takes_the_last_class_for_entailment_where_none_is_named_so(zoo: Zoo) -> None:
    renamed = zoo.rename(zoo.ensure("bert"), "moods", ("joy", "anger", "fear"))
    result = zoo.hugging_face(renamed)(TEXT, ["travel"])
    says = class_probabilities(zoo.hugging_face(renamed), "travel")
    assert result["scores"] == pytest.approx([says["fear"] / (says["fear"] + says["joy"])], abs=1e-5)
    with pytest.raises(InvalidArtefact, match="'joy', 'anger', 'fear'"):
        zoo.zerostart(renamed)


@pytest.mark.parametrize("multi_label", [False, True])
def test_its_exp_overflows_on_large_logits(zoo: Zoo, multi_label: bool) -> None:
    plain = zoo.ensure("bert")
    shifted = "bert-shifted"
    if not (zoo.sources / shifted).exists():
        zoo.shift_logits(plain, shifted, by=100.0)
    with np.errstate(all="ignore"):
        wrong = zoo.hugging_face(shifted)(TEXT, LABELS, multi_label=multi_label)
    assert np.isnan(wrong["scores"]).all()
    expected = zoo.zerostart(plain)(TEXT, LABELS, multi_label=multi_label)
    for engine in ("openvino", "onnxruntime"):
        actual = zoo.zerostart(shifted, engine)(TEXT, LABELS, multi_label=multi_label)
        assert actual["labels"] == expected["labels"]
        assert actual["scores"] == pytest.approx(expected["scores"], abs=1e-4)


def test_it_runs_the_template_through_str_format(zoo: Zoo) -> None:
    model = zoo.ensure("bert")
    doubled, single = "The {{quick}} fox is {}.", "The {quick} fox is {}."
    assert zoo.hugging_face(model)(TEXT, LABELS, hypothesis_template=doubled)["scores"] == pytest.approx(
        zoo.zerostart(model)(TEXT, LABELS, hypothesis_template=single)["scores"], abs=1e-5
    ), "str.format made one brace of two"
    with pytest.raises(KeyError, match="quick"):
        zoo.hugging_face(model)(TEXT, LABELS, hypothesis_template=single)
    literal = [f"The {{{{quick}}}} fox is {label}." for label in LABELS]
    assert zoo.zerostart(model)(TEXT, LABELS, hypothesis_template=doubled)["scores"] == pytest.approx(
        zoo.zerostart(model)(TEXT, dict(zip(LABELS, literal, strict=True)), hypothesis_template="{}")["scores"]
    )


def test_its_template_can_look_into_the_label(zoo: Zoo) -> None:
    model = zoo.ensure("bert")
    result = zoo.hugging_face(model)(TEXT, LABELS, hypothesis_template="This is {0.__class__}.")
    assert len(set(result["scores"])) == 1, "every hypothesis reads: This is <class 'str'>."
    with pytest.raises(InvalidInput, match="exactly once"):
        zoo.zerostart(model)(TEXT, LABELS, hypothesis_template="This is {0.__class__}.")


def test_it_puts_ties_in_reverse_order(zoo: Zoo) -> None:
    model = zoo.ensure("bert")
    same = {"hypothesis_template": "The fox is {}."}
    tied = ["日", "本", "語"]  # three unknown characters are one and the same token
    assert zoo.hugging_face(model)(TEXT, tied, **same)["labels"] == tied[::-1]
    assert zoo.zerostart(model)(TEXT, tied, **same)["labels"] == tied


def test_it_answers_a_label_twice_where_it_is_given_twice(zoo: Zoo) -> None:
    model = zoo.ensure("bert")
    assert zoo.hugging_face(model)(TEXT, ["travel", "travel"])["labels"] == ["travel", "travel"]
    with pytest.raises(InvalidInput, match="'travel' twice"):
        zoo.zerostart(model)(TEXT, ["travel", "travel"])


def test_it_feeds_the_model_more_than_it_reads_where_a_hypothesis_alone_does_not_fit(zoo: Zoo) -> None:
    model = zoo.ensure("bert")
    endless = "travel " * 100
    with pytest.raises(RuntimeError, match="size of tensor"):
        zoo.hugging_face(model)(TEXT, [endless])
    with pytest.raises(InvalidInput, match="shorten the label"):
        zoo.zerostart(model)(TEXT, [endless])
