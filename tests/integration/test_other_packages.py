"""A package of somebody else's with a part of each kind, installed by pip: no change to the project is needed."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent / "packages" / "extra"
SUITE = """
schema: 1
name: extra
model: world
editors: [shove, {halve: {editor: shove}}, halve(rome)]
run: {edits: {source: capitals, count: 3, batch: 3}}
text: {source: world, tokens: 600}
probes: {tokens: 300}
checks:
  largest: {metric: largest_weight, where: {matrices: edited}, relative_to: base, assert: "<= 1.5"}
  norm: {metric: weight_norm, where: {matrices: edited}, relative_to: base, assert: "<= 20"}
"""
WRONG = SUITE.replace("{matrices: edited}", "{pairs: all}", 1)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A folder into which pip has installed the package."""
    folder = tmp_path_factory.mktemp("installed")
    source = shutil.copytree(PACKAGE, folder / "extra")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps"]
    options = ["--no-build-isolation", "--disable-pip-version-check", "--target", folder / "site"]
    done = subprocess.run([*pip, *options, source], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return folder / "site"


@pytest.fixture(scope="module")
def stability(site, stability_command):
    """Runs the command line in a folder, with the package installed."""

    def run(folder, *arguments):
        path = os.pathsep.join([str(site), os.environ.get("PYTHONPATH", "")])
        return subprocess.run(
            [stability_command, *arguments],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": path, "NO_COLOR": "1", "COLUMNS": "200"},
            capture_output=True,
            text=True,
            timeout=300,
        )

    return run


@pytest.fixture(scope="module")
def done(stability, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    (folder / "extra.stability.yaml").write_text(SUITE)
    return folder, stability(folder, "run", "extra.stability.yaml", "--out", "out")


def test_one_suite_uses_a_metric_an_editor_a_wrapper_and_a_source_of_another_package(done):
    folder, run = done
    assert run.returncode == 1, run.stdout + run.stderr
    verdicts = [line.split("\t") for line in (folder / "out" / "verdicts.tsv").read_text().splitlines()]
    status = {(editor, check): status for editor, check, status, _ in verdicts}
    value = {(editor, check): float(number) for editor, check, _, number in verdicts}
    assert status["shove", "largest"] == "fail"
    assert status["halve(rome)", "largest"] == "pass"
    # Half of a change moves the norm by less than the whole.
    assert 1 < value["halve(shove)", "norm"] < value["shove", "norm"]


def test_the_report_speaks_of_them_by_their_own_words(done):
    folder, _ = done
    page = (folder / "out" / "report.html").read_text()
    assert "largest weight of each matrix, by absolute value" in page
    assert "halve(shove)" in page


def test_they_are_listed_with_where_they_come_from(stability, tmp_path):
    metrics = stability(tmp_path, "metrics").stdout
    assert "largest_weight" in metrics
    assert "largest weight of each matrix, by absolute value" in metrics
    editors = stability(tmp_path, "editors").stdout
    for words in (
        "shove",
        "adds a constant to one matrix",
        "by=0.25",
        "halve",
        "entry point of stability-extra",
    ):
        assert words in editors


def test_a_check_that_can_never_be_judged_is_refused_by_another_packages_head(stability, tmp_path):
    (tmp_path / "wrong.stability.yaml").write_text(WRONG)
    done = stability(tmp_path, "run", "wrong.stability.yaml")
    assert done.returncode == 2, done.stdout + done.stderr
    assert "wrong.stability.yaml:10: checks.largest.where.pairs: " in done.stderr
    assert "pairs" in done.stderr


def test_the_documentation_has_them_too(site, tmp_path):
    root = Path(__file__).parents[2]
    path = os.pathsep.join([str(site), str(root)])
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", tmp_path / "site"],
        cwd=root,
        env={**os.environ, "PYTHONPATH": path, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert (
        "largest weight of each matrix, by absolute value" in (tmp_path / "site" / "metrics.html").read_text()
    )
    assert "dds a constant to one matrix" in (tmp_path / "site" / "editor-settings.html").read_text()
