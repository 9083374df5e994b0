"""sentence-transformers folders become embedding models that embed as torch does, whatever is in the batch."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.tiny_models import POOLING_KEYS, build_sentence_source, sentence_modules
from zerostart.bootstrap.classifier import build_classifier, build_scorer
from zerostart.engines.base import EngineOptions
from zerostart.engines.registry import load_engine
from zerostart.errors import InvalidArtefact
from zerostart.models.artefact import read_artefact
from zerostart.models.conversion import convert
from zerostart.nli.classification import ClassificationRequest
from zerostart.nli.labels import labels_per_text
from zerostart.nli.template import HypothesisTemplate
from zerostart.serving.tokenizer import EncodedPair
from zerostart.settings import Settings

TEXTS = ["dog", "the travel plan", "cook the meal and then the book " * 12]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random BERT without a head, as sentence-transformers saves one that pools by the mean."""
    return build_sentence_source(tmp_path_factory.mktemp("source") / "sentences")


@pytest.fixture
def source(built: Path, tmp_path: Path) -> Path:
    """A copy that a test may spoil."""
    shutil.copytree(built, tmp_path / "source")
    return tmp_path / "source"


def pooled(source: Path, ids: list[int], pooling: str) -> Any:
    """One text's embedding by transformers, without padding."""
    import torch
    import transformers

    model = transformers.BertModel.from_pretrained(source).eval()
    with torch.inference_mode():
        states = model(input_ids=torch.tensor([ids])).last_hidden_state[0]
    vector = {"mean": states.mean(dim=0), "cls": states[0], "max": states.max(dim=0).values}[pooling]
    return (vector / vector.norm()).numpy()


@pytest.mark.slow
@pytest.mark.parametrize("pooling", POOLING_KEYS)
def test_embeddings_are_those_of_torch_in_a_batch_of_all_lengths(source: Path, tmp_path: Path, pooling: str) -> None:
    config = {key: name == pooling for name, key in POOLING_KEYS.items()}
    (source / "1_Pooling" / "config.json").write_text(json.dumps(config))
    report = convert(source, tmp_path / "models", "acme/sentences", weights="fp32")
    assert report.max_probability_difference is not None
    assert report.max_probability_difference < 1e-4
    artefact = read_artefact(tmp_path / "models" / "acme--sentences")
    manifest = artefact.manifest
    assert (manifest.kind, manifest.dimension, manifest.classes, manifest.max_tokens) == ("embedding", 32, (), 40)
    assert {"modules.json", "1_Pooling/config.json"} <= set(manifest.sources)
    scorer = build_scorer(artefact)
    budget = scorer.tokenizer.premise_budget(np.empty(0, dtype=np.int64), "")
    pairs = [EncodedPair(scorer.tokenizer.premise(text)[:budget], np.empty(0, dtype=np.int64)) for text in TEXTS]
    batch = scorer.tokenizer.batch(pairs)
    assert batch.input_ids.shape[1] == 40, "the longest is cut"
    for name in ("openvino", "onnxruntime"):
        engine = load_engine(name, artefact.folder, 32, EngineOptions(threads=1, precision="fp32"))
        found = engine.logits(batch)
        engine.close()
        for row, ids, mask in zip(found, batch.input_ids, batch.attention_mask, strict=True):
            assert np.abs(row - pooled(source, ids[mask == 1].tolist(), pooling)).max() < 1e-4


def test_an_embedding_model_classifies(built: Path, tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, threads=1)
    convert(built, settings.models_folder, "acme/sentences")
    classifier = build_classifier(settings, "acme/sentences")
    labels = labels_per_text(["dog", "the travel plan"], 1)
    request = ClassificationRequest(("the travel plan",), labels, HypothesisTemplate("{}"))
    [answer] = classifier.classify(request)
    classifier.close()
    assert answer.labels[0] == "the travel plan"


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("modules.json", sentence_modules("Transformer", "Pooling", "Dense"), "Transformer, Pooling, Dense"),
        ("modules.json", sentence_modules("CLIPModel"), "modules CLIPModel"),
        ("modules.json", {"a": 1}, r"modules \(none\)"),
        ("1_Pooling/config.json", {"pooling_mode_weightedmean_tokens": True}, "pooling_mode_weightedmean_tokens"),
        ("1_Pooling/config.json", dict.fromkeys(POOLING_KEYS.values(), True), "one of mean, cls, max can be done"),
    ],
)
def test_what_cannot_be_pooled_is_refused(source: Path, tmp_path: Path, name: str, content: Any, words: str) -> None:
    (source / name).write_text(json.dumps(content))
    with pytest.raises(InvalidArtefact, match=words):
        convert(source, tmp_path / "models", "acme/sentences")


def test_links_and_missing_parts_of_the_folder_are_refused(source: Path, tmp_path: Path) -> None:
    pooling = source / "1_Pooling" / "config.json"
    pooling.rename(tmp_path / "elsewhere.json")
    with pytest.raises(InvalidArtefact, match="says how the model pools"):
        convert(source, tmp_path / "models", "acme/sentences")
    pooling.symlink_to(tmp_path / "elsewhere.json")
    with pytest.raises(InvalidArtefact, match="symbolic link"):
        convert(source, tmp_path / "models", "acme/sentences")
    pooling.unlink()
    (tmp_path / "elsewhere.json").rename(pooling)
    (source / "model.safetensors").unlink()
    with pytest.raises(InvalidArtefact, match="safetensors"):
        convert(source, tmp_path / "models", "acme/sentences")
