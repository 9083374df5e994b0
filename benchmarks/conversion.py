"""Models of real size with random weights: what it takes to convert, to load and to serve them."""

import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.processes import ServerProcess, children_of, wait_for
from tests.tiny_models import THREE_CLASSES, byte_level_tokenizer, unigram_tokenizer

from benchmarks.footprint import peak_mb
from zerostart.engines.base import EngineOptions
from zerostart.engines.registry import load_engine
from zerostart.models.conversion import convert

_CLASSES = {"id2label": dict(enumerate(THREE_CLASSES)), "label2id": {name: i for i, name in enumerate(THREE_CLASSES)}}
# What the DeBERTa-v3 models have in common.
DEBERTA_V3: dict[str, Any] = {
    "max_position_embeddings": 512,
    "type_vocab_size": 0,
    "relative_attention": True,
    "position_buckets": 256,
    "norm_rel_ebd": "layer_norm",
    "share_att_key": True,
    "pos_att_type": ["p2c", "c2p"],
    "position_biased_input": False,
}
MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "bart-large": ("BartConfig", {}),  # its defaults
    "deberta-v3-large": (
        "DebertaV2Config",
        DEBERTA_V3
        | {
            "hidden_size": 1024,
            "num_hidden_layers": 24,
            "num_attention_heads": 16,
            "intermediate_size": 4096,
            "vocab_size": 128100,
        },
    ),
}


def real_size() -> dict[str, Any]:
    """Seconds and peak memory of each step, each in a process of its own, for bart-large and DeBERTa-v3-large."""
    return {name: _of_model(name) for name in MODELS}


def _of_model(name: str) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        steps = {step: _in_a_child(step, name, Path(folder)) for step in STEPS}
        steps["deploy"] = _deploy(name, Path(folder) / "home")
    return steps


def _in_a_child(step: str, name: str, folder: Path) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.conversion", step, name, str(folder)]
    ended = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    found: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
    return found


def _save(name: str, folder: Path) -> dict[str, Any]:
    import torch
    import transformers

    config_class, values = MODELS[name]
    config = getattr(transformers, config_class)(**values, **_CLASSES)
    torch.manual_seed(0)
    model = transformers.AutoModelForSequenceClassification.from_config(config)
    model.save_pretrained(folder / "source")
    tokenizer = byte_level_tokenizer() if name == "bart-large" else unigram_tokenizer()
    tokenizer.save(str(folder / "source" / "tokenizer.json"))
    return {"parameters": sum(each.numel() for each in model.parameters())}


def _convert(name: str, folder: Path) -> dict[str, Any]:
    report = convert(folder / "source", folder / "home" / "models", name)
    return {
        "difference": report.max_probability_difference,
        "artefact_mb": round(report.artefact.size_bytes / 1e6),
        "weights_fp32_mb": round((folder / "source" / "model.safetensors").stat().st_size / 1e6),
    }


def _load(name: str, folder: Path) -> dict[str, Any]:
    engine = load_engine("openvino", folder / "home" / "models" / name, 3, EngineOptions())
    return {"precision": engine.precision}


STEPS: dict[str, Callable[[str, Path], dict[str, Any]]] = {"save": _save, "convert": _convert, "load": _load}


def _deploy(name: str, home: Path) -> dict[str, Any]:
    """Through the API: deployed, invoked, and the instance's memory after it."""
    with ServerProcess(home) as server:
        started_s = time.perf_counter()
        server.create_config(name, model_id=name)
        server.sagemaker().create_endpoint(EndpointName=name, EndpointConfigName=name)
        wait_for(lambda: server.ready_instances(name), timeout_s=300, every_s=0.2)
        ready_s = time.perf_counter() - started_s
        started_s = time.perf_counter()
        answer = server.invoke(
            name, {"inputs": "One day I will see the world", "candidate_labels": ["travel", "sport"]}
        )
        assert sorted(answer["labels"]) == ["sport", "travel"], answer
        return {
            "ready_s": round(ready_s, 1),
            "invocation_s": round(time.perf_counter() - started_s, 2),
            "peak_mb": max(peak_mb(pid) for pid in children_of(server.pid)),
        }


def _main(step: str, name: str, folder: str) -> None:
    """One step in this process, printed as JSON with its time and peak memory."""
    started_s = time.perf_counter()
    found = STEPS[step](name, Path(folder))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(json.dumps({"seconds": round(time.perf_counter() - started_s, 1), "peak_mb": peak, **found}))


if __name__ == "__main__":
    _main(*sys.argv[1:])
