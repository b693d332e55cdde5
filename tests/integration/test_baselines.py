"""Baselines and comparisons end to end: versions of an editor on the built-in model, and the commands."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from stability import cli
from stability.api import Bench, Report, Suite
from stability.baselines import keep
from stability.cli.steps.contenders import compare_runs
from stability.record import read_record

SUITE = """\
schema: 1
name: versions
model: world
editors: [./mine.py:Stepped]
run: {edits: {source: world, count: 3}, checkpoints: [1]}
text: {source: world, tokens: 600}
probes: {tokens: 200}
checks:
  edits_took: {metric: edit_success, assert: ">= 0.60"}
  norm: {metric: weight_norm, where: {matrices: edited}, relative_to: base, assert: "<= 2.0"}
  norm_growth: {metric: delta_norm, where: {matrices: edited}, relative_to: previous, assert: "<= 1.05"}
"""

EDITOR = '''\
"""ROME that goes STEP times as far as it should."""
import torch
from stability.editors import find_editor

STEP = 1.0


class Stepped:
    def prepare(self, model, tokenizer, store):
        self.rome = find_editor("rome", {}, "world")
        self.rome.prepare(model, tokenizer, store)

    def edit(self, model, tokenizer, edits):
        weight = model.transformer.h[0].mlp.c_proj.weight
        before = weight.detach().clone()
        self.rome.edit(model, tokenizer, edits)
        with torch.no_grad():
            weight.copy_(before + STEP * (weight - before))
'''

QUIET = ("-p", "no:cacheprovider")


class Versions:
    """A suite, a file of an editor, and runs of its versions that share the unedited model's measurements."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.bench = Bench()
        self.made: dict[float, Report] = {}
        (folder / "suites").mkdir()
        (folder / "suites" / "versions.stability.yaml").write_text(SUITE)

    def at(self, step: float) -> Report:
        """The report on a version, run once; its record is in reports/STEP."""
        if step not in self.made:
            (self.folder / "mine.py").write_text(EDITOR.replace("STEP = 1.0", f"STEP = {step}"))
            suite = Suite.load("suites/versions.stability.yaml")
            self.made[step] = suite.run(out=f"reports/{step}", bench=self.bench)
        return self.made[step]


@pytest.fixture(scope="module")
def versions(tmp_path_factory):
    folder = tmp_path_factory.mktemp("versions")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        made = Versions(folder)
        keep(made.at(1.0).record, Path("suites/baselines"), replace=False)
        yield made


@pytest.mark.parametrize(("step", "status"), [(1.2, "fail"), (1.01, "pass"), (1.0, "pass")])
def test_a_version_that_is_a_fifth_worse_in_norm_growth_is_caught_and_one_that_is_a_hundredth_is_not(
    versions, step, status
):
    report = Suite.load("suites/versions.stability.yaml").judge(versions.at(step).record)
    verdict = report.verdict("norm_growth")
    assert verdict.value == pytest.approx(step, rel=0.02)
    assert verdict.status == status
    assert report.verdict("norm").status == report.verdict("edits_took").status == "pass"
    assert report.judgement.exit_status() == (1 if status == "fail" else 0)


def test_the_report_says_whether_the_version_is_another_one(versions):
    suite = Suite.load("suites/versions.stability.yaml")
    [same] = suite.judge(versions.at(1.0).record).judgement.editors[0].notes
    assert "of this same version" in same
    [other] = suite.judge(versions.at(1.2).record).judgement.editors[0].notes
    assert other.startswith("compared with the baseline of ")


def test_versions_stand_side_by_side_and_one_seed_claims_nothing_of_the_norm(versions):
    for step in (1.0, 1.2):
        versions.at(step)
    comparison = compare_runs(["reports/1.0", "reports/1.2"])
    assert comparison.names == ("./mine.py:Stepped (1.0)", "./mine.py:Stepped (1.2)")
    [norm] = [row for row in comparison.rows if row.check == "norm"]
    assert norm.cells[1].outcome == "untold"
    assert norm.cells[1].change > 0


@pytest.fixture
def place(tmp_path, monkeypatch, versions):
    """A fresh folder, and the working directory, with the suite and the records of two versions; no baseline."""
    versions.at(1.0)
    versions.at(1.2)
    for name in ("reports", "suites"):
        shutil.copytree(versions.folder / name, tmp_path / name, ignore=shutil.ignore_patterns("baselines"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def stability(monkeypatch, capsys):
    """The command line, as its entry point runs it, with what it writes and its status."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["stability", *map(str, arguments)])
        with pytest.raises(SystemExit) as stopped:
            cli.main()
        written = capsys.readouterr()
        status = stopped.value.code or 0
        return subprocess.CompletedProcess(arguments, status, written.out, written.err)

    return run


def test_a_missing_baseline_fails_with_the_command_that_makes_it_and_that_command_works(stability, place):
    judged = stability("judge", "reports/1.0")
    assert judged.returncode == 3
    command = "stability baseline save reports/1.0"
    assert f"make it: {command}" in " ".join(judged.stdout.split())
    saved = stability(*command.split()[1:])
    assert (saved.returncode, saved.stderr) == (0, "")
    [path] = (place / "suites" / "baselines" / "versions").iterdir()
    assert f"saved {path.relative_to(place)}" in saved.stdout
    assert stability("judge", "reports/1.0").returncode == 0
    assert stability("judge", "reports/1.2").returncode == 1

    again = stability(*command.split()[1:])
    assert (again.returncode, again.stdout) == (2, "")
    assert again.stderr.endswith("is there already; replace it: stability baseline update RUN\n")
    updated = stability("baseline", "update", "reports/1.2")
    assert (updated.returncode, updated.stdout[:8]) == (0, "replaced")
    assert stability("judge", "reports/1.2").returncode == 0


def test_a_stale_baseline_says_what_differs_and_the_list_shows_it(stability, place):
    stability("baseline", "save", "reports/1.0")
    content = json.loads((place / "reports" / "1.0" / "run.json").read_text())
    content["model"]["fingerprint"] = "e" * 64
    (place / "reports" / "other").mkdir()
    (place / "reports" / "other" / "run.json").write_text(json.dumps(content))
    judged = stability("judge", "reports/other")
    assert judged.returncode == 3
    words = " ".join(judged.stdout.split())
    assert "the baseline is stale: another model" in words
    assert "update it: stability baseline update reports/other" in words

    listed = stability("baseline", "list")
    assert listed.returncode == 0
    assert "./mine.py:Stepped" in listed.stdout
    assert "stale" not in listed.stdout
    suite = place / "suites" / "versions.stability.yaml"
    suite.write_text(suite.read_text().replace("tokens: 200", "tokens: 300"))
    assert "stale: the suite's probes.tokens was 200, now 300" in stability("baseline", "list").stdout


def test_what_is_no_record_or_no_place_is_one_line(stability, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for arguments, status, words in (
        (("save", "nowhere"), 3, "nowhere: cannot read the record"),
        (("list", "nowhere"), 2, "nowhere: no such suite or folder"),
    ):
        done = stability("baseline", *arguments)
        assert (done.returncode, done.stdout) == (status, "")
        assert done.stderr.startswith(words)
        assert len(done.stderr.splitlines()) == 1
    listed = stability("baseline", "list")
    assert (listed.returncode, listed.stdout.split("; ")[0]) == (0, "no baselines in baselines")


def test_pytest_keeps_the_run_as_the_baseline_and_says_so(shell, place):
    judge = ("pytest", "suites", *QUIET, "-q", "--stability-from", "reports/1.2/run.json")
    missing = shell(*judge)
    assert missing.returncode == 1
    assert "make it: stability baseline save reports/1.2" in " ".join(missing.stdout.split())
    kept = shell(*judge, "--stability-update-baseline")
    assert kept.returncode == 0, kept.stdout
    [path] = (place / "suites" / "baselines" / "versions").iterdir()
    assert f"saved {path.relative_to(place)}" in kept.stdout
    assert shell(*judge).returncode == 0
    better = shell(*judge[:-1], "reports/1.0/run.json")
    assert better.returncode == 0, better.stdout


def test_pytest_keeps_no_run_that_failed(shell, place):
    path = place / "reports" / "1.0" / "run.json"
    content = json.loads(path.read_text())
    content["runs"][0] |= {
        "status": "failed",
        "error": {"kind": "editor_raised", "message": "boom"},
        "failed_at": 3,
    }
    path.write_text(json.dumps(content))
    done = shell("pytest", "suites", *QUIET, "--stability-from", path, "--stability-update-baseline")
    assert done.returncode == 1
    assert "no baseline of ./mine.py:Stepped: the run of ./mine.py:Stepped at seed 0 is failed" in done.stdout
    assert not (place / "suites" / "baselines").exists()


def test_compare_writes_a_table_json_and_markdown(stability, place):
    table = stability("compare", "reports/1.0", "reports/1.2", "--summary", "summary.md")
    assert table.returncode == 0, table.stderr
    assert "against ./mine.py:Stepped (1.0)" in table.stdout
    assert "| norm |" in (place / "summary.md").read_text()
    content = json.loads(stability("compare", "reports/1.0", "reports/1.2", "--json").stdout)
    assert [row["check"] for row in content["rows"]] == ["edits_took", "norm"]

    alone = stability("compare", "reports/1.0")
    assert (alone.returncode, alone.stdout) == (2, "")
    assert "two runs or more" in alone.stderr


def test_compare_exits_1_when_told_to_be_strict_and_something_is_worse(stability, place):
    """Three seeds are made of one by copying: what is the same at all seeds is no noise."""
    for step in ("1.0", "1.2"):
        path = place / "reports" / step / "run.json"
        record = read_record(path)
        runs = tuple(record.runs[0].model_copy(update={"seed": seed}) for seed in range(3))
        path.write_text(record.model_copy(update={"runs": runs}).model_dump_json())
    worse = stability("compare", "reports/1.0", "reports/1.2", "--strict")
    assert (worse.returncode, "1 worse (norm)" in worse.stdout) == (1, True)
    assert stability("compare", "reports/1.2", "reports/1.0", "--strict").returncode == 0
    assert stability("compare", "reports/1.0", "reports/1.2").returncode == 0
