"""Numbers and times as people read them."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime

from zerostart.models.catalogue import language_names

NOTHING = "\N{EN DASH}"
_STEPS = ((86_400, "day"), (3600, "hour"), (60, "minute"))
_IN_USE_S = 10


def bytes_shown(size: int) -> str:
    """A size, such as "46 MB"."""
    if size >= 1_000_000_000:
        return f"{size / 1e9:.1f} GB"
    return f"{size / 1e6:.0f} MB" if size >= 1_000_000 else f"{max(1, size // 1000)} kB"


def exact_bytes_shown(size: int) -> str:
    """A size, to the byte where it is small, such as "312 bytes"."""
    return bytes_shown(size) if size >= 10_000 else f"{size:,} byte{'s' if size != 1 else ''}"


def key_shown(key: str) -> str:
    """A key, or a part of one, with what cannot be seen, or turns the direction of what is written, escaped."""
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in key)


def cell_shown(value: object, most: int = 240) -> str:
    """A value of a table, cut where it is long."""
    text = value if isinstance(value, str) else "" if value is None else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= most else f"{text[: most - 1]}\N{HORIZONTAL ELLIPSIS}"


def duration_shown(seconds: float) -> str:
    """A latency, such as "4.2 ms"."""
    if seconds >= 1:
        return f"{seconds:.1f} s"
    return f"{seconds * 1000:.0f} ms" if seconds >= 0.01 else f"{seconds * 1000:.1f} ms"


def time_shown(seconds: float) -> str:
    """How long something takes, such as "3 min"."""
    if seconds < 1:
        return "under a second"
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} hours"


def rate_shown(per_s: float) -> str:
    """Records a second."""
    return f"{per_s:,.0f}/s" if per_s >= 10 else f"{per_s:.1f}/s"


def ago(moment: datetime, now: datetime | None = None) -> str:
    """How long ago, such as "2 hours ago"."""
    passed_s = ((now or datetime.now(UTC)) - moment).total_seconds()
    for step_s, name in _STEPS:
        if passed_s >= step_s:
            return f"{_counted(int(passed_s // step_s), name)} ago"
    return "just now"


def idle_shown(seconds: float) -> str:
    """How long ago somebody asked, such as "5 minutes ago"; infinite if nobody did since the server's start."""
    if seconds == float("inf"):
        return "not yet"
    for step_s, name in _STEPS:
        if seconds >= step_s:
            return f"{_counted(int(seconds // step_s), name)} ago"
    return "now" if seconds < _IN_USE_S else f"{int(seconds)} s ago"


def _counted(count: int, name: str) -> str:
    return f"{count} {name}{'s' if count != 1 else ''}"


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
