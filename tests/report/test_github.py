"""Annotations, as GitHub's runner takes them apart."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

from stability.errors import SuiteProblem
from stability.judge import Judgement
from stability.record import Record
from stability.report.github import annotation, render_github, render_problems
from stability.suite import SuiteFile, parse_suite

COMMAND = re.compile(r"::(?P<level>\w+) (?P<properties>[^:]*)::(?P<message>.*)")


def taken_apart(line: str) -> tuple[str, dict[str, str], str]:
    """Level, properties and message, unescaped in the order that the runner does."""
    match = COMMAND.fullmatch(line)
    assert match is not None, line

    def plain(text: str) -> str:
        for code, sign in (("%0D", "\r"), ("%0A", "\n"), ("%3A", ":"), ("%2C", ","), ("%25", "%")):
            text = text.replace(code, sign)
        return text

    parts = (part.partition("=") for part in match["properties"].split(","))
    return match["level"], {key: plain(value) for key, _, value in parts}, plain(match["message"])


@pytest.fixture
def suite(records: ModuleType) -> SuiteFile:
    text = f"schema: 1\nname: norm-growth\nmay_change: {{layers: [1]}}\nchecks:{records.GATE}".replace(
        "\nedited_", "\n  edited_"
    )
    lines = [
        line if line.startswith(("schema", "name", "may", "checks", "  edited")) else f"  {line}"
        for line in text.splitlines()
    ]
    return parse_suite("\n".join(lines), Path("suites/norm-growth.stability.yaml"))


def test_every_check_that_did_not_hold_is_at_its_line(
    suite: SuiteFile, gate: tuple[Record, Judgement]
) -> None:
    record, judgement = gate()
    lines = [taken_apart(line) for line in render_github(record, judgement, suite=suite).splitlines()]
    broken = [verdict for verdict in judgement.verdicts if verdict.status not in ("pass", "skip")]
    assert broken
    assert len(lines) == len(broken)
    text = suite.text.splitlines()
    for level, properties, message in lines:
        assert properties["file"] == "suites/norm-growth.stability.yaml"
        check = text[int(properties["line"]) - 1].strip().split(":")[0]
        assert properties["title"].startswith(check)
        verdict = next(v for v in broken if properties["title"].startswith(v.check))
        assert level == ("error" if verdict.status in ("fail", "error") else "warning")
        assert verdict.bound in message or verdict.message in message


def test_failures_come_before_warnings_for_only_ten_are_shown(
    suite: SuiteFile, gate: tuple[Record, Judgement]
) -> None:
    record, judgement = gate()
    levels = [taken_apart(line)[0] for line in render_github(record, judgement, suite=suite).splitlines()]
    assert {"error", "warning"} == set(levels)
    assert levels == sorted(levels)
    strict = render_github(record, judgement, suite=suite, strict=True).splitlines()
    assert {taken_apart(line)[0] for line in strict} == {"error"}


def test_nothing_is_said_where_all_held(
    records: ModuleType, suite: SuiteFile, gate: tuple[Record, Judgement]
) -> None:
    record, judgement = gate(records.whole_run(growth=0.0001)[1])
    kept = [
        replace(one, verdicts=tuple(v for v in one.verdicts if v.status == "pass"))
        for one in judgement.editors
    ]
    assert render_github(record, replace(judgement, editors=tuple(kept)), suite=suite) == ""


def test_no_name_can_end_a_line_or_add_a_property(
    hostile: tuple[Record, Judgement], suite: SuiteFile
) -> None:
    record, judgement = hostile
    for line in render_github(record, judgement, suite=suite).splitlines():
        level, properties, _ = taken_apart(line)
        assert level in ("error", "warning")
        assert set(properties) == {"file", "line", "title"}
    level, properties, message = taken_apart(annotation("error", "50 %,\n::error::x", title="a,b:c%2C"))
    assert properties == {"title": "a,b:c%2C"}
    assert message == "50 %, ::error::x"


def test_a_suite_in_the_working_directory_is_named_from_there(
    suite: SuiteFile, gate: tuple[Record, Judgement], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    here = replace(suite, path=tmp_path / "suites" / "a.stability.yaml")
    first = render_github(*gate(), suite=here).splitlines()[0]
    assert taken_apart(first)[1]["file"] == "suites/a.stability.yaml"
    nowhere = render_github(*gate(), suite=replace(suite, path=None)).splitlines()[0]
    assert set(taken_apart(nowhere)[1]) == {"title"}


def test_without_a_suite_the_place_is_the_file_of_the_suite_that_was_run(
    gate: tuple[Record, Judgement],
) -> None:
    record, judgement = gate(suite_path="suites/a.yaml")
    for line in render_github(record, judgement).splitlines():
        _, properties, _ = taken_apart(line)
        assert properties["file"] == "suites/a.yaml"
        assert "line" not in properties


def test_a_mistake_in_a_suite_is_annotated_at_its_line() -> None:
    problems = [
        SuiteProblem("unknown key", "suites/a.yaml", 3, "checks.x"),
        SuiteProblem("12:30: is no time", "suites/b.yaml", 7),
        SuiteProblem("no such file", "suites/c.yaml"),
    ]
    lines = render_problems(problems).splitlines()
    assert [taken_apart(line) for line in lines] == [
        ("error", {"file": "suites/a.yaml", "line": "3", "title": "stability"}, "checks.x: unknown key"),
        ("error", {"file": "suites/b.yaml", "line": "7", "title": "stability"}, "12:30: is no time"),
        ("error", {"title": "stability"}, "suites/c.yaml: no such file"),
    ]
