"""Bi-encoders: sentence-transformers folders, and their body with the pooling in one torch module."""

from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from zerostart.errors import InvalidArtefact

MODULES = "modules.json"
POOLING_CONFIG = "1_Pooling/config.json"
SENTENCE_CONFIG = "sentence_bert_config.json"
POOLINGS = ("mean", "cls", "max")
_KEYS = {"mean": "pooling_mode_mean_tokens", "cls": "pooling_mode_cls_token", "max": "pooling_mode_max_tokens"}
_TAKEN = ("Transformer", "Pooling", "Normalize")


def pooling_of(path: Path, modules: list[Any], config: Mapping[str, Any]) -> str:
    """How the folder's model makes one embedding of those of its tokens: mean, cls or max.

    `modules` and `config` are what modules.json and the pooling's config say. Raises InvalidArtefact for other modules.
    """
    kinds = [str(each.get("type", "")).rpartition(".")[2] for each in modules if isinstance(each, Mapping)]
    if kinds[:2] != ["Transformer", "Pooling"] or not set(kinds) <= set(_TAKEN):
        raise InvalidArtefact(
            f"{path / MODULES} has the modules {', '.join(kinds) or '(none)'}: an embedding model is a Transformer, a "
            "Pooling and perhaps a Normalize here. Use a model without others."
        )
    stated = config.get("pooling_mode")
    chosen = [name for name in POOLINGS if config.get(_KEYS[name]) or stated == name]
    others = [key for key, value in config.items() if key.startswith("pooling_mode_") and value is True]
    if len(chosen) != 1 or len(others) > 1:
        raise InvalidArtefact(
            f"{path / POOLING_CONFIG} asks for the pooling {', '.join(others) or stated or '(none)'}: one of "
            f"{', '.join(POOLINGS)} can be done."
        )
    return chosen[0]


def embedder(body: Any, pooling: str) -> Any:
    """A torch module that answers embeddings of length 1, shape (texts, dimension), as `logits`."""
    import torch

    class Embedder(torch.nn.Module):
        """The body and its pooling."""

        def __init__(self) -> None:
            super().__init__()
            self.body = body
            self.config = body.config

        def forward(self, attention_mask: torch.Tensor, **inputs: torch.Tensor) -> SimpleNamespace:
            states = self.body(attention_mask=attention_mask, **inputs).last_hidden_state
            mask = attention_mask[:, :, None].to(states.dtype)
            if pooling == "cls":
                pooled = states[:, 0]
            elif pooling == "max":
                pooled = (states * mask - (1 - mask) * 1e9).max(dim=1).values
            else:
                pooled = (states * mask).sum(dim=1) / mask.sum(dim=1)
            return SimpleNamespace(logits=torch.nn.functional.normalize(pooled, dim=-1))

    return Embedder()
