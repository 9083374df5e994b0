"""The reference: the model as torch runs it in fp32, which what was made of it is compared with."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zerostart.engines.base import EncodedBatch, EngineOptions
from zerostart.engines.registry import load_engine
from zerostart.errors import InvalidArtefact, MissingExtra
from zerostart.models.embedder import embedder
from zerostart.models.source_folder import SourceFolder

INPUTS = ("input_ids", "attention_mask", "token_type_ids")
_LONGEST_COMPARED = 512
Rows = NDArray[np.float64]


@dataclass(frozen=True)
class Example:
    """Pairs of token ids, padded; each array has shape (pairs, tokens)."""

    input_ids: NDArray[np.int64]
    attention_mask: NDArray[np.int64]
    token_type_ids: NDArray[np.int64]

    def arrays(self, names: tuple[str, ...]) -> list[NDArray[np.int64]]:
        """The arrays of those names."""
        return [getattr(self, name) for name in names]


@dataclass(frozen=True)
class Answer:
    """An example and what the reference answers: probabilities, shape (pairs, classes), or embeddings of length 1."""

    example: Example
    expected: Rows
    embeds: bool = False


@dataclass(frozen=True)
class Reference:
    """A torch model in memory, and the names of its inputs. One that `embeds` answers embeddings in place of logits."""

    model: Any
    inputs: tuple[str, ...]
    max_tokens: int
    embeds: bool = False

    def example(self, pairs: int, tokens: int) -> Example:
        """Random pairs of random lengths, the first as long as all, in the form that the model's tokenizer gives."""
        config = self.model.config
        random = np.random.default_rng(pairs * tokens)
        ids = random.integers(5, min(1000, config.vocab_size), (pairs, tokens))
        lengths = random.integers(min(5, tokens), tokens + 1, pairs)
        lengths[0] = tokens
        position = np.arange(tokens)
        mask = (position < lengths[:, None]).astype(np.int64)
        types = ((position > lengths[:, None] // 2) * mask).astype(np.int64)
        end = getattr(config, "eos_token_id", None)
        if end is not None:  # BART's head reads the state of the last one, and each pair has as many
            ids[ids == end] = 5 + (end == 5)
            ids[np.arange(pairs), lengths - 1] = end
        ids[mask == 0] = getattr(config, "pad_token_id", None) or 0
        return Example(ids, mask, types)

    def answers(self) -> list[Answer]:
        """What the model answers at a few shapes: short, padded, and as long as it reads (or 512 tokens)."""
        longest = min(self.max_tokens, _LONGEST_COMPARED)
        examples = [self.example(*shape) for shape in ((1, 5), (5, min(33, longest)), (2, longest))]
        return [Answer(example, self._rows(example), self.embeds) for example in examples]

    def _rows(self, example: Example) -> Rows:
        """Each pair by itself, without padding, since its neighbours must not change its answer."""
        import torch

        rows = []
        for i, length in enumerate(example.attention_mask.sum(axis=1)):
            tensors = (torch.from_numpy(array[i : i + 1, :length]) for array in example.arrays(self.inputs))
            with torch.inference_mode():
                rows.append(self.model(**dict(zip(self.inputs, tensors, strict=True))).logits.numpy())
        return _comparable(np.concatenate(rows), embeds=self.embeds)


def load_reference(source: SourceFolder) -> Reference:
    """The model of `source` in torch. Raises MissingExtra without torch, InvalidArtefact if it cannot be loaded."""
    try:
        import torch
        import transformers
    except ModuleNotFoundError as error:
        raise MissingExtra(
            "Converting a model needs torch and transformers: run pip install 'zerostart[convert]'."
        ) from error
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    try:
        architecture = transformers.AutoModel if source.pooling else transformers.AutoModelForSequenceClassification
        model, loading = architecture.from_pretrained(
            source.path,
            dtype=torch.float32,
            attn_implementation="eager",
            local_files_only=True,
            trust_remote_code=False,
            use_safetensors=True,
            output_loading_info=True,
        )
    except Exception as error:
        raise InvalidArtefact(
            f"transformers cannot load {source.path} as a classifier of architecture {source.model_type!r}: "
            f"{str(error)[:300]}"
        ) from error
    _refuse_missing(source, loading)
    inputs = _inputs(source, model)
    if source.pooling:
        return Reference(embedder(model, source.pooling).eval(), inputs, source.max_tokens, embeds=True)
    return Reference(model.eval(), inputs, source.max_tokens)


def largest_difference(folder: Path, answers: list[Answer]) -> float:
    """The largest difference in probability of the artefact's graph in `folder`, in the engine that serves it, in fp32.

    Raises InvalidArtefact if the engine cannot run it.
    """
    classes = answers[0].expected.shape[1]
    try:
        engine = load_engine("openvino", folder, classes, EngineOptions(precision="fp32"))
        differences = []
        for answer in answers:
            example = answer.example
            batch = EncodedBatch(example.input_ids, example.attention_mask, example.token_type_ids)
            differences.append(np.abs(_comparable(engine.logits(batch), embeds=answer.embeds) - answer.expected).max())
        engine.close()
    except Exception as error:
        raise InvalidArtefact(f"The engine cannot run the model: {str(error)[:300]}") from error
    return float(np.max(differences))


def check_runs(folder: Path, classes: int, max_tokens: int) -> None:
    """Return if the engine runs the graph in `folder` on pairs of several shapes and gives each `classes` numbers.

    Raises InvalidArtefact otherwise.
    """
    try:
        engine = load_engine("openvino", folder, classes, EngineOptions(precision="fp32"))
        shapes = ((1, 5), (3, min(33, max_tokens)))
        answered = [engine.logits(_blank(*shape)) for shape in shapes]
        engine.close()
    except Exception as error:
        raise InvalidArtefact(f"The engine cannot run the model: {str(error)[:300]}") from error
    if any(logits.shape != (shape[0], classes) for logits, shape in zip(answered, shapes, strict=True)):
        raise InvalidArtefact(f"The model gives {answered[0].shape} numbers for one pair and not {classes}.")


def _blank(pairs: int, tokens: int) -> EncodedBatch:
    ids = np.full((pairs, tokens), 5, dtype=np.int64)
    return EncodedBatch(ids, np.ones_like(ids), np.zeros_like(ids))


def _inputs(source: SourceFolder, model: Any) -> tuple[str, ...]:
    """Token types only where the model tells them apart and its tokenizer gives them."""
    named = source.tokenizer_config.get("model_input_names") or INPUTS
    typed = (getattr(model.config, "type_vocab_size", 0) or 0) > 1 and "token_type_ids" in named
    return INPUTS if typed else INPUTS[:2]


def _refuse_missing(source: SourceFolder, loading: Mapping[str, Any]) -> None:
    unused = "pooler." if source.pooling else None  # an embedding is pooled otherwise
    missing = sorted(key for key in loading.get("missing_keys", ()) if not (unused and key.startswith(unused)))
    if missing:
        raise InvalidArtefact(
            f"The weights in {source.path} lack {', '.join(missing[:3])}{' and more' * (len(missing) > 3)}: without "
            "them the model would answer at random. Use a folder that holds a model trained for classification."
        )


def _comparable(rows: Any, *, embeds: bool) -> Rows:
    """Probabilities of logits; embeddings as they are."""
    values = np.asarray(rows, dtype=np.float64)
    if embeds:
        return values
    powers = np.exp(values - values.max(axis=1, keepdims=True))
    result: Rows = powers / powers.sum(axis=1, keepdims=True)
    return result
