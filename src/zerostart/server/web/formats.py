"""Numbers and times as people read them."""

from collections.abc import Sequence
from datetime import UTC, datetime

from zerostart.models.catalogue import language_names

NOTHING = "\N{EN DASH}"
_STEPS = ((86_400, "day"), (3600, "hour"), (60, "minute"))


def bytes_shown(size: int) -> str:
    """A size, such as "46 MB"."""
    if size >= 1_000_000_000:
        return f"{size / 1e9:.1f} GB"
    return f"{size / 1e6:.0f} MB" if size >= 1_000_000 else f"{max(1, size // 1000)} kB"


def duration_shown(seconds: float) -> str:
    """A latency, such as "4.2 ms"."""
    if seconds >= 1:
        return f"{seconds:.1f} s"
    return f"{seconds * 1000:.0f} ms" if seconds >= 0.01 else f"{seconds * 1000:.1f} ms"


def ago(moment: datetime, now: datetime | None = None) -> str:
    """How long ago, such as "2 hours ago"."""
    passed_s = ((now or datetime.now(UTC)) - moment).total_seconds()
    for step_s, name in _STEPS:
        if passed_s >= step_s:
            count = int(passed_s // step_s)
            return f"{count} {name}{'s' if count != 1 else ''} ago"
    return "just now"


def span_shown(seconds: float) -> str:
    """How long, such as "2 h"."""
    for step_s, name in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= step_s:
            return f"{seconds // step_s:,.0f} {name}"
    return f"{seconds:.0f} s"


def languages_shown(codes: Sequence[str]) -> str:
    """Languages by name; of many, how many they are."""
    names = [language_names().get(code, code.capitalize()) for code in codes]
    return ", ".join(names) if len(names) <= 2 else f"{len(names)} languages"


def parameters_shown(millions: int | None) -> str:
    """How large a model is, such as "23 M parameters"."""
    return f"{millions} M parameters" if millions else "size unknown"
