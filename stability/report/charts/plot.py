"""Figures for papers: the charts of the HTML page, drawn by matplotlib as SVG, PNG or PDF."""

from __future__ import annotations

import io
import math
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

from stability.report.charts.chart import Cell, Chart, Interval, Line, Mark, Shape, Threshold
from stability.report.charts.figures import Figure
from stability.report.charts.palette import LIGHT, PATTERNS
from stability.report.charts.shade import LEFT_OUT
from stability.report.steps import wording

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Drawing

UNDATED: dict[str, dict[str, None]] = {
    "svg": {"Date": None}, "pdf": {"CreationDate": None}, "png": {"Software": None},
}  # fmt: skip
INCHES: dict[Shape, tuple[float, float]] = {
    "wide": (4.2, 2.8), "square": (2.7, 2.7), "small": (2.3, 1.75), "rows": (4.2, 0.55),
}  # fmt: skip
"""Width and height of a chart in inches; for a chart of bars, the height of each bar."""
ACROSS: dict[Shape, int] = {"wide": 1, "square": 2, "small": 3, "rows": 1}
LONGEST = 48  # characters of a label
LEGEND_ROW = 0.19  # inches
LETTER = 0.062  # inches; average width of a character in the legend
STYLE: Any = {
    "axes.edgecolor": LIGHT["quiet"],
    "axes.labelcolor": LIGHT["ink"],
    "axes.linewidth": 0.6,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": 8,
    "font.family": "DejaVu Sans",  # comes with matplotlib, so that a figure is the same everywhere
    "font.size": 7.5,
    "grid.color": LIGHT["grid"],
    "grid.linewidth": 0.6,
    "pdf.fonttype": 42,
    "svg.fonttype": "path",
    "svg.hashsalt": "stability",
    "text.parse_math": False,
    "xtick.color": LIGHT["quiet"],
    "ytick.color": LIGHT["quiet"],
}


def plot(figure: Figure, formats: Iterable[str], dpi: int = 200) -> dict[str, bytes]:
    """The figure as a file in each format; the same figure gives the same bytes. `dpi` is for PNG.

    Charts are in rows of one to three, with the legend below. There is no caption; the paper has its own.
    """
    files: dict[str, bytes] = {}
    with styled():
        drawing = draw(figure)
        for format_ in formats:
            written = io.BytesIO()
            drawing.savefig(written, format=format_, dpi=dpi, metadata=UNDATED[format_])
            files[format_] = written.getvalue()
    return files


@contextmanager
def styled() -> Iterator[None]:
    """Use our own style, whatever the user's is; a character missing in the font gives no warning."""
    import matplotlib as mpl

    with mpl.rc_context(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r"Glyph .* missing from font", category=UserWarning)
        mpl.rcdefaults()
        mpl.rcParams.update(STYLE)
        yield


def draw(figure: Figure) -> Drawing:
    """Draw the figure's charts in rows, and its legend."""
    from matplotlib.figure import Figure as Drawing

    shapes = [chart.shape for chart in figure.charts]
    across = min(len(figure.charts), min(ACROSS[shape] for shape in shapes))
    rows = math.ceil(len(figure.charts) / across)
    width = across * max(INCHES[shape][0] for shape in shapes)
    heights = [
        max(height(chart) for chart in figure.charts[row * across : (row + 1) * across])
        for row in range(rows)
    ]
    columns = legend_columns(figure, width)
    below = LEGEND_ROW * math.ceil(len(figure.legend) / columns) + 0.05 if figure.legend else 0.0
    drawing = Drawing(figsize=(width, sum(heights) + below), layout="constrained")
    grid = drawing.add_gridspec(rows, across, height_ratios=heights)
    for index, chart in enumerate(figure.charts):
        draw_chart(drawing.add_subplot(grid[index // across, index % across]), chart)
    if figure.legend:
        handles = [handle(entry.style, entry.kind) for entry in figure.legend]
        labels = [printable(entry.label) for entry in figure.legend]
        drawing.legend(handles, labels, loc="outside lower center", ncols=columns, frameon=False, fontsize=7)
    return drawing


def height(chart: Chart) -> float:
    """The height of a chart in inches."""
    bars = max(1, len(chart.y.labels)) * 0.25 if chart.shape == "rows" else 0.0
    return INCHES[chart.shape][1] + bars


def legend_columns(figure: Figure, width: float) -> int:
    """How many entries of the legend fit in a row."""
    longest = max((len(printable(entry.label)) for entry in figure.legend), default=1)
    return max(1, min(len(figure.legend), math.floor(width / (0.45 + LETTER * longest))))


def draw_chart(axes: Axes, chart: Chart) -> None:
    """Draw one chart into its axes."""
    axes.set_title(printable(chart.title), loc="left")
    axes.set_xscale("log" if chart.x.log else "linear")
    axes.set_yscale("log" if chart.y.log else "linear")
    for axis, along in ((chart.x, axes.xaxis), (chart.y, axes.yaxis)):
        ticks = axis.ticks()
        along.set_ticks([value for value, _ in ticks], labels=[printable(label) for _, label in ticks])
    axes.minorticks_off()
    axes.set_xlabel(printable(chart.x.label))
    axes.set_ylabel(printable(chart.y.label))
    if chart.shape in ("wide", "small"):
        axes.grid(axis="y")
        axes.set_axisbelow(True)
    if chart.shape == "square":
        axes.set_box_aspect(1)
    for item in chart.items:
        draw_item(axes, chart, item)
    axes.set_xlim(chart.x.low, chart.x.high)
    axes.set_ylim(chart.y.low, chart.y.high)


def draw_item(axes: Axes, chart: Chart, item: Any) -> None:
    """Draw a line, bound, interval, dot or rectangle."""
    match item:
        case Line():
            style = line_style(item.style)
            for piece in item.pieces(chart.y):
                marker: dict[str, Any] = (
                    {"marker": "o", "markersize": 2.4} if item.dots or len(piece) == 1 else {}
                )
                axes.plot(*zip(*piece, strict=True), **style, **marker, clip_on=False)
        case Threshold():
            axes.axhline(item.value, color=LIGHT["fail"], linewidth=0.9, linestyle=(0, (5, 3)))
            axes.annotate(
                printable(item.label),
                (0, item.value),
                (2, 2),
                xycoords=("axes fraction", "data"),
                textcoords="offset points",
                color=LIGHT["fail"],
                fontsize=6.5,
                annotation_clip=False,
            )
        case Interval():
            axes.vlines(item.x, item.low, item.high, color=colour(item.style), linewidth=1.2, alpha=0.75)
        case Mark():
            ring = {"edgecolors": LIGHT["fail"], "linewidths": 1.0} if item.failed else {"linewidths": 0}
            axes.scatter([item.x], [item.y], s=14, color=colour(item.style), zorder=3, clip_on=False, **ring)
        case Cell():
            axes.add_patch(rectangle(item, outlined=chart.shape == "rows"))


def rectangle(cell: Cell, *, outlined: bool) -> Any:
    """A cell as a patch; a left-out value is an empty frame."""
    from matplotlib.patches import Rectangle

    is_empty = cell.style == LEFT_OUT
    edge = LIGHT["other"] if is_empty else "white" if outlined else colour(cell.style)
    return Rectangle(
        (cell.x, cell.y),
        cell.width,
        cell.height,
        facecolor="none" if is_empty else colour(cell.style),
        edgecolor=edge,
        linewidth=0.4,
    )


def handle(style: str, kind: Literal["line", "area"]) -> Any:
    """The sample of a style in a legend."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    if kind == "line":
        return Line2D([], [], **line_style(style))
    if style == LEFT_OUT:
        return Patch(facecolor="none", edgecolor=LIGHT["other"])
    return Patch(facecolor=colour(style), edgecolor="none")


def line_style(style: str) -> dict[str, Any]:
    """Colour, width and dashes of a style such as `c2 d1`."""
    dashes = next((PATTERNS[word] for word in style.split() if word in PATTERNS), None)
    is_quiet = style == "other"
    return {
        "color": colour(style),
        "linewidth": 0.8 if is_quiet else 1.3,
        "alpha": 0.6 if is_quiet else 1.0,
        "linestyle": "-" if dashes is None else (0, dashes),
    }


def colour(style: str) -> str:
    """The colour of a style: that of its first word that has one."""
    return next(LIGHT[word] for word in style.split() if word in LIGHT)


def printable(text: str) -> str:
    """One short line without control characters; matplotlib leaves out labels that begin with "_"."""
    shown = wording.shortened(wording.clean(text), LONGEST)
    return f"\N{ZERO WIDTH SPACE}{shown}" if shown.startswith("_") else shown
