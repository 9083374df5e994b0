"""How long an endpoint may be idle, as its model's environment says."""

from collections.abc import Mapping
from typing import Any

from zerostart.errors import InvalidInput, shortened

VARIABLE = "ZEROSTART_IDLE_TIMEOUT_S"
LONGEST_S = 366 * 86_400.0


def idle_timeout_s(asked: Mapping[str, Any]) -> float | None:
    """The seconds in the environment of a CreateModel request, 0 for never; None where it says nothing.

    Raises InvalidInput, naming the variable.
    """
    containers = [asked.get("PrimaryContainer"), *(asked.get("Containers") or ())]
    environments = [(each or {}).get("Environment") or {} for each in containers]
    written = next((each[VARIABLE] for each in environments if each.get(VARIABLE)), None)
    return None if written is None else parse_idle_timeout(written, VARIABLE)


def parse_idle_timeout(written: str, name: str) -> float:
    """Seconds, 0 for never. Raises InvalidInput."""
    try:
        seconds = float(written)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= LONGEST_S:
        raise InvalidInput(f"{name} is {shortened(written)}: give seconds, such as 600, or 0 for never.")
    return seconds
