"""Figures as files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any
from xml.etree import ElementTree

import matplotlib as mpl
import pytest

from stability.errors import RecordError, UsageError
from stability.judge import Judgement
from stability.record import Record
from stability.report.charts.chart import Axis, Chart
from stability.report.charts.figures import Figure, LegendEntry, editor_runs, figure_names, figures
from stability.report.charts.files import file_stem, write_figures
from stability.report.charts.palette import LIGHT
from stability.report.charts.plot import draw, plot, styled

Gate = Callable[..., tuple[Record, Judgement]]
STARTS = {"svg": b"<?xml", "png": b"\x89PNG", "pdf": b"%PDF"}


def two(gate: Gate, records: ModuleType) -> tuple[Record, Judgement]:
    return gate(records.whole_run()[1], records.whole_run("rome", growth=0.004)[1])


def named(gate: Gate, name: str) -> Figure:
    [editor] = editor_runs(*gate())
    return next(figure for figure in figures(editor) if figure.name == name)


def test_every_figure_is_written_in_every_format(gate: Gate, records: ModuleType, tmp_path: Path) -> None:
    record, judgement = two(gate, records)
    record = record.model_copy(update={"base": records.checkpoint(0, **record.base.readings)})
    written = write_figures(
        record, judgement, tmp_path, names=["norms", "side-by-side"], formats=["svg", "png", "pdf"], dpi=40
    )
    assert sorted(path.name for path in written) == sorted(
        f"{stem}.{ending}" for stem in ("side-by-side", "memit-norms", "rome-norms") for ending in STARTS
    )
    for path in written:
        assert path.read_bytes().startswith(STARTS[path.suffix[1:]])


def test_without_names_every_figure_that_has_something_is_drawn(gate: Gate, tmp_path: Path) -> None:
    written = write_figures(*gate(), tmp_path, formats=["svg"])
    of_one = [name for name in figure_names() if name != "side-by-side"]
    assert [path.stem for path in written] == [f"memit-{name}" for name in of_one]


def test_the_same_figure_is_the_same_file(gate: Gate) -> None:
    figure = named(gate, "tasks")
    assert plot(figure, ["svg", "pdf", "png"], 40) == plot(figure, ["svg", "pdf", "png"], 40)


def test_the_line_goes_through_the_measured_norms_and_the_bound_stands_at_its_place(
    gate: Gate, records: ModuleType
) -> None:
    record, _ = gate()
    [axes] = draw(named(gate, "norms")).axes
    base = record.base.readings["weight_norm"].values[records.name(1)]
    ratios = [
        point.readings["weight_norm"].values[records.name(1)] / base for point in record.runs[0].checkpoints
    ]
    [line] = [line for line in axes.lines if line.get_color() == LIGHT["c0"]]
    assert list(line.get_ydata()) == pytest.approx([1.0, *ratios])
    [bound] = [line for line in axes.lines if line.get_color() == LIGHT["fail"]]
    assert set(bound.get_ydata()) == {2.0}


def test_axes_have_their_names_and_units(gate: Gate) -> None:
    for name, labels in {
        "norms": [("edits", "‖W‖ over ‖W‖ before")],
        "activations": [("block", "norm over norm before")],
        "probes": [("block", "block"), ("block", "block")],
        "tasks": [("edits", "score now − before")],
        "retention": [("edits made", "edit")],
    }.items():
        found = [(axes.get_xlabel(), axes.get_ylabel()) for axes in draw(named(gate, name)).axes]
        assert found == labels, name


def test_the_legend_has_every_entry(gate: Gate) -> None:
    figure = named(gate, "activations")
    [legend] = draw(figure).legends
    assert [text.get_text() for text in legend.get_texts()] == [entry.label for entry in figure.legend]


@pytest.mark.parametrize("name", ["_hidden", "$x^2", "\x1b[2J<b>", "日本" + "a" * 300])
def test_any_name_can_stand_in_a_figure(name: str) -> None:
    chart = Chart(name, name, Axis(0, 1, "x"), Axis(0, 1, name))
    chart.line([(0, 0), (1, 1)], "c0", name)
    chart.threshold(0.5, name)
    figure = Figure("f", name, name, (chart,), (LegendEntry("c0", name), LegendEntry("c1", "other")))
    ElementTree.fromstring(plot(figure, ["svg"])["svg"])
    with styled():
        [legend] = draw(figure).legends
    assert len(legend.get_texts()) == 2


def test_the_users_own_style_neither_matters_nor_is_changed(gate: Gate) -> None:
    figure = named(gate, "norms")
    plain = plot(figure, ["svg"])
    with mpl.rc_context({"lines.linewidth": 9, "axes.facecolor": "black", "font.size": 30}):
        assert plot(figure, ["svg"]) == plain
        assert mpl.rcParams["font.size"] == 30


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"names": ["nroms"]}, "no figure is called 'nroms'; there are norms, "),
        ({"editors": ["rmoe"]}, "no editor is called 'rmoe'; there are memit"),
        ({"formats": ["gif"]}, "no format is called 'gif'; there are svg, pdf, png"),
        ({"names": ["side-by-side"]}, "nothing to draw in the figure 'side-by-side'"),
    ],
)
def test_what_is_not_there_is_said_before_anything_is_written(
    gate: Gate, tmp_path: Path, wrong: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        write_figures(*gate(), tmp_path, **wrong)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_said_in_a_line(gate: Gate, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RecordError, match=r"memit-norms\.svg: cannot be written: .*choose another place"):
        write_figures(*gate(), tmp_path / "file", names=["norms"], formats=["svg"])


def test_file_names_are_plain_whatever_an_editor_is_called() -> None:
    assert file_stem("./my editor.py:edit", "norms", ()) == "my-editor.py-edit-norms"
    assert file_stem("../../etc", "norms", ()) == "etc-norms"
    assert file_stem("sphere(memit)", "norms", {"sphere-memit-norms"}) == "sphere-memit-norms-2"
    assert file_stem("", "side-by-side", ()) == "side-by-side"
