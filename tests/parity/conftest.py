"""Tiny models and both ways to run them: Hugging Face's pipeline in torch, and Zerostart on each engine."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.tiny_models import THREE_CLASSES, build_source, copy_artefact, rename_classes
from zerostart.bootstrap.classifier import build_classifier
from zerostart.models.artefact import write_manifest
from zerostart.models.conversion import ConversionReport, convert
from zerostart.models.local_artefacts import LocalArtefacts
from zerostart.pipelines import ZeroShotClassificationPipeline
from zerostart.settings import Settings

Call = Callable[..., Any]


@dataclass
class Zoo:
    """Hugging Face folders under `sources`, and their conversions in the models folder of `home`."""

    sources: Path
    home: Path
    pipelines: dict[str, Call] = field(default_factory=dict)
    loaded: dict[tuple[str, str], ZeroShotClassificationPipeline] = field(default_factory=dict)
    reports: dict[str, ConversionReport] = field(default_factory=dict)

    @property
    def models_folder(self) -> Path:
        return self.home / "models"

    def hugging_face(self, model_id: str) -> Call:
        """The reference: transformers' own pipeline, fp32 on the CPU."""
        import torch
        import transformers

        if model_id not in self.pipelines:
            self.pipelines[model_id] = transformers.pipeline(
                "zero-shot-classification", model=str(self.sources / model_id), device="cpu", dtype=torch.float32
            )
        return self.pipelines[model_id]

    def zerostart(self, model_id: str, engine: str = "openvino") -> Call:
        """The same model in Zerostart."""
        key = (model_id, engine)
        if key not in self.loaded:
            settings = Settings(home=self.home, engine=engine, precision="fp32", threads=1)
            self.loaded[key] = ZeroShotClassificationPipeline(build_classifier(settings, model_id))
        return self.loaded[key]

    def ensure(self, kind: str, classes: tuple[str, ...] = THREE_CLASSES) -> str:
        """The id of a random model of the architecture `kind`, built and converted the first time."""
        model_id = f"{kind}-{len(classes)}"
        if not (self.sources / model_id).exists():
            source = build_source(self.sources / model_id, kind, classes)
            self.reports[model_id] = convert(source, self.models_folder, model_id, weights="fp32")
        return model_id

    def rename(self, model_id: str, new_id: str, classes: tuple[str, ...]) -> str:
        """The same weights with their classes named otherwise."""
        if not (self.sources / new_id).exists():
            rename_classes(self.sources / model_id, self.sources / new_id, classes)
            copied = self.models_folder / new_id
            copy_artefact(self.models_folder / model_id, copied, model_id=new_id, classes=classes)
        return new_id

    def shift_logits(self, model_id: str, new_id: str, by: float) -> str:
        """The same model with `by` added to each of its logits, which changes no probability."""
        import onnx
        import torch
        from safetensors.torch import load_file, save_file

        shutil.copytree(self.sources / model_id, self.sources / new_id)
        weights: dict[str, torch.Tensor] = load_file(self.sources / new_id / "model.safetensors")
        weights["classifier.bias"] += by
        save_file(weights, self.sources / new_id / "model.safetensors", metadata={"format": "pt"})

        folder = copy_artefact(self.models_folder / model_id, self.models_folder / new_id, model_id=new_id)
        graph = onnx.load(folder / "model.onnx")
        for node in graph.graph.node:
            node.output[:] = ["before_shift" if name == "logits" else name for name in node.output]
        graph.graph.initializer.append(onnx.helper.make_tensor("shift", onnx.TensorProto.FLOAT, [1], [by]))
        graph.graph.node.append(onnx.helper.make_node("Add", ["before_shift", "shift"], ["logits"]))
        onnx.save(graph, folder / "model.onnx")
        write_manifest(folder, LocalArtefacts(self.models_folder).find(new_id).manifest)
        return new_id

    def close(self) -> None:
        for pipeline in self.loaded.values():
            pipeline.close()


@pytest.fixture(scope="session")
def zoo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Zoo]:
    """Models are built when a test first asks for them."""
    sources, home = tmp_path_factory.mktemp("sources"), tmp_path_factory.mktemp("home")
    (home / "models").mkdir()
    zoo = Zoo(sources, home)
    yield zoo
    zoo.close()
