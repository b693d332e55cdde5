"""Suites of many checks and records of many editors: what each stage does more as they grow."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from benchmarks.load.work import calls
from benchmarks.report import large
from stability.judge import judge
from stability.record import Record
from stability.report import render_github, render_html, render_junit, render_markdown, terminal_text
from stability.suite import parse_suite

LAYERS = 24
CHECKS = 8  # of the suite that many editors are judged by
KINDS = (
    "{metric: weight_norm, where: {matrices: edited}, relative_to: base, assert: '<= %d'}",
    "{metric: activation_norm, where: {layers: late}, relative_to: base, assert: '>= 0.%d'}",
    "{metric: probe_accuracy, where: {pairs: affected}, aggregate: mean, assert: '>= 0.%d'}",
    "{metric: kl_divergence, assert: '<= %d'}",
)

Growth = Mapping[str, Mapping[int, int]]
"""For each stage, the calls that it makes at each size."""


def suite_text(checks: int) -> str:
    """A suite of so many checks, of four kinds."""
    lines = [f"  check_{number}: {KINDS[number % 4] % (number + 2)}\n" for number in range(checks)]
    return "schema: 1\nname: many\nchecks:\n" + "".join(lines)


def with_checks(*sizes: int) -> Growth:
    """One editor, judged by so many checks."""
    record = _record(editors=1)
    return _growth({size: _stages(suite_text(size), record) for size in sizes})


def with_editors(*sizes: int) -> Growth:
    """So many editors, judged by a few checks."""
    text = suite_text(CHECKS)
    return _growth({size: _stages(text, _record(editors=size)) for size in sizes})


def _record(editors: int) -> Record:
    return large(editors=editors, checkpoints=2, layers=LAYERS, edits=20)


def _growth(stages: Mapping[int, Mapping[str, Callable[[], object]]]) -> Growth:
    found: dict[str, dict[int, int]] = {}
    for size, of in stages.items():
        for stage, work in of.items():
            work()  # what is made once, such as templates, is no growth
            found.setdefault(stage, {})[size] = calls(work)
    return found


def _stages(text: str, record: Record) -> Mapping[str, Callable[[], object]]:
    suite = parse_suite(text).spec
    judgement = judge(suite, record)
    return {
        "reading the suite": lambda: parse_suite(text),
        "judging": lambda: judge(suite, record),
        "report.html": lambda: render_html(record, judgement),
        "report.md": lambda: render_markdown(record, judgement),
        "junit.xml": lambda: render_junit(record, judgement),
        "annotations": lambda: render_github(record, judgement),
        "terminal": lambda: terminal_text(record, judgement),
    }
