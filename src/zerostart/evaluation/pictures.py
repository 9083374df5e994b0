"""Where the lines and boxes of a report's pictures are; templates draw them as SVG, without scripts or styles."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_MOST_LABELS_DRAWN = 24
_CELL = 34
_MARGIN = 215
_OTHERS = "(all others)"
SIDE = 300
PLOT_LEFT, PLOT_TOP = 52, 10


@dataclass(frozen=True)
class Cell:
    """A box of the confusion matrix: `strength` is the share of its row, `count` is written in it."""

    x: int
    y: int
    count: int
    strength: float
    is_right: bool
    title: str


@dataclass(frozen=True)
class Heatmap:
    """The confusion matrix; labels that are not drawn are together in the last row and column."""

    names: tuple[str, ...]
    cells: tuple[Cell, ...]
    cell: int
    margin: int

    @property
    def size(self) -> int:
        """Width and height of the cells together."""
        return self.cell * len(self.names)


@dataclass(frozen=True)
class Bar:
    """One bin of the reliability diagram, in the coordinates of the plot."""

    x: float
    y: float
    width: float
    height: float
    weight: float
    title: str


def heatmap(document: Mapping[str, Any]) -> Heatmap | None:
    """Of a report's confusion; the labels with the most rows are drawn."""
    if document["confusion"] is None:
        return None
    labelled = document["per_label"]
    order = sorted(range(len(labelled)), key=lambda place: -(labelled[place]["support"] + labelled[place]["answered"]))
    few = len(order) <= _MOST_LABELS_DRAWN
    drawn = sorted(order if few else order[: _MOST_LABELS_DRAWN - 1])
    names = tuple(labelled[place]["name"] for place in drawn) + (() if few else (_OTHERS,))
    place_of = {place: number for number, place in enumerate(drawn)}
    counts: dict[tuple[int, int], int] = {}
    for label, answer, count in document["confusion"]:
        key = place_of.get(label, len(names) - 1), place_of.get(answer, len(names) - 1)
        counts[key] = counts.get(key, 0) + count
    totals = [sum(count for (row, _), count in counts.items() if row == own) for own in range(len(names))]
    cells = tuple(
        Cell(
            x=answer * _CELL,
            y=label * _CELL,
            count=count,
            strength=round(count / totals[label], 3),
            is_right=label == answer,
            title=f"{names[label]} answered as {names[answer]}: {count} of {totals[label]}",
        )
        for (label, answer), count in sorted(counts.items())
    )
    return Heatmap(names, cells, _CELL, _MARGIN)


def reliability_bars(bins: Sequence[Mapping[str, Any]]) -> tuple[Bar, ...]:
    """A bar a bin: as high as its answers are right, as strong as it has answers."""
    most = max((each["count"] for each in bins), default=0)
    return tuple(
        Bar(
            x=PLOT_LEFT + each["low"] * SIDE + 1,
            y=PLOT_TOP + (1 - each["right"]) * SIDE,
            width=(each["high"] - each["low"]) * SIDE - 2,
            height=each["right"] * SIDE,
            weight=round(0.25 + 0.75 * each["count"] / most, 3),
            title=(
                f"scores {each['low']:.1f} to {each['high']:.1f}: {each['count']} answers, mean score "
                f"{each['score']:.2f}, right {each['right']:.0%}"
            ),
        )
        for each in bins
        if each["count"]
    )


def curve(points: Sequence[Mapping[str, Any]]) -> str:
    """The coverage curve as the points of a polyline: coverage to the right, accuracy upwards."""
    return " ".join(
        f"{PLOT_LEFT + each['coverage'] * SIDE:.1f},{PLOT_TOP + (1 - each['accuracy']) * SIDE:.1f}" for each in points
    )


def reached(points: Sequence[Mapping[str, Any]], wanted: float) -> Mapping[str, Any] | None:
    """The point of the greatest coverage at which answers are as right as wanted."""
    found = [each for each in points if each["accuracy"] >= wanted]
    return found[-1] if found else None
