"""A record judged by another suite than the one that made it: what it says leads to the same verdicts again."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from stability import Suite, read_record
from stability.api import Report

ROOT = Path(__file__).parents[2]
RECORD = ROOT / "reports" / "sample" / "run.json"
OWN = ROOT / "suites" / "zoo.stability.yaml"
AGAIN = re.compile("^ *again: (.*)$", re.MULTILINE)


@pytest.fixture
def strict(tmp_path: Path) -> Path:
    """The sample's suite with a check that no editor holds."""
    path = tmp_path / "strict.stability.yaml"
    path.write_text(
        OWN.read_text() + '  kept: {metric: weight_norm, relative_to: base, assert: "<= 1.0001"}\n'
    )
    return path


@pytest.fixture
def report(strict: Path) -> Report:
    return Suite.load(strict).judge(read_record(RECORD), RECORD)


def test_the_command_below_the_table_makes_the_same_verdicts(report: Report, strict: Path) -> None:
    [command] = AGAIN.findall(str(report))
    assert command == f"stability judge {RECORD} --suite {strict}"
    words = [sys.executable, "-m", *shlex.split(command), "--json"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=120)
    assert json.loads(done.stdout) == json.loads(json.dumps(report.judgement.as_dict()))
    assert done.returncode == report.judgement.exit_status() == 1


def test_no_file_of_the_report_names_the_suite_that_made_the_record_as_the_one_to_judge_by(
    report: Report, strict: Path, tmp_path: Path
) -> None:
    folder = report.write(tmp_path / "out")
    command = f"stability judge {RECORD} --suite {strict}"
    for name in ("report.md", "report.html"):
        text = (folder / name).read_text()
        assert command in text
        assert "kept: {metric: weight_norm" in text
    [junit] = {
        one.get("value")
        for one in ElementTree.parse(folder / "junit.xml").iter("property")
        if one.get("name") == "command"
    }
    assert junit == command
    failed = report.verdict("kept", editor="rome")
    assert AGAIN.findall(report.explain(failed)) == [command]


def test_what_is_to_be_tried_is_run_by_the_suite_that_judged(report: Report, strict: Path) -> None:
    said = report.explain(report.verdict("kept", editor="ft"))
    assert f"stability run {strict} --editor" in said
    assert str(OWN.name) not in said


def test_a_suite_that_edits_otherwise_does_not_run_what_is_to_be_tried(strict: Path) -> None:
    strict.write_text(strict.read_text().replace("count: 20", "count: 4"))
    report = Suite.load(strict).judge(read_record(RECORD), RECORD)
    said = report.explain(report.verdict("kept", editor="ft"))
    assert "stability run suites/zoo.stability.yaml --editor" in said


def test_a_suite_that_is_in_no_file_has_no_command(strict: Path) -> None:
    report = Suite.parse(strict.read_text()).judge(read_record(RECORD))
    assert AGAIN.findall(str(report)) == []
    assert AGAIN.findall(report.explain(report.verdict("kept", editor="rome"))) == []


def test_the_records_own_suite_says_what_ran_it(tmp_path: Path) -> None:
    record = read_record(RECORD)
    copied = tmp_path / "copied.stability.yaml"
    copied.write_text(record.suite_text)
    for suite in (Suite.of(record), Suite.load(copied)):
        assert AGAIN.findall(str(suite.judge(record, RECORD))) == [record.command]


def test_other_baselines_are_in_the_command(strict: Path, tmp_path: Path) -> None:
    suite = Suite(Suite.load(strict).file, baselines=tmp_path / "old ones")
    [command] = AGAIN.findall(str(suite.judge(read_record(RECORD), RECORD)))
    assert shlex.split(command)[-2:] == ["--baselines", str(tmp_path / "old ones")]
