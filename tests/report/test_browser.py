"""The page in a browser, at the width of a phone and of a desk: all of it unfolded, and as it comes."""

from __future__ import annotations

import html
import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from stability.judge import Judgement
from stability.record import Record
from stability.report import render_html

Gate = Callable[..., tuple[Record, Judgement]]
PAGES = ("one", "several", "hostile")
WIDTHS = (390, 1280)
REQUIRE = "STABILITY_REQUIRE"

# Said by each page to the one around it, once it is loaded and everything in it is unfolded.
PROBE = """<script>
addEventListener("load", () => {
  document.querySelectorAll("details").forEach(part => part.open = true);
  const outside = element => element.getBoundingClientRect().right > innerWidth + 0.5;
  const wide = [...document.querySelectorAll("body *")].filter(
    element => outside(element) && !element.closest("svg, .stacked thead, .scroll *"));
  const cut = [...document.querySelectorAll(".stacked tbody td, .stacked tbody th")].filter(
    cell => cell.scrollWidth > cell.clientWidth + 1);
  const unread = [...document.querySelectorAll("svg[role=img]")].filter(
    chart => !chart.getAttribute("aria-labelledby").split(" ").every(id => document.getElementById(id)));
  const rows = [...document.querySelectorAll(".verdicts tbody tr")];
  parent.postMessage({
    name: window.name,
    width: innerWidth,
    overflow: document.documentElement.scrollWidth - innerWidth,
    wide: wide.map(element => element.tagName),
    cut: cut.map(cell => cell.textContent),
    unread: unread.length,
    small: [...document.querySelectorAll("body *")].filter(
      element => parseFloat(getComputedStyle(element).fontSize) < 10).length,
    statuses: rows.map(row => row.className),
    tops: rows.map(row => row.getBoundingClientRect().top),
    figures: Math.min(...[...document.querySelectorAll("figure")].map(
      figure => figure.getBoundingClientRect().top)),
    scripts: document.scripts.length,
    injected: document.querySelectorAll("img, iframe, object, embed, form, a[href^=javascript]").length,
    text: document.body.innerText,
    headings: [...document.querySelectorAll(".numbers tbody th")].map(cell => cell.textContent),
    requests: performance.getEntriesByType("resource").map(entry => entry.name),
  }, "*");
});
</script>"""
FRAME = '<iframe name="{name}" src="{file}" width="{width}" height="900" style="border: 0"></iframe>'
OUTER = """<!doctype html><html><body><pre id="found"></pre><script>
const found = [];
addEventListener("message", message => {{
  found.push(message.data);
  document.getElementById("found").textContent = JSON.stringify(found);
}});
</script>{frames}</body></html>"""
POLICY = re.compile(r'<meta http-equiv="Content-Security-Policy"[^>]*>')
SWITCHES = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--hide-scrollbars",
    "--enable-logging=stderr", "--window-size=1400,1000", "--virtual-time-budget=5000", "--dump-dom",
)  # fmt: skip


@pytest.fixture(scope="module")
def chromium() -> str:
    """A browser to look with; its absence is a failure where STABILITY_REQUIRE asks for it."""
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        if "chromium" in os.environ.get(REQUIRE, ""):
            pytest.fail(f"{REQUIRE} asks for chromium, and there is none")
        pytest.skip("no chromium to open the page with")
    return path


@pytest.fixture(scope="module")
def seen(
    chromium: str,
    gate: Gate,
    hostile: tuple[Any, Any],
    records: ModuleType,
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[dict[str, dict[str, Any]], str]:
    """What each page says of itself at each width, by `page-width`; and what the browser complains of."""
    folder = tmp_path_factory.mktemp("browser")
    base, memit = records.whole_run()
    runs = [
        memit,
        *(records.whole_run(name, growth=0.004)[1] for name in ("rome", "alphaedit", "pmet")),
        records.whole_run("ft", growth=0.03)[1],
    ]
    pages = {"one": gate(), "several": gate(*runs, base=base), "hostile": hostile}
    frames = []
    for name, pair in pages.items():
        text = render_html(*pair)
        (folder / f"{name}.html").write_text(text, encoding="utf-8")
        probed = POLICY.sub("", text).replace("</body>", f"{PROBE}</body>")
        (folder / f"{name}-probed.html").write_text(probed, encoding="utf-8")
        frames += [
            FRAME.format(name=f"{name}-{width}", file=f"{name}-probed.html", width=width) for width in WIDTHS
        ]
        frames.append(FRAME.format(name=name, file=f"{name}.html", width=1280))  # as it comes
    outer = folder / "outer.html"
    outer.write_text(OUTER.format(frames="".join(frames)), encoding="utf-8")
    profile = f"--user-data-dir={folder / 'profile'}"
    result = subprocess.run(
        [chromium, *SWITCHES, profile, outer.as_uri()],
        capture_output=True,
        text=True,
        timeout=180,
        check=True,
    )
    said = re.search(r'<pre id="found">(.*?)</pre>', result.stdout, flags=re.S)
    assert said is not None
    assert said[1], result.stderr
    return {page["name"]: page for page in json.loads(html.unescape(said[1]))}, result.stderr


def test_every_page_was_looked_at(seen: tuple[dict[str, dict[str, Any]], str]) -> None:
    assert {name: page["width"] for name, page in seen[0].items()} == {
        f"{name}-{width}": width for name in PAGES for width in WIDTHS
    }


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", PAGES)
def test_nothing_overflows_or_is_cut_or_too_small_to_read(
    seen: tuple[dict[str, dict[str, Any]], str], name: str, width: int
) -> None:
    page = seen[0][f"{name}-{width}"]
    assert (page["overflow"], page["wide"], page["cut"], page["small"]) == (0, [], [], 0)


@pytest.mark.parametrize("name", PAGES)
def test_nothing_is_fetched(seen: tuple[dict[str, dict[str, Any]], str], name: str) -> None:
    assert seen[0][f"{name}-1280"]["requests"] == []


def test_the_browser_complains_of_nothing(seen: tuple[dict[str, dict[str, Any]], str]) -> None:
    assert "CONSOLE" not in seen[1]


@pytest.mark.parametrize("width", WIDTHS)
def test_failed_checks_are_seen_first_and_all_verdicts_before_any_figure(
    seen: tuple[dict[str, dict[str, Any]], str], width: int
) -> None:
    page = seen[0][f"one-{width}"]
    ranks = [["fail", "error", "warn", "inconclusive", "pass", "skip"].index(one) for one in page["statuses"]]
    assert page["statuses"][0] == "fail"
    assert ranks == sorted(ranks)
    assert page["tops"] == sorted(page["tops"])
    assert page["tops"][-1] < page["figures"]


def test_every_chart_is_named_and_described(seen: tuple[dict[str, dict[str, Any]], str]) -> None:
    assert [page["unread"] for page in seen[0].values()] == [0] * len(seen[0])


def test_hostile_strings_are_text(seen: tuple[dict[str, dict[str, Any]], str]) -> None:
    page = seen[0]["hostile-1280"]
    assert page["scripts"] == 1  # the probe's own
    assert page["injected"] == 0
    for place in ("Settings of", "stability run"):
        assert f"{place} <script>alert(1)</script>" in page["text"]
    assert any(heading.startswith("<script>alert(1)</script>") for heading in page["headings"])  # a task
