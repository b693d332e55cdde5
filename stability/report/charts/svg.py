"""A chart as inline SVG for the HTML page, coloured by the page's styles; all text in it is escaped."""

from __future__ import annotations

from dataclasses import dataclass
from xml.etree import ElementTree

from stability.report.charts.chart import Cell, Chart, Interval, Line, Mark, Shape, Threshold
from stability.report.steps import wording

ROW = 26  # height of a row in a chart of bars
LONGEST = 30  # characters of a title above a small chart


@dataclass(frozen=True)
class Frame:
    """The size of a chart, in the units of its view box, and the margins that hold the labels."""

    width: float = 440
    height: float = 270
    left: float = 60
    right: float = 14
    top: float = 12
    bottom: float = 42


FRAMES: dict[Shape, Frame] = {
    "wide": Frame(),
    "square": Frame(width=240, height=230, left=44, right=4, top=6, bottom=38),
    "small": Frame(width=266, height=190, left=60, right=10, top=24, bottom=38),
}


def draw(chart: Chart, name: str) -> str:
    """The chart as an SVG element; `name` makes its ids unique on a page."""
    return ElementTree.tostring(Drawing(chart, name).root, encoding="unicode")


class Drawing:
    """An SVG element under construction."""

    def __init__(self, chart: Chart, name: str) -> None:
        self.chart = chart
        rows = len(chart.y.labels)
        frame = Frame(height=54 + ROW * rows, left=62) if chart.shape == "rows" else FRAMES[chart.shape]
        self.frame = frame
        self.root = ElementTree.Element(
            "svg",
            {
                "viewBox": f"0 0 {frame.width:g} {frame.height:g}",
                "class": chart.shape,
                "role": "img",
                "aria-labelledby": f"{name}-title {name}-summary",
            },
        )
        for tag, part, text in (("title", "title", chart.title), ("desc", "summary", chart.summary)):
            ElementTree.SubElement(self.root, tag, id=f"{name}-{part}").text = wording.clean(text)
        self.axes()
        for item in chart.items:
            match item:
                case Line():
                    self.line(item)
                case Threshold():
                    self.threshold(item)
                case Interval():
                    place = self.across(item.x)
                    ends = {"y1": self.up(item.low), "y2": self.up(item.high)}
                    self.element("line", f"interval {item.style}", x1=place, x2=place, **ends)
                case Mark():
                    style = f"dot {item.style}" + (" failed" if item.failed else "")
                    dot = self.element("circle", style, cx=self.across(item.x), cy=self.up(item.y), r=3)
                    hover(dot, item.label)
                case Cell():
                    self.cell(item)

    def across(self, value: float) -> float:
        """The horizontal position of a value."""
        frame = self.frame
        return frame.left + self.chart.x.share(value) * (frame.width - frame.left - frame.right)

    def up(self, value: float) -> float:
        """The vertical position of a value."""
        frame = self.frame
        height = frame.height - frame.top - frame.bottom
        return frame.height - frame.bottom - self.chart.y.share(value) * height

    def axes(self) -> None:
        """Draw the grid, tick labels and axis labels; a small chart, one of many, has its title above."""
        frame, chart = self.frame, self.chart
        floor = frame.height - frame.bottom
        is_grid = chart.shape in ("wide", "small")
        for value, label in chart.y.ticks():
            height = self.up(value)
            if is_grid:
                self.element(
                    "line", "grid", x1=frame.left, x2=frame.width - frame.right, y1=height, y2=height
                )
            self.text(label, frame.left - 6, height + 4, "tick end")
        for value, label in chart.x.ticks():
            place = self.across(value)
            if is_grid:
                self.element("line", "grid", x1=place, x2=place, y1=floor, y2=floor + 4)
            self.text(label, place, floor + 16, "tick middle")
        if is_grid:
            self.element("line", "axis", x1=frame.left, x2=frame.width - frame.right, y1=floor, y2=floor)
        middle = (frame.left + frame.width - frame.right) / 2
        self.text(chart.x.label, middle, frame.height - 6, "label middle")
        if chart.y.label:
            upright = (frame.top + floor) / 2
            upright_label = self.text(chart.y.label, 12, upright, "label middle")
            upright_label.set("transform", f"rotate(-90 12 {upright:g})")
        if chart.shape == "small":
            self.text(wording.shortened(chart.title, LONGEST), frame.left, 14, "label")

    def line(self, line: Line) -> None:
        """Draw a line, and dots at its points."""
        for piece in line.pieces(self.chart.y):
            places = [(self.across(x), self.up(y)) for x, y in piece]
            path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
            hover(self.element("polyline", f"series {line.style}", points=path), line.label)
            if line.dots or len(piece) == 1:
                for x, y in places:
                    hover(self.element("circle", f"dot {line.style}", cx=x, cy=y, r=2.6), line.label)

    def threshold(self, threshold: Threshold) -> None:
        """Draw a line across, with its label above the left end, where runs are still near the start."""
        frame, height = self.frame, self.up(threshold.value)
        self.element("line", "threshold", x1=frame.left, x2=frame.width - frame.right, y1=height, y2=height)
        below = height < frame.top + 14
        self.text(threshold.label, frame.left + 4, height + (13 if below else -4), "tick threshold-label")

    def cell(self, cell: Cell) -> None:
        """Draw a rectangle that shows its label on hovering."""
        left, top = self.across(cell.x), self.up(cell.y + cell.height)
        width, height = self.across(cell.x + cell.width) - left, self.up(cell.y) - top
        hover(self.element("rect", cell.style, x=left, y=top, width=width, height=height), cell.label)

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


def hover(element: ElementTree.Element, label: str) -> None:
    """What is shown when a pointer rests on the element."""
    if label:
        ElementTree.SubElement(element, "title").text = wording.clean(label)
