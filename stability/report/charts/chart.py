"""A chart as data: axes and items; `svg` draws it for the HTML page, `plot` as image files."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

Point = tuple[float, float]
Shape = Literal["wide", "square", "small", "rows"]
"""How much room a chart takes: half a page's width, a heat map, one of many, or some bars."""


@dataclass(frozen=True)
class Axis:
    """The range of values shown on one axis; `log` makes it logarithmic.

    `labels` replace the round numbers. Without `label` and `labels` the axis is not drawn.
    """

    low: float
    high: float
    label: str
    log: bool = False
    labels: tuple[tuple[float, str], ...] = ()

    def share(self, value: float) -> float:
        """The position of a value on the axis: 0 at the low end, 1 at the high end."""
        if self.log:
            start = math.log(self.low)
            return (math.log(value) - start) / (math.log(self.high) - start)
        return (value - self.low) / (self.high - self.low)

    def ticks(self) -> list[tuple[float, str]]:
        """The tick labels: `labels`, or about five round values within the range."""
        if self.labels:
            return list(self.labels)
        if not self.log:
            return [(value, tick_label(value)) for value in round_values(self.low, self.high)]
        first, last = math.ceil(math.log10(self.low) - 1e-9), math.floor(math.log10(self.high) + 1e-9)
        step = max(1, math.ceil((last - first) / 5))
        return [(10.0**power, tick_label(10.0**power)) for power in range(first, last + 1, step)]


def round_values(low: float, high: float, wanted: int = 5) -> list[float]:
    """Multiples of 1, 2 or 5 times a power of ten within a range."""
    rough = (high - low) / wanted
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * 0.999)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [index * step for index in range(first, last + 1)]


def axis_over(values: Sequence[float], label: str, include: Sequence[float] = ()) -> Axis:
    """An axis that covers all finite values, with a margin; logarithmic if they span a factor of 100."""
    finite = [value for value in (*values, *include) if math.isfinite(value)]
    low, high = min(finite, default=0.0), max(finite, default=1.0)
    if low >= sys.float_info.min and high / low > 100:
        return Axis(10 ** math.floor(math.log10(low)), 10 ** math.ceil(math.log10(high)), label, log=True)
    room = 0.06 * (high - low) or 0.1 * abs(high) or 0.1
    return Axis(low - room, high + room, label)


def blocks_axis(layers: int) -> Axis:
    """The axis of the model's blocks, with a number at every block or every few blocks."""
    step = max(1, math.ceil(layers / 8))
    labels = tuple((float(layer), str(layer)) for layer in range(0, layers, step))
    return Axis(0, max(1, layers - 1), "block", labels=labels)


def tick_label(value: float) -> str:
    """A tick's number, without floating-point noise."""
    if value and (abs(value) >= 1e5 or abs(value) < 1e-3):
        return f"{value:.0e}".replace("e+0", "e").replace("e-0", "e-")
    return f"{round(value, 6):g}"


@dataclass(frozen=True)
class Line:
    """A line through the finite points, interrupted at others; `label` is shown on hovering."""

    points: tuple[Point, ...]
    style: str
    label: str
    dots: bool

    def pieces(self, y: Axis) -> list[list[Point]]:
        """The parts of the line that the axes can show."""
        pieces: list[list[Point]] = [[]]
        for point in self.points:
            if math.isfinite(point[1]) and (not y.log or point[1] > 0):
                pieces[-1].append(point)
            elif pieces[-1]:
                pieces.append([])
        return [piece for piece in pieces if piece]


@dataclass(frozen=True)
class Threshold:
    """A dashed horizontal line at a bound of the suite."""

    value: float
    label: str


@dataclass(frozen=True)
class Interval:
    """A vertical bar from low to high, cut off at the edges of the chart."""

    x: float
    low: float
    high: float
    style: str


@dataclass(frozen=True)
class Mark:
    """A dot; a failed one has a ring."""

    x: float
    y: float
    style: str
    label: str
    failed: bool = False


@dataclass(frozen=True)
class Cell:
    """A rectangle of a heat map, or a bar, with its lower left corner at (x, y)."""

    x: float
    y: float
    width: float
    height: float
    style: str
    label: str


Item = Line | Threshold | Interval | Mark | Cell


@dataclass
class Chart:
    """A chart under construction. Screen readers read out `title` and `summary`."""

    title: str
    summary: str
    x: Axis
    y: Axis
    shape: Shape = "wide"
    items: list[Item] = field(default_factory=list)

    def line(self, points: Sequence[Point], style: str, label: str = "", *, dots: bool = True) -> None:
        """Add a line through the points, each (x, y)."""
        self.items.append(Line(tuple(points), style, label, dots))

    def threshold(self, value: float, label: str) -> None:
        """Add a bound, if the axis can show it."""
        if math.isfinite(value) and (not self.y.log or value > 0):
            self.items.append(Threshold(value, label))

    def interval(self, x: float, low: float, high: float, style: str) -> None:
        """Add a vertical bar."""
        low, high = max(low, self.y.low), min(high, self.y.high)
        if low <= high:
            self.items.append(Interval(x, low, high, style))

    def mark(self, x: float, y: float, style: str, label: str, *, failed: bool = False) -> None:
        """Add a dot, if its place is finite."""
        if math.isfinite(y) and (not self.y.log or y > 0):
            self.items.append(Mark(x, y, style, label, failed))

    def cell(
        self, x: float, y: float, style: str, label: str, width: float = 1.0, height: float = 1.0
    ) -> None:
        """Add a rectangle with its lower left corner at (x, y)."""
        self.items.append(Cell(x, y, width, height, style, label))
