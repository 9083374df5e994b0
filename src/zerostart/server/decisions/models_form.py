"""GET /v1/models: one document that OpenAI's clients and TypeSafe's read, each its own members of it."""

from collections.abc import Mapping, Sequence
from typing import Any

from zerostart.services.decision import DecisionModel


def write_models(models: Sequence[DecisionModel]) -> Mapping[str, Any]:
    """`data` is OpenAI's list, `models` TypeSafe's."""
    return {
        "object": "list",
        "data": [write_model(each) for each in models],
        "models": [
            {
                "name": each.name,
                "description": each.description,
                "release_date": each.created_at.date().isoformat(),
            }
            for each in models
        ],
    }


def write_model(model: DecisionModel) -> Mapping[str, Any]:
    """One model in OpenAI's form; it was created when the endpoint was."""
    return {
        "id": model.name,
        "object": "model",
        "created": int(model.created_at.timestamp()),
        "owned_by": "zerostart",
    }
