"""Parameters that a real SageMaker would act on and this version does not: refused, never silently dropped."""

from collections.abc import Mapping, Sequence
from typing import Any

from zerostart.errors import InvalidInput


def refuse_unsupported(asked: Mapping[str, Any], names: Sequence[str]) -> None:
    """Raise InvalidInput if `asked` has one of `names` with a value that means something."""
    for name in names:
        if asked.get(name):
            raise InvalidInput(f"Parameter {name} is not supported by Zerostart: leave it out.")


def tags_of(asked: Mapping[str, Any]) -> dict[str, str]:
    """Tags by key."""
    return {tag["Key"]: tag["Value"] for tag in asked.get("Tags") or ()}


def tag_list(tags: Mapping[str, str]) -> list[dict[str, str]]:
    """Tags in AWS's form."""
    return [{"Key": key, "Value": value} for key, value in tags.items()]
