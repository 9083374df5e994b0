"""From a Hugging Face folder to an artefact: load safetensors, export to ONNX, compare with the original, check in.

Needs the extra `convert` (torch, transformers, onnx). Nothing of the folder is executed: no pickle, no remote code.
"""

import json
import shutil
import tempfile
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from zerostart.errors import InvalidArtefact, MissingExtra
from zerostart.models.artefact import TOKENIZER, Artefact, Manifest, read_artefact, write_manifest
from zerostart.models.local_artefacts import folder_name
from zerostart.nli.head import find_nli_head

if TYPE_CHECKING:
    import onnx

TOLERANCE = 1e-3
_ALLOWED_MAX_TOKENS = 8192
_OPSET = 17
_FIRST_TOKEN_HEADS = ("bert", "roberta", "xlm-roberta", "camembert", "electra")
_INPUTS = ("input_ids", "attention_mask", "token_type_ids")


@dataclass(frozen=True)
class ConversionReport:
    """The artefact that was made, and the largest probability difference from the original in torch fp32."""

    artefact: Artefact
    max_probability_difference: float


def convert(
    source: Path,
    models_folder: Path,
    model_id: str,
    *,
    revision: str = "local",
    licence: str = "unknown",
    languages: tuple[str, ...] = (),
    description: str = "",
    card: Path | None = None,
    half_weights: bool = True,
) -> ConversionReport:
    """Make the artefact `model_id` under `models_folder` from the Hugging Face folder `source`.

    `half_weights` stores weights as fp16: half the size, and computed with in the engine's precision.
    Raises InvalidArtefact for a folder that is not an NLI model in safetensors, or whose conversion differs from the
    original by more than TOLERANCE in probability. The artefact appears whole or not at all.
    """
    target = models_folder / folder_name(model_id)
    if target.exists():
        raise InvalidArtefact(f"{target} exists: remove it first to replace model {model_id!r}.")
    config = _read_config(source)
    classes = _classes(config)
    models_folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=models_folder, prefix=".making-") as making:
        folder = Path(making) / target.name
        folder.mkdir()
        difference = _export(source, folder / "model.onnx", half_weights=half_weights)
        if not difference <= TOLERANCE:
            raise InvalidArtefact(
                f"The converted model differs from {source} by {difference:.2g} in probability (limit {TOLERANCE}): "
                "its architecture does not survive the conversion."
            )
        shutil.copyfile(source / TOKENIZER, folder / TOKENIZER)
        card = card or source / "README.md"
        if card.is_file():
            shutil.copyfile(card, folder / "README.md")
        manifest = Manifest(
            model_id=model_id,
            revision=revision,
            architecture=str(config.get("model_type", "unknown")),
            classes=classes,
            max_tokens=_max_tokens(source, config),
            pad_token_id=int(config.get("pad_token_id") or 0),
            licence=licence,
            languages=languages,
            description=description,
        )
        write_manifest(folder, manifest)
        folder.rename(target)
    return ConversionReport(read_artefact(target), difference)


def _read_config(source: Path) -> Mapping[str, Any]:
    for name in ("config.json", TOKENIZER):
        if not (source / name).is_file():
            raise InvalidArtefact(
                f"{source / name} is missing: a model folder holds config.json, {TOKENIZER} and *.safetensors."
            )
    if not list(source.glob("*.safetensors")):
        raise InvalidArtefact(
            f"{source} holds no *.safetensors: pickled weights (.bin, .pt) are never loaded; convert them first."
        )
    try:
        config: Mapping[str, Any] = json.loads((source / "config.json").read_bytes())
    except ValueError as error:
        raise InvalidArtefact(f"{source / 'config.json'} is not valid JSON: {error}") from error
    if "auto_map" in config:
        raise InvalidArtefact(f"{source} needs code of its own (auto_map in config.json), which is never run.")
    return config


def _classes(config: Mapping[str, Any]) -> tuple[str, ...]:
    id2label = config.get("id2label") or {}
    classes = tuple(str(id2label[key]) for key in sorted(id2label, key=int))
    find_nli_head(classes)
    return classes


def _max_tokens(source: Path, config: Mapping[str, Any]) -> int:
    """Positions that the model has, or the tokenizer's own limit if that is less."""
    positions = int(config.get("max_position_embeddings") or 512)
    if config.get("model_type") in {"roberta", "xlm-roberta", "camembert"}:
        positions -= int(config.get("pad_token_id") or 0) + 1  # positions are counted from after the padding id
    limits = [positions, _ALLOWED_MAX_TOKENS]
    path = source / "tokenizer_config.json"
    if path.is_file():
        limits.append(int(json.loads(path.read_bytes()).get("model_max_length") or positions))
    return min(limits)


def _export(source: Path, target: Path, *, half_weights: bool) -> float:
    """Write the ONNX file; returns the largest probability difference from torch on another shape."""
    try:
        import onnx
        import torch
        import transformers
    except ModuleNotFoundError as error:
        raise MissingExtra(
            "Converting a model needs torch and transformers: run pip install 'zerostart[convert]'."
        ) from error
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    model = transformers.AutoModelForSequenceClassification.from_pretrained(
        source,
        dtype=torch.float32,
        attn_implementation="eager",
        local_files_only=True,
        trust_remote_code=False,
        use_safetensors=True,
    ).eval()
    typed = getattr(model.config, "type_vocab_size", 0) > 1
    names = _INPUTS if typed else _INPUTS[:2]

    class Logits(torch.nn.Module):
        """The model with plain tensors in and out."""

        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, *tensors: torch.Tensor) -> torch.Tensor:
            logits: torch.Tensor = self.model(**dict(zip(names, tensors, strict=True))).logits
            return logits

    def example(pairs: int, tokens: int) -> tuple[torch.Tensor, ...]:
        generator = torch.Generator().manual_seed(pairs * tokens)
        ids = torch.randint(5, min(1000, model.config.vocab_size), (pairs, tokens), generator=generator)
        mask = torch.ones_like(ids)
        if model.config.model_type == "bart":
            ids[:, -1] = int(model.config.eos_token_id)  # BART's head reads the state of the last end token
        else:
            mask[0, -(tokens // 4) :] = 0
        types = (torch.arange(tokens) > tokens // 2).long().expand(pairs, tokens).contiguous()
        return (ids, mask, types)[: len(names)]

    other = example(5, 33)
    with torch.inference_mode():
        expected = torch.softmax(model(**dict(zip(names, other, strict=True))).logits, dim=-1).numpy()
    _compute_last_layer_for_first_token(model)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            Logits(),
            example(3, 12),
            str(target),
            input_names=list(names),
            output_names=["logits"],
            dynamic_axes={name: {0: "pairs", 1: "tokens"} for name in names} | {"logits": {0: "pairs"}},
            opset_version=_OPSET,
            dynamo=False,  # OpenVINO fuses this graph's attention, not that of the newer exporter's
        )
    if half_weights:
        proto = onnx.load(str(target))
        _store_weights_as_half(proto)
        onnx.save(proto, str(target))
    return float(np.abs(_probabilities(target, names, other) - expected).max())


def _compute_last_layer_for_first_token(model: Any) -> None:
    """BERT's family classifies by the first token alone, so the last layer needs keys and values of all tokens but the
    rest of its work for the first one only. Exact, and 14 % less to multiply in a model of six layers.
    """
    if model.config.model_type not in _FIRST_TOKEN_HEADS:
        return
    layer = getattr(model, model.base_model_prefix).encoder.layer[-1]
    attention = layer.attention.self
    size = attention.attention_head_size

    def heads(states: Any) -> Any:
        return states.view(states.shape[0], states.shape[1], -1, size).transpose(1, 2)

    def forward(hidden_states: Any, attention_mask: Any = None, *_: Any, **__: Any) -> Any:
        first = hidden_states[:, :1]
        query, key = heads(attention.query(first)), heads(attention.key(hidden_states))
        weights = query @ key.transpose(2, 3) * size**-0.5
        if attention_mask is not None:
            weights = weights + attention_mask[:, :, :1]
        context = (weights.softmax(-1) @ heads(attention.value(hidden_states))).transpose(1, 2).flatten(2)
        attended = layer.attention.output(context, first)
        return layer.output(layer.intermediate(attended), attended)

    layer.forward = forward


def _probabilities(path: Path, names: tuple[str, ...], tensors: tuple[Any, ...]) -> Any:
    """What the written file computes, by the engine that Zerostart serves with."""
    from zerostart.engines.base import EncodedBatch, EngineOptions
    from zerostart.engines.registry import load_engine

    engine = load_engine("openvino", path.parent, 3, EngineOptions(precision="fp32"))
    arrays = [tensor.numpy() for tensor in tensors]
    arrays += [np.zeros_like(arrays[0])] * (3 - len(names))
    logits = engine.logits(EncodedBatch(*arrays)).astype(np.float64)
    engine.close()
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def _store_weights_as_half(model: "onnx.ModelProto") -> None:
    """Keep each large fp32 weight as fp16 with a Cast in front: half the file, the same graph in fp32."""
    import onnx
    from onnx import numpy_helper

    casts = []
    for weight in model.graph.initializer:
        if weight.data_type != onnx.TensorProto.FLOAT or np.prod(weight.dims) < 1024:
            continue
        values = numpy_helper.to_array(weight)
        if np.abs(values).max() > np.finfo(np.float16).max:
            continue
        half = numpy_helper.from_array(values.astype(np.float16), f"{weight.name}_half")
        casts.append(onnx.helper.make_node("Cast", [half.name], [weight.name], to=onnx.TensorProto.FLOAT))
        weight.CopyFrom(half)
    for cast in reversed(casts):
        model.graph.node.insert(0, cast)
