"""Charts as inline SVG: axes, lines, thresholds, intervals and heat maps; the page's styles colour them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from xml.etree import ElementTree

from stability.report import wording

Point = tuple[float, float]


@dataclass(frozen=True)
class Frame:
    """The size of a chart, in the units of its view box, and the margins that hold the labels."""

    width: float = 440
    height: float = 270
    left: float = 60
    right: float = 14
    top: float = 12
    bottom: float = 42


@dataclass(frozen=True)
class Axis:
    """A range of values that is shown; `log` spaces them by their logarithm."""

    low: float
    high: float
    label: str
    log: bool = False

    def share(self, value: float) -> float:
        """How far along the axis a value lies: 0 at its low end, 1 at its high one."""
        if self.log:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)

    def ticks(self) -> list[float]:
        """Round values within the range, about five."""
        if self.log:
            first, last = math.ceil(math.log10(self.low) - 1e-9), math.floor(math.log10(self.high) + 1e-9)
            step = max(1, math.ceil((last - first) / 5))
            return [10.0**power for power in range(first, last + 1, step)]
        return round_values(self.low, self.high)


def round_values(low: float, high: float, wanted: int = 5) -> list[float]:
    """Multiples of 1, 2 or 5 times a power of ten within a range."""
    rough = (high - low) / wanted
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * 0.999)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [index * step for index in range(first, last + 1)]


def axis_over(values: Sequence[float], label: str, include: Sequence[float] = ()) -> Axis:
    """An axis that shows all finite values, and some besides; logarithmic where they span a hundredfold."""
    finite = [value for value in (*values, *include) if math.isfinite(value)]
    low, high = min(finite, default=0.0), max(finite, default=1.0)
    if low > 0 and high / low > 100:
        return Axis(10 ** math.floor(math.log10(low)), 10 ** math.ceil(math.log10(high)), label, log=True)
    room = 0.06 * (high - low) or 0.1 * abs(high) or 0.1
    return Axis(low - room, high + room, label)


@dataclass
class Chart:
    """A chart under construction; `str` of it is the SVG. `title` and `summary` are read out by a reader."""

    name: str  # unique on the page
    title: str
    summary: str
    x: Axis
    y: Axis
    frame: Frame = field(default_factory=Frame)
    style: str = "chart"

    def __post_init__(self) -> None:
        frame = self.frame
        self.root = ElementTree.Element(
            "svg",
            {
                "viewBox": f"0 0 {frame.width:g} {frame.height:g}",
                "class": self.style,
                "role": "img",
                "aria-labelledby": f"{self.name}-title {self.name}-summary",
            },
        )
        for tag, text in (("title", self.title), ("desc", self.summary)):
            part = "title" if tag == "title" else "summary"
            ElementTree.SubElement(self.root, tag, id=f"{self.name}-{part}").text = wording.clean(text)

    def across(self, value: float) -> float:
        """Horizontal place of a value."""
        frame = self.frame
        return frame.left + self.x.share(value) * (frame.width - frame.left - frame.right)

    def up(self, value: float) -> float:
        """Vertical place of a value."""
        frame = self.frame
        return frame.height - frame.bottom - self.y.share(value) * (frame.height - frame.top - frame.bottom)

    def axes(self, x_ticks: Sequence[float] | None = None) -> None:
        """Grid, tick labels and axis labels."""
        frame = self.frame
        floor = frame.height - frame.bottom
        for value in self.y.ticks():
            height = self.up(value)
            self.element("line", "grid", x1=frame.left, x2=frame.width - frame.right, y1=height, y2=height)
            self.text(tick_label(value), frame.left - 6, height + 4, "tick end")
        for value in x_ticks if x_ticks is not None else self.x.ticks():
            place = self.across(value)
            self.element("line", "grid", x1=place, x2=place, y1=floor, y2=floor + 4)
            self.text(tick_label(value), place, floor + 16, "tick middle")
        self.element("line", "axis", x1=frame.left, x2=frame.width - frame.right, y1=floor, y2=floor)
        middle = (frame.left + frame.width - frame.right) / 2
        self.text(self.x.label, middle, frame.height - 6, "label middle")
        upright = (frame.top + floor) / 2
        label = self.text(self.y.label, 12, upright, "label middle")
        label.set("transform", f"rotate(-90 12 {upright:g})")

    def line(self, points: Sequence[Point], style: str, label: str = "", *, dots: bool = True) -> None:
        """A line through the finite points, interrupted where one is not; `label` is shown on hovering."""
        pieces: list[list[Point]] = [[]]
        for x, y in points:
            if math.isfinite(y) and (not self.y.log or y > 0):
                pieces[-1].append((self.across(x), self.up(y)))
            elif pieces[-1]:
                pieces.append([])
        for piece in filter(None, pieces):
            path = " ".join(f"{x:.1f},{y:.1f}" for x, y in piece)
            drawn = self.element("polyline", f"series {style}", points=path)
            self.hover(drawn, label)
            if dots or len(piece) == 1:
                for x, y in piece:
                    self.hover(self.element("circle", f"dot {style}", cx=x, cy=y, r=2.6), label)

    def threshold(self, value: float, label: str) -> None:
        """A dashed line across, with its label above the left end, where a run has not gone astray yet."""
        if not math.isfinite(value) or (self.y.log and value <= 0):
            return
        frame, height = self.frame, self.up(value)
        self.element("line", "threshold", x1=frame.left, x2=frame.width - frame.right, y1=height, y2=height)
        below = height < frame.top + 14
        self.text(label, frame.left + 4, height + (13 if below else -4), "tick threshold-label")

    def interval(self, x: float, low: float, high: float, style: str) -> None:
        """A vertical bar from low to high; cut off at the edges of the chart."""
        low, high = max(low, self.y.low), min(high, self.y.high)
        place = self.across(x)
        self.element("line", f"interval {style}", x1=place, x2=place, y1=self.up(low), y2=self.up(high))

    def mark(self, x: float, y: float, style: str, label: str) -> None:
        """A dot."""
        if math.isfinite(y):
            dot = self.element("circle", f"dot {style}", cx=self.across(x), cy=self.up(y), r=3)
            self.hover(dot, label)

    def cell(self, x: float, y: float, style: str, label: str) -> None:
        """A square of a heat map, one unit wide, its low corner at (x, y)."""
        left, top = self.across(x), self.up(y + 1)
        width, height = self.across(x + 1) - left, self.up(y) - top
        square = self.element("rect", style, x=left, y=top, width=width, height=height)
        self.hover(square, label)

    def element(self, tag: str, style: str, **attributes: float | str) -> ElementTree.Element:
        """Add an element; numbers are rounded to a tenth of a unit."""
        texts = {
            key: value if isinstance(value, str) else f"{value:.1f}".removesuffix(".0")
            for key, value in attributes.items()
        }
        return ElementTree.SubElement(self.root, tag, {"class": style, **texts})

    def text(self, words: str, x: float, y: float, style: str) -> ElementTree.Element:
        """Add a text."""
        added = self.element("text", style, x=x, y=y)
        added.text = wording.clean(words)
        return added

    def hover(self, element: ElementTree.Element, label: str) -> None:
        """What is shown when a pointer rests on the element."""
        if label:
            ElementTree.SubElement(element, "title").text = wording.clean(label)

    def __str__(self) -> str:
        return ElementTree.tostring(self.root, encoding="unicode")


def tick_label(value: float) -> str:
    """A tick's number, without the dust of binary fractions."""
    if value and (abs(value) >= 1e5 or abs(value) < 1e-3):
        return f"{value:.0e}".replace("e+0", "e").replace("e-0", "e-")
    return f"{round(value, 6):g}"
