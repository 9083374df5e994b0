"""Times and sizes as the command line prints them."""


def seconds_shown(seconds: float) -> str:
    """A span, such as "12 s", "4 min" or "2.5 h"."""
    if seconds < 120:
        return f"{seconds:,.0f} s"
    return f"{seconds / 60:,.0f} min" if seconds < 7200 else f"{seconds / 3600:,.1f} h"


def bytes_shown(size: float) -> str:
    """A size, such as "46 MB"; a dash for nothing."""
    if not size:
        return "-"
    if size >= 1e9:
        return f"{size / 1e9:,.1f} GB"
    return f"{size / 1e6:,.0f} MB" if size >= 1e6 else f"{max(1, size // 1000):,.0f} kB"
