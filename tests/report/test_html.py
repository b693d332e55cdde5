"""The page, as text; test_browser.py looks at it in a browser."""

from __future__ import annotations

import re
from collections.abc import Callable
from html.parser import HTMLParser
from types import ModuleType
from typing import Any
from xml.etree import ElementTree

import pytest

from stability.judge import Judgement
from stability.record import Record
from stability.report import render_html

Gate = Callable[..., tuple[Record, Judgement]]
VOID = {"meta", "link", "col", "br", "hr", "img", "input"}


class Page(HTMLParser):
    """Tags, attributes and text of a page; complains about tags that are not closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def two_editors(gate: Gate, records: ModuleType) -> tuple[Record, Judgement]:
    return gate(records.whole_run()[1], records.whole_run("rome", growth=0.004)[1])


def charts(text: str) -> list[ElementTree.Element]:
    found = re.findall(r'<svg [^>]*role="img".*?</svg>', text, flags=re.S)  # a legend's samples have no role
    return [ElementTree.fromstring(svg) for svg in found]


def of(text: str, *called: str) -> list[ElementTree.Element]:
    """The charts whose titles begin so."""
    return [chart for chart in charts(text) if titles(chart).startswith(called)]


def titles(chart: ElementTree.Element) -> str:
    return str(chart.findtext("title"))


def test_verdicts_come_before_figures_and_failed_ones_before_all_others(gate: Gate) -> None:
    text = render_html(*gate())
    order = re.findall(r'<tr class="(\w+)">', text)
    assert order == sorted(order, key=["fail", "error", "warn", "inconclusive", "pass", "skip"].index)
    assert order[0] == "fail"
    assert text.index('<tr class="skip">') < text.index("<svg")


def test_a_row_shows_value_bound_interval_place_and_bracket(gate: Gate) -> None:
    rows = re.findall(r'<tr class="fail">.*?</tr>', render_html(*gate()), flags=re.S)
    words = [" ".join(re.sub(r"<[^>]+>", " ", row).split()) for row in rows]
    assert words == [
        "fail edited_weight_norm 6.82 &lt;= 2.0 h.1.mlp.c_proj held to 40, failed at 60 margin -241 %",
        "fail task_drop[choice] -0.084 &gt;= -0.05 [-0.13, -0.06] held to 60, failed at 120 "
        "detects 0.12; 8 % of answers changed",
    ]


def test_every_figure_of_the_paper_is_there_for_each_editor(gate: Gate, records: ModuleType) -> None:
    text = render_html(*two_editors(gate, records))
    found = [titles(chart) for chart in charts(text[text.index('id="figures"') :])]
    each = [
        "Norm of every matrix",
        "Activation norm by layer",
        "mlp_out",
        "attn_qkv",
        "attn_out",
        "mlp_in",
        "Probe accuracy after 120 edits",
        "Change of probe accuracy after 120 edits",
        "Task scores",
        "Edit quality",
        "Retention of each edit",
        "Time",
    ]
    assert found[-2 * len(each) :] == each * 2


def test_the_line_of_a_matrix_goes_through_its_norms(gate: Gate, records: ModuleType) -> None:
    record, judgement = gate()
    [chart] = of(render_html(record, judgement), "Norm of every matrix")
    base = record.base.readings["weight_norm"].values[records.name(1)]
    ratios = [1.0] + [
        point.readings["weight_norm"].values[records.name(1)] / base for point in record.runs[0].checkpoints
    ]
    [line] = [line for line in chart.iter("polyline") if line.findtext("title") == "h.1.mlp.c_proj"]
    heights = [float(point.split(",")[1]) for point in str(line.get("points")).split()]
    ticks = {
        text.text: float(str(text.get("y"))) - 4
        for text in chart.iter("text")
        if text.get("class") == "tick end"
    }
    unit = (ticks["2"] - ticks["6"]) / 4
    assert [(ticks["2"] - height) / unit + 2 for height in heights] == pytest.approx(ratios, abs=0.01)


def test_the_threshold_stands_where_the_suite_put_it(gate: Gate) -> None:
    [threshold] = [
        line
        for line in of(render_html(*gate()), "Norm of every matrix")[0].iter("line")
        if line.get("class") == "threshold"
    ]
    [chart] = of(render_html(*gate()), "Norm of every matrix")
    ticks = [text for text in chart.iter("text") if text.get("class") == "tick end"]
    [two] = [float(str(text.get("y"))) - 4 for text in ticks if text.text == "2"]
    assert float(str(threshold.get("y1"))) == pytest.approx(two, abs=0.11)


def test_every_pair_of_blocks_is_a_cell_of_both_heat_maps(gate: Gate) -> None:
    found = of(render_html(*gate()), "Probe accuracy", "Change of probe accuracy")
    assert len(found) == 2
    for chart in found:
        labels = [str(cell.findtext("title")) for cell in chart.iter("rect")]
        assert len(labels) == 28
        assert sum("left out (held-out accuracy 0.93" in label for label in labels) == 1


def test_a_chart_is_named_and_described_for_a_screen_reader(gate: Gate) -> None:
    for chart in charts(render_html(*gate())):
        names = str(chart.get("aria-labelledby")).split()
        texts = {part.get("id"): part.text for part in chart if part.tag in ("title", "desc")}
        assert all(texts[name] for name in names)


def test_ids_are_unique(gate: Gate, records: ModuleType) -> None:
    page = Page(render_html(*two_editors(gate, records)))
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))


def test_several_editors_have_a_table_of_who_fails_where_first(gate: Gate, records: ModuleType) -> None:
    text = render_html(*two_editors(gate, records))
    table = text[text.index('<table class="matrix">') : text.index("</table>")]
    rows = re.findall(r"<tr>(.*?)</tr>", table, flags=re.S)
    words = [" ".join(re.sub(r"<[^>]+>", " ", row).split()) for row in rows]
    assert words[0].startswith(
        "editor held to failed first edited_weight_norm task_drop[choice] norm_imbalance"
    )
    assert words[1].startswith(
        "memit failed first: edited_weight_norm at 60 40 edited_weight_norm at 60 ✗ 60 fail ✗ "
    )
    assert words[2].startswith("rome 120 ✓ pass ✓ pass")
    assert 'class="matrix"' not in render_html(*gate())


def test_the_editor_that_fails_comes_before_the_one_that_holds(gate: Gate, records: ModuleType) -> None:
    base, holds = records.whole_run("rome", growth=0.004)
    text = render_html(*gate(holds, records.whole_run()[1], base=base))
    headlines = re.findall(r'<h2 id="editor-\d">(.*?)</h2>', text)
    assert [headline.split()[2] for headline in headlines] == ["memit", "rome"]


def test_all_verdicts_stand_before_any_figure(gate: Gate, records: ModuleType) -> None:
    text = render_html(*two_editors(gate, records))
    assert text.rindex('<table class="verdicts') < text.index("<figure")


def test_several_editors_lie_over_one_another_in_a_chart_for_each_check(
    gate: Gate, records: ModuleType
) -> None:
    record, judgement = two_editors(gate, records)
    text = render_html(record, judgement)
    figure = text[text.index('<figure class="side-by-side">') :]
    figure = figure[: figure.index("</figure>")]
    first, *_ = charts(figure)
    assert titles(first) == "edited_weight_norm"
    styles = {
        str(line.findtext("title")).split(":")[0]: str(line.get("class")) for line in first.iter("polyline")
    }
    assert styles == {"memit": "series c0", "rome": "series c1"}
    legend = re.findall(r'class="series (c\d)"[^>]*/></svg>(\w+)</li>', figure)
    assert legend == [("c0", "memit"), ("c1", "rome")]
    moving = {titles(chart) for chart in charts(figure)}
    assert {"task_drop[choice]", "activation_norm", "subspace_shift"} <= moving
    assert "frozen" not in moving  # 0 everywhere


def test_more_editors_than_three_are_folded_where_nothing_failed(gate: Gate, records: ModuleType) -> None:
    base, _ = records.whole_run()
    growths = {"memit": 0.016, "rome": 0.004, "ft": 0.004, "none": 0.0}
    runs = [records.whole_run(name, growth=growth)[1] for name, growth in growths.items()]
    text = render_html(*gate(*runs, base=base))
    verdicts = text[text.index('aria-label="Verdicts"') : text.index('id="figures"')]
    assert re.findall(r'<details class="editor"( open)?>', verdicts) == [" open", "", "", ""]


def test_the_lines_of_norms_by_layer_part_where_a_block_was_edited(gate: Gate) -> None:
    record, judgement = gate()
    [edited] = of(render_html(record, judgement), "mlp_out")
    [frozen] = of(render_html(record, judgement), "mlp_in")
    assert len(list(edited.iter("polyline"))) == 1 + len(record.runs[0].checkpoints)
    assert [line.findtext("title") for line in frozen.iter("polyline")] == ["before"]


def test_every_edit_has_a_cell_at_every_checkpoint_after_it(gate: Gate, records: ModuleType) -> None:
    record, judgement = gate(records.whole_run(at=(10, 20))[1])
    [chart] = of(render_html(record, judgement), "Retention of each edit")
    labels = [str(cell.findtext("title")) for cell in chart.iter("rect")]
    held = {point.edits: point.readings["edit_retention"].values for point in record.runs[0].checkpoints}
    assert labels == [
        f"edit {number} after {edits}: {held[edits][str(number)]:.0f}"
        for edits in (10, 20)
        for number in range(1, edits + 1)
    ]


def test_many_edits_share_a_row(gate: Gate, records: ModuleType) -> None:
    record, judgement = gate(records.whole_run(at=(100, 1000))[1])
    [chart] = of(render_html(record, judgement), "Retention of each edit")
    labels = [str(cell.findtext("title")) for cell in chart.iter("rect")]
    assert len(labels) == 4 + 40
    values = record.runs[0].checkpoints[1].readings["edit_retention"].values
    share = sum(values[str(number)] for number in range(1, 26)) / 25
    assert labels[4] == f"edits 1-25 after 1000: {share:.3g}"


def test_it_holds_all_that_it_takes_to_run_it_again(gate: Gate) -> None:
    record, judgement = gate()
    text = "".join(Page(render_html(record, judgement)).text)
    for part in (record.command, record.suite_text.strip(), record.model.fingerprint, "2.9", "layers"):
        assert part in text


def test_a_record_of_runs_that_measured_nothing_is_a_page_all_the_same(
    gate: Gate, records: ModuleType
) -> None:
    empty = records.run([], status="failed", error="boom", failed_at=0, edits=0)
    text = render_html(*gate(empty, base=records.checkpoint(0)))
    assert "could not be measured" in text
    assert "boom" in text


def test_figures_that_are_not_finite_leave_a_gap(gate: Gate, records: ModuleType) -> None:
    run = records.whole_run()[1]
    broken = (
        run.checkpoints[2]
        .readings["weight_norm"]
        .model_copy(
            update={"values": dict.fromkeys(run.checkpoints[2].readings["weight_norm"].values, float("nan"))}
        )
    )
    points = list(run.checkpoints)
    points[2] = points[2].model_copy(update={"readings": {**points[2].readings, "weight_norm": broken}})
    text = render_html(*gate(run.model_copy(update={"checkpoints": tuple(points)})))
    [chart] = of(text, "Norm of every matrix")
    lines = [line for line in chart.iter("polyline") if line.findtext("title") == "h.1.mlp.c_proj"]
    assert len(lines) == 2
    assert "nan" not in ElementTree.tostring(chart, encoding="unicode")


def test_norms_that_explode_are_shown_on_a_logarithmic_axis(gate: Gate, records: ModuleType) -> None:
    [chart] = of(render_html(*gate(records.whole_run(growth=0.2)[1])), "Norm of every matrix")
    ticks = [str(text.text) for text in chart.iter("text") if text.get("class") == "tick end"]
    assert ticks == ["1", "1000", "1e6", "1e9"]


def test_the_page_asks_for_nothing_from_elsewhere(gate: Gate, hostile: tuple[Any, Any]) -> None:
    for pair in (gate(), hostile):
        text = render_html(*pair)
        page = Page(text)
        assert not {tag for tag, _ in page.tags} & {"script", "img", "iframe", "object", "embed", "form"}
        for _, attributes in page.tags:
            assert not [name for name in attributes if name.startswith("on") or name == "src"]
            assert str(attributes.get("href", "#")).startswith(("#", "data:,"))
        assert "url(" not in text[: text.index("</style>")]
        assert "@import" not in text
        assert "default-src 'none'" in text


def test_hostile_names_stay_text(hostile: tuple[Any, Any]) -> None:
    text = render_html(*hostile)
    assert "<script" not in text
    assert "&lt;script&gt;alert(1)" in text
    assert not set(text) & {"\x1b", "\x00", "\u202e"}
    charts(text)


def test_a_large_record_is_a_page_of_less_than_five_megabytes(gate: Gate, records: ModuleType) -> None:
    at, layers = range(200, 2001, 200), 48
    editors = ("memit", "rome", "alphaedit", "pmet", "ft")
    runs = [records.whole_run(name, growth=0.001, at=at, layers=layers) for name in editors]
    base = runs[0][0]
    record, judgement = gate(*(run for _, run in runs), base=base, model=records.model(layers))
    text = render_html(record, judgement)
    assert len(of(text, "Probe accuracy")) == len(editors)
    assert len(text.encode()) < 5e6


def test_the_page_of_one_editor_is_smaller_than_two_megabytes(gate: Gate, records: ModuleType) -> None:
    base, run = records.whole_run(growth=0.001, at=range(100, 2001, 100), layers=48)
    text = render_html(*gate(run, base=base, model=records.model(48)))
    assert len(text.encode()) < 2e6
