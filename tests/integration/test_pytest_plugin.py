"""The pytest door, run for real: pytest in a process of its own on a suite file."""

import copy
import json
import shutil
import xml.etree.ElementTree as ET
from collections import Counter
from pathlib import Path

import pytest

from stability.record import read_record

CHECKS = ["edits_took", "finite", "frozen_weights", "edited_weight_norm", "activation_norm", "fluent"]
QUIET = ("-p", "no:cacheprovider")


def outcomes(done):
    """What the last line of pytest's output counts."""
    return done.stdout.strip().splitlines()[-1]


def test_one_item_a_check_is_collected_under_each_editor(shell):
    done = shell(
        "pytest", "small.stability.yaml", "--collect-only", "-q", *QUIET,
        "--stability-editor", "rome", "--stability-editor", "none",
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    ids = [line for line in done.stdout.splitlines() if "::" in line]
    assert ids == [
        f"small.stability.yaml::{editor}::{check}" for editor in ("rome", "none") for check in CHECKS
    ]


@pytest.fixture(scope="module")
def undone(tmp_path_factory, prepared, run_in):
    """A folder in which pytest has run the editor that does nothing, and what pytest said."""
    folder = prepared(tmp_path_factory.mktemp("undone"))
    arguments = ("small.stability.yaml", "--stability-editor", "none", "--junitxml", "junit.xml")
    return folder, run_in(folder, "pytest", *arguments)


@pytest.fixture
def measured(undone, tmp_path):
    """A copy of that folder."""
    return Path(shutil.copytree(undone[0], tmp_path / "measured"))


def test_a_run_passes_and_writes_its_reports(folder, start_in):
    done = start_in(folder, "pytest", "small.stability.yaml", *QUIET)
    assert done.returncode == 0, done.stdout
    assert "6 passed" in outcomes(done)
    assert (folder / "reports" / "small-rome-0" / "run.json").exists()
    assert (folder / "reports" / "small-rome-0" / "report.html").exists()


def test_a_failing_check_says_value_bound_where_since_when_and_how_to_repeat(shell):
    done = shell(
        "pytest", "small.stability.yaml", *QUIET, "--stability-editor", "./mine.py:destroy", "-k", "norm"
    )
    assert done.returncode == 1, done.stdout
    assert "1 failed, 1 passed, 4 deselected" in outcomes(done) or "2 failed, 4 deselected" in outcomes(done)
    for words in (
        "edited_weight_norm",
        "<= 2.0",
        "h.0.mlp.c_proj",
        "failed at 1",
        "stability run small.stability.yaml --editor ./mine.py:destroy",
    ):
        assert words in done.stdout, words
    assert "Traceback" not in done.stdout


def test_suites_of_one_name_do_not_take_each_others_records(measured, run_in):
    shutil.copy(measured / "small.stability.yaml", measured / "copied.stability.yaml")
    record = measured / "reports" / "small-none-0" / "run.json"
    before = record.read_bytes()
    arguments = ("copied.stability.yaml", "--stability-editor", "none", *QUIET)
    refused = run_in(measured, "pytest", *arguments)
    assert refused.returncode == 1
    assert "run.json is of another run (of small.stability.yaml)" in refused.stdout
    assert "--stability-overwrite" in refused.stdout
    assert record.read_bytes() == before
    assert (record.parent / "junit.xml").exists()
    run_in(measured, "pytest", *arguments, "--stability-overwrite")
    assert json.loads(record.read_text())["suite_path"] == "copied.stability.yaml"


def test_two_functions_of_one_file_are_shown_each_with_its_own_report(shell, folder):
    editors = ("--stability-editor", "./mine.py:destroy", "--stability-editor", "./mine.py:nothing")
    done = shell("pytest", "small.stability.yaml", *QUIET, *editors, "-k", "norm")
    summary = done.stdout[done.stdout.index("= stability =") :]
    destroyed, left = summary.split("small · ./mine.py:nothing")
    assert "small · ./mine.py:destroy" in destroyed
    assert "FAIL  edited_weight_norm" in destroyed
    assert "reports/small-mine-destroy-0/report.html" in destroyed
    assert "  FAIL  " not in left
    assert "reports/small-mine-nothing-0/report.html" in left


def test_checks_are_chosen_by_metric_marker_and_by_keyword(shell):
    done = shell("pytest", "small.stability.yaml", "--collect-only", "-q", *QUIET, "-m", "weight_norm")
    assert "small.stability.yaml::rome::edited_weight_norm" in done.stdout
    assert "1/6 tests collected" in done.stdout
    done = shell("pytest", "small.stability.yaml", "--collect-only", "-q", *QUIET, "-k", "fluent or finite")
    assert "2/6 tests collected" in done.stdout
    markers = shell("pytest", "--markers", *QUIET).stdout
    assert all(f"@pytest.mark.{name}" in markers for name in ("stability", "stability_slow", "weight_norm"))


def test_the_last_failures_run_again_on_the_last_record(undone, measured, run_in):
    assert "1 failed, 4 passed, 1 skipped" in outcomes(undone[1])
    record = measured / "reports" / "small-none-0" / "run.json"
    written = record.read_bytes()

    def last_failed():
        return run_in(measured, "pytest", "small.stability.yaml", "--stability-editor", "none", "--lf")

    assert "1 failed" in outcomes(last_failed())
    assert record.read_bytes() == written

    suite = measured / "small.stability.yaml"
    suite.write_text(suite.read_text().replace(">= 0.60", ">= 0"))
    assert "1 passed" in outcomes(last_failed())
    assert record.read_bytes() == written

    suite.write_text(suite.read_text().replace("count: 3", "count: 2"))
    last_failed()
    assert record.read_bytes() != written


def test_a_record_is_judged_without_a_model(measured, start_in):
    (measured / "conftest.py").write_text(
        "import sys\ndef pytest_sessionfinish():\n    assert 'torch' not in sys.modules, 'torch was imported'\n"
    )
    record = measured / "reports" / "small-none-0" / "run.json"
    done = start_in(measured, "pytest", "small.stability.yaml", *QUIET, "--stability-from", record)
    assert "1 failed, 4 passed, 1 skipped" in outcomes(done)
    assert "torch was imported" not in done.stdout + done.stderr


def test_junit_holds_one_case_a_check_with_its_figures(undone):
    (suite,) = ET.parse(undone[0] / "junit.xml").getroot().iter("testsuite")
    cases = list(suite.iter("testcase"))
    assert [case.get("name") for case in cases] == CHECKS
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("6", "1", "0")
    properties = {item.get("name"): item.get("value") for item in cases[-1].iter("property")}
    assert properties["status"] == "pass"
    assert float(properties["value"]) == 1.0


def test_the_editors_of_a_record_are_judged_by_workers(measured, run_in):
    record = measured / "reports" / "small-none-0" / "run.json"
    content = json.loads(record.read_text())
    other = copy.deepcopy(content["runs"][0])
    other["editor"]["name"] = "other"
    content["runs"].append(other)
    record.write_text(json.dumps(content))
    done = run_in(
        measured, "pytest", "small.stability.yaml", *QUIET, "-v", "-n", "2",
        "--stability-from", record,
    )  # fmt: skip
    assert "2 failed, 8 passed, 2 skipped" in outcomes(done), done.stdout
    assert done.stdout.count("edits_took") >= 2


@pytest.mark.torture
def test_the_editors_of_a_suite_are_run_by_workers(folder, start_in):
    done = start_in(
        folder, "pytest", "small.stability.yaml", *QUIET, "-n", "2",
        "--stability-editor", "rome", "--stability-editor", "none",
    )  # fmt: skip
    assert "1 failed, 10 passed, 1 skipped" in outcomes(done), done.stdout
    assert done.stdout.count("edits_took") >= 2


def test_an_editor_that_raises_fails_its_checks(shell):
    done = shell(
        "pytest",
        "small.stability.yaml",
        *QUIET,
        "--stability-editor",
        "./mine.py:raises",
        "--stability-edits",
        "9",
    )
    assert done.returncode == 1
    assert "the seventh is too many" in done.stdout
    assert "6 failed" in outcomes(done)


def test_an_editor_that_cannot_be_found_is_one_line_an_item(shell):
    done = shell("pytest", "small.stability.yaml", *QUIET, "--stability-editor", "rom", "-k", "finite")
    assert done.returncode == 1
    assert "did you mean" in done.stdout
    assert "Traceback" not in done.stdout


def test_a_wrong_suite_is_a_collection_error_with_its_lines(shell, folder):
    (folder / "bad.stability.yaml").write_text(
        "schema: 1\nname: bad\nchecks: {a: {metric: weight_norm, asert: 1}}\n"
    )
    done = shell("pytest", "bad.stability.yaml", *QUIET)
    assert done.returncode == 2
    assert "bad.stability.yaml:3: checks.a.asert: unknown key; did you mean 'assert'?" in done.stdout


def test_tests_in_python_share_one_run(shell, folder):
    (folder / "test_mine.py").write_text(
        """
import pytest

calls = []


def editor(model, tokenizer, edits):
    calls.append(len(edits))


pytestmark = pytest.mark.stability(suite="small.stability.yaml", editor=editor)


def test_nothing_moved(stability_run):
    assert stability_run.verdict("fluent").value == 1.0


def test_it_ran_once(stability_run):
    assert stability_run.verdict("edits_took").status == "fail"
    assert calls == [1, 1, 1]
"""
    )
    done = shell("pytest", "test_mine.py", *QUIET)
    assert "2 passed" in outcomes(done), done.stdout


def test_a_test_without_its_marker_says_what_is_missing(shell, folder):
    (folder / "test_mine.py").write_text("def test_it(stability_run):\n    pass\n")
    done = shell("pytest", "test_mine.py", *QUIET)
    assert "stability_run needs @pytest.mark.stability(suite=PATH, editor=NAME_OR_FUNCTION)" in done.stdout


def test_the_options_are_in_the_help(shell):
    shown = shell("pytest", "--help").stdout
    for option in ("--stability-editor", "--stability-from", "--stability-strict", "--stability-out"):
        assert option in shown, option


def test_the_terminal_shows_only_the_verdicts_that_were_asked_for(undone, run_in):
    folder, whole = undone
    assert "edits_took" in whole.stdout
    record = "reports/small-none-0/run.json"
    done = run_in(
        folder, "pytest", "small.stability.yaml", *QUIET, "--stability-from", record, "-k", "fluent"
    )
    assert done.returncode == 0, done.stdout
    assert "fluent" in done.stdout
    assert "edits_took" not in done.stdout


def test_a_suite_outside_of_the_root_folder_is_judged_as_elsewhere(measured, run_in):
    (measured / "cfg").mkdir()
    (measured / "cfg" / "pytest.ini").write_text("[pytest]\n")
    arguments = ("-c", "cfg/pytest.ini", "small.stability.yaml", "-rA", "-k", "not edits_took", *QUIET)
    done = run_in(measured, "pytest", *arguments, "--stability-from", "reports/small-none-0/run.json")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "small.stability.yaml::none::finite" in done.stdout
    assert "again: " in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


def test_a_suite_without_editors_is_skipped_and_stops_no_session(shell, folder):
    suite = (folder / "small.stability.yaml").read_text().replace("editors: [rome]\n", "")
    (folder / "small.stability.yaml").write_text(suite)
    (folder / "test_mine.py").write_text("def test_it():\n    pass\n")
    done = shell("pytest", *QUIET, "-rs")
    assert done.returncode == 0, done.stdout
    assert "1 passed, 1 skipped" in outcomes(done)
    assert "small.stability.yaml: names no editors; add 'editors:' or --stability-editor NAME" in done.stdout
    assert shell("pytest", *QUIET, "--fixtures").returncode == 0


def test_an_error_in_setting_up_is_one_line_a_check_and_blames_what_is_wrong(shell):
    done = shell("pytest", "small.stability.yaml", *QUIET, "--tb=long", "--stability-model", "./nothing")
    assert done.returncode == 1
    assert done.stdout.count("\nno model at ./nothing: there is no such folder\n") == 6, done.stdout
    assert "During handling" not in done.stdout
    assert len(done.stdout.splitlines()) < 50


@pytest.mark.parametrize(
    "order",
    [
        pytest.param(("-n", "2"), id="workers"),
        pytest.param(("-p", "randomly"), id="randomly", marks=pytest.mark.torture),
    ],
)
def test_an_editor_runs_once_a_session_whatever_the_order_and_the_workers(shell, folder, order):
    (folder / "counted.py").write_text(
        "def edit(model, tokenizer, edits):\n    open('runs.log', 'a').write('edit\\n')\n"
        "def other(model, tokenizer, edits):\n    open('runs.log', 'a').write('other\\n')\n"
    )
    editors = ("--stability-editor", "./counted.py:edit", "--stability-editor", "./counted.py:other")
    done = shell("pytest", "small.stability.yaml", *QUIET, *order, *editors, "--stability-edits", "2")
    assert "2 failed, 8 passed, 2 skipped" in outcomes(done), done.stdout
    assert sorted((folder / "runs.log").read_text().split()) == ["edit", "edit", "other", "other"]


@pytest.mark.torture
def test_eight_workers_run_each_of_eight_editors_once_and_their_records_are_whole(shell, folder):
    names = [f"editor_{number}" for number in range(8)]
    (folder / "counted.py").write_text(
        "".join(
            f"def {name}(model, tokenizer, edits):\n    open('runs.log', 'a').write('{name}\\n')\n"
            for name in names
        )
    )
    editors = [word for name in names for word in ("--stability-editor", f"./counted.py:{name}")]
    done = shell("pytest", "small.stability.yaml", *QUIET, "-n", "8", *editors, "--stability-edits", "2")
    assert "8 failed, 32 passed, 8 skipped" in outcomes(done), done.stdout
    assert Counter((folder / "runs.log").read_text().split()) == dict.fromkeys(names, 2)
    records = [read_record(path) for path in sorted((folder / "reports").rglob("run.json"))]
    assert sorted(run.editor.name for record in records for run in record.runs) == sorted(
        f"counted:{name}" for name in names
    )
    assert {record.is_unfinished for record in records} == {False}
    readings = [run.checkpoints[-1].readings["weight_norm"] for record in records for run in record.runs]
    assert all(reading == readings[0] for reading in readings)
