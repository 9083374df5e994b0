"""An endpoint's last hour as lines of SVG, and as a table for those who do not see them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from math import floor, log10

from zerostart.server.web.formats import bytes_shown, duration_shown
from zerostart.server.web.history import SPAN_S, Moment

WIDTH, HEIGHT = 600, 100  # of a chart's own coordinates; the page stretches it
_SHORTEST_S = 300.0
_ROW_S = 300.0
_STEPS = (1, 2, 4, 6, 8, 10)
_NOTHING = "\N{EN DASH}"
_Value = Callable[[Moment], float | None]
_Shown = Callable[[float], str]


@dataclass(frozen=True)
class Line:
    """A line of a chart, its newest value, and its path in SVG's words; `kind` tells it from the chart's others."""

    name: str
    kind: str
    newest: str
    path: str


@dataclass(frozen=True)
class Chart:
    """Lines over one scale, whose upper end and middle are `top` and `middle`; `said` tells it in words."""

    id: str
    title: str
    lines: Sequence[Line]
    top: str
    middle: str
    said: str
    empty: str


@dataclass(frozen=True)
class ChartRow:
    """Five minutes, with the highest value that one minute of them had."""

    when: str
    requests: str
    p50: str
    p99: str
    errors: str
    memory: str


@dataclass(frozen=True)
class ChartPanel:
    """The charts of an endpoint; they begin at `since`."""

    charts: Sequence[Chart]
    since: str
    rows: Sequence[ChartRow]


def chart_panel(moments: Sequence[Moment]) -> ChartPanel:
    """The charts of these moments; none if there is no moment yet."""
    if not moments:
        return ChartPanel((), "", ())
    span_s = min(SPAN_S, max(_SHORTEST_S, moments[0].age_s))
    quiet = "No request was answered in this time."
    drawn = (
        ("requests", "Requests a minute", (("requests", lambda each: each.requests_per_minute),), _count, 4.0, ""),
        (
            "latency",
            "Latency",
            (("p50", lambda each: each.p50_s), ("p99", lambda each: each.p99_s)),
            _short,
            0.01,
            quiet,
        ),
        ("errors", "Errors a minute", (("errors", lambda each: each.errors),), _count, 4.0, ""),
        ("memory", "Memory", (("memory", lambda each: float(each.memory_bytes)),), _memory, 1e6, ""),
    )
    charts = [_chart(moments, span_s, *each) for each in drawn]
    return ChartPanel(charts, f"{round(span_s / 60)} minutes ago", _rows(moments))


def _chart(
    moments: Sequence[Moment],
    span_s: float,
    name: str,
    title: str,
    values: Sequence[tuple[str, _Value]],
    shown: _Shown,
    least_top: float,
    empty: str,
) -> Chart:
    known = [value for _, of in values for each in moments if (value := of(each)) is not None]
    top = _round_up(max([*known, least_top]))
    lines = [
        Line(
            line_name,
            f"line-{number}",
            _shown_or_nothing(of(moments[-1]), shown),
            _path(moments, of, span_s, top),
        )
        for number, (line_name, of) in enumerate(values, 1)
    ]
    newest = ", ".join(f"{line.name} {line.newest}" if len(lines) > 1 else line.newest for line in lines)
    said = f"Between {shown(min(known))} and {shown(max(known))}; newest: {newest}." if known else empty
    return Chart(name, title, lines, shown(top), shown(top / 2), said, "" if known else empty)


def _path(moments: Sequence[Moment], of: _Value, span_s: float, top: float) -> str:
    """One line through the moments that have a value; where one has none, it is interrupted."""
    parts, pen_up = [], True
    for each in moments:
        value = of(each)
        if value is None:
            pen_up = True
            continue
        x = WIDTH * max(0.0, 1 - each.age_s / span_s)
        y = HEIGHT * (1 - value / top)
        # A point that stands alone is a line to itself, which a round cap makes a dot.
        parts.append(f"M{x:.1f} {y:.1f}h0" if pen_up else f"L{x:.1f} {y:.1f}")
        pen_up = False
    return "".join(parts)


def _rows(moments: Sequence[Moment]) -> Sequence[ChartRow]:
    rows = []
    for number, group in groupby(reversed(moments), key=lambda each: int(each.age_s // _ROW_S)):
        grouped = list(group)
        rows.append(
            ChartRow(
                f"{number * 5} to {number * 5 + 5} minutes ago",
                _highest(grouped, lambda each: each.requests_per_minute, _count),
                _highest(grouped, lambda each: each.p50_s, _short),
                _highest(grouped, lambda each: each.p99_s, _short),
                _highest(grouped, lambda each: each.errors, _count),
                _highest(grouped, lambda each: float(each.memory_bytes), _memory),
            )
        )
    return rows


def _highest(moments: Sequence[Moment], of: _Value, shown: _Shown) -> str:
    known = [value for each in moments if (value := of(each)) is not None]
    return _shown_or_nothing(max(known, default=None), shown)


def _shown_or_nothing(value: float | None, shown: _Shown) -> str:
    return _NOTHING if value is None else shown(value)


def _round_up(value: float) -> float:
    """The next of the numbers that people like on a scale, such as 4 or 60."""
    unit: float = 10.0 ** floor(log10(value))
    return next(step * unit for step in _STEPS if step * unit >= value * 0.999)


def _count(value: float) -> str:
    return f"{value:,.0f}"


def _short(seconds: float) -> str:
    return duration_shown(seconds)


def _memory(size: float) -> str:
    return bytes_shown(int(size)) if size else "0"
