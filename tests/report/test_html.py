"""The page, as text and in a browser."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
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
    return [ElementTree.fromstring(svg) for svg in re.findall(r"<svg.*?</svg>", text, flags=re.S)]


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
        "detects 0.088; 8 % of answers changed",
    ]


def test_every_figure_of_the_paper_is_there_for_each_editor(gate: Gate, records: ModuleType) -> None:
    found = [titles(chart) for chart in charts(render_html(*two_editors(gate, records)))]
    each = [
        "Norm of the edited matrices",
        "Activation norm by layer",
        "Probe accuracy after 120 edits",
        "Change of probe accuracy after 120 edits",
        "Task scores",
        "Edit quality",
        "Time",
    ]
    assert found == each * 2


def test_the_line_of_a_matrix_goes_through_its_norms(gate: Gate, records: ModuleType) -> None:
    record, judgement = gate()
    chart = charts(render_html(record, judgement))[0]
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
        line for line in charts(render_html(*gate()))[0].iter("line") if line.get("class") == "threshold"
    ]
    ticks = [text for text in charts(render_html(*gate()))[0].iter("text") if text.get("class") == "tick end"]
    [two] = [float(str(text.get("y"))) - 4 for text in ticks if text.text == "2"]
    assert float(str(threshold.get("y1"))) == pytest.approx(two, abs=0.11)


def test_every_pair_of_blocks_is_a_cell_of_both_heat_maps(gate: Gate) -> None:
    for chart in charts(render_html(*gate()))[2:4]:
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


def test_several_editors_have_a_table_of_who_fails_first(gate: Gate, records: ModuleType) -> None:
    text = render_html(*two_editors(gate, records))
    table = " ".join(re.sub(r"<[^>]+>", " ", text[text.index("<main>") : text.index("</table>")]).split())
    assert "memit 2 failed, 5 passed, 1 warned, 2 inconclusive, 1 skipped 40 edits" in table
    assert "edited_weight_norm, at 60 edits" in table
    assert "rome 10 passed, 1 skipped 120 edits –" in table
    assert "overview" not in render_html(*gate())


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
    chart = charts(text)[0]
    lines = [line for line in chart.iter("polyline") if line.findtext("title") == "h.1.mlp.c_proj"]
    assert len(lines) == 2
    assert "nan" not in ElementTree.tostring(chart, encoding="unicode")


def test_norms_that_explode_are_shown_on_a_logarithmic_axis(gate: Gate, records: ModuleType) -> None:
    chart = charts(render_html(*gate(records.whole_run(growth=0.2)[1])))[0]
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


@pytest.fixture(scope="module")
def chromium() -> str:
    """A browser to look with; its absence is a failure where STABILITY_REQUIRE asks for it."""
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        if "chromium" in os.environ.get("STABILITY_REQUIRE", ""):
            pytest.fail("STABILITY_REQUIRE asks for chromium, and there is none")
        pytest.skip("no chromium to open the page with")
    return path


PROBE = """<script>
addEventListener("load", () => {
  const wide = [...document.querySelectorAll("body *")].filter(
    element => element.getBoundingClientRect().right > innerWidth + 0.5 && !element.closest("svg, thead"));
  const cut = [...document.querySelectorAll("tbody td, tbody th")].filter(
    cell => cell.scrollWidth > cell.clientWidth + 1);
  parent.postMessage({
    width: innerWidth,
    cut: cut.map(cell => cell.textContent).join(" "),
    overflow: document.documentElement.scrollWidth - innerWidth,
    wide: wide.map(element => element.tagName).join(" "),
    requests: performance.getEntriesByType("resource").length,
  }, "*");
});
</script>"""
OUTER = """<!doctype html><html><body><iframe src="report.html" width="{width}" height="900" style="border: 0">
</iframe><script>
addEventListener("message", message => Object.assign(document.documentElement.dataset, message.data));
</script></body></html>"""


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("which", ["plain", "hostile"])
def test_in_a_browser_nothing_overflows_nothing_is_fetched_and_nothing_complains(
    chromium: str, gate: Gate, hostile: tuple[Any, Any], tmp_path: Path, width: int, which: str
) -> None:
    text = render_html(*(gate() if which == "plain" else hostile))
    policy = re.compile(r'<meta http-equiv="Content-Security-Policy"[^>]*>')
    report, page = tmp_path / "report.html", tmp_path / "outer.html"
    report.write_text(policy.sub("", text).replace("</body>", f"{PROBE}</body>"), encoding="utf-8")
    page.write_text(OUTER.format(width=width), encoding="utf-8")  # a window cannot be as narrow as a phone
    result = subprocess.run(
        [
            chromium,
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--hide-scrollbars",
            "--enable-logging=stderr",
            f"--user-data-dir={tmp_path / 'profile'}",
            "--window-size=1400,1000",
            "--virtual-time-budget=2000",
            "--dump-dom",
            page.as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=180,
        check=True,
    )
    found = dict(re.findall(r'data-(width|cut|overflow|wide|requests)="([^"]*)"', result.stdout))
    assert found == {"width": str(width), "cut": "", "overflow": "0", "wide": "", "requests": "0"}
    assert "CONSOLE" not in result.stderr
