"""Metrics of others: by entry point, by dotted name and by path, found as those built in are."""

from __future__ import annotations

import importlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from stability.api import Suite
from stability.errors import SuiteError, UsageError
from stability.metrics import Metric, find_metric
from stability.parts import METRICS
from stability.record import read_record

SOURCE = '''
from stability.metrics import Metric
from stability.parts import MetricHead


class LargestWeight(Metric):
    """max |W_ij| of every matrix."""

    head = MetricHead("their_largest", "largest weight of each matrix", over="matrix", unit="weights")

    def measure(self, context):
        from stability.metrics.weights.steps.matrices import current

        names = [matrix.name for matrix in context.map.matrices]
        return self.reading({name: current(context, name).abs().max().item() for name in names})


class Edits(Metric):
    """How many edits were made."""

    head = MetricHead("edits_made", "edits made so far", over="scalar", unit="edits")

    def measure(self, context):
        return self.single(len(context.edits))


class Failing(Metric):
    """A metric whose author did not think of everything."""

    head = MetricHead("failing", "nothing at all", over="scalar")

    def measure(self, context):
        assert not context.edits, "no more than none"
        return self.single(0)


class Lying(Metric):
    """A metric that is over something else than its head says."""

    head = MetricHead("lying", "nothing at all", over="layer")

    def measure(self, context):
        return self.single(0)


class Headless:
    """No metric."""


class Alone:
    """A head without what a metric does."""

    head = Edits.head
'''
SUITE = """schema: 1
name: foreign
run: {{edits: {{source: world, count: 2}}}}
text: {{source: world, tokens: 300}}
checks:
  installed: {{metric: their_largest, relative_to: base, assert: "<= 1.5"}}
  by_path: {{metric: "{path}:Edits", assert: "== 1"}}
  counted: {{metric: counted, assert: "<= 1"}}
  by_name: {{metric: "largest_weights:Failing", assert: "== 0"}}
  lying: {{metric: "{path}:Lying", where: {{layers: late}}, assert: "<= 1"}}
"""


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder on the path that holds an installed package with a metric."""
    (tmp_path / "largest_weights.py").write_text(SOURCE)
    about = tmp_path / "largest_weights-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: largest-weights\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(
        "[stability.metrics]\ntheir_largest = largest_weights:LargestWeight\n"
        "counted = largest_weights:Edits\nbroken_metric = largest_weights:Nothing\nweight_norm = largest_weights:LargestWeight\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    sys.modules.pop("largest_weights", None)


def test_a_metric_is_found_by_entry_point_dotted_name_and_path(installed: Path) -> None:
    path = installed / "largest_weights.py"
    for name in ("their_largest", "largest_weights:LargestWeight", f"{path}:LargestWeight"):
        assert issubclass(find_metric(name), Metric)
        assert find_metric(name).head.name == "their_largest"


def test_what_is_built_in_comes_before_what_another_package_calls_so(installed: Path) -> None:
    assert find_metric("weight_norm") is METRICS.built_in()["weight_norm"].made


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("weight_nrom", "no metric is called 'weight_nrom'; did you mean 'weight_norm'?"),
        ("their_largets", "no metric is called 'their_largets'; did you mean 'their_largest'?"),
        ("broken_metric", r"metric broken_metric: importing it failed.*: AttributeError: .*Nothing"),
        (
            "largest_weights:Edts",
            r"metric largest_weights:Edts: there is no 'Edts' in it, did you mean 'Edits'\?",
        ),
        ("largest_weights:Headless", r"without `head = MetricHead\(…\)` is no metric"),
        ("largest_weights:Alone", r"no run measures it; .* derived from stability\.metrics\.Metric"),
        ("./nowhere.py:X", r"metric \./nowhere\.py:X: there is no file nowhere\.py"),
        (
            "./nowhere.py",
            r"metric \./nowhere\.py: write which one of the file it is, as in \./nowhere\.py:NAME",
        ),
        ("peak_memory", "metric peak_memory: no run measures it"),
        ("delta_rank", "metric delta_rank: no run measures it"),
    ],
)
def test_what_is_no_metric_is_one_line(installed: Path, name: str, message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        find_metric(name)
    assert "\n" not in str(caught.value)


def test_metrics_of_others_are_measured_judged_and_explained_as_those_built_in(
    installed: Path, tmp_path: Path
) -> None:
    suite = Suite.parse(SUITE.format(path=installed / "largest_weights.py"))
    report = suite.run(editor="none", out=tmp_path / "out")
    verdicts = {verdict.check: verdict for verdict in report.judgement.editors[0].verdicts}
    assert {name: verdict.status for name, verdict in verdicts.items()} == {
        "installed": "pass",
        "by_path": "error",
        "counted": "fail",
        "by_name": "error",
        "lying": "error",
    }
    assert "base is past this bound" in verdicts["by_path"].message
    assert "AssertionError: no more than none" in verdicts["by_name"].message
    assert "its reading is over scalar, its head says layer" in verdicts["lying"].message
    assert "This is counted, edits made so far, in edits." in report.explain(verdicts["counted"])
    stored = tmp_path / "out" / "run.json"
    checkpoint = read_record(stored).runs[0].checkpoints[-1]
    assert checkpoint.readings["their_largest"].over == "matrix"
    assert checkpoint.readings[f"{installed / 'largest_weights.py'}:Edits"].values == {"": 2.0}
    assert "edits_made" not in checkpoint.readings


def test_a_record_of_a_metric_that_is_not_installed_is_judged_without_it(
    installed: Path, tmp_path: Path, stability_command: str
) -> None:
    text = (
        "schema: 1\nname: foreign\nrun: {edits: {source: world, count: 2}}\ntext: {source: world, tokens: 300}\n"
        f'checks:\n  a: {{metric: "{installed / "largest_weights.py"}:Edits", assert: "<= 1"}}\n'
        '  b: {metric: their_largest, relative_to: base, assert: "<= 1.5"}\n'
    )
    Suite.parse(text).run(editor="none", out=tmp_path / "out")
    (installed / "largest_weights.py").unlink()
    for file in (installed / "largest_weights-1.0.dist-info").iterdir():
        file.unlink()
    command = [stability_command, "judge", str(tmp_path / "out")]
    judged = subprocess.run(command, capture_output=True, text=True)
    assert judged.returncode == 1, judged.stderr
    assert "2 <= 1" in judged.stdout
    assert "1 failed, 1 passed" in judged.stdout


def test_a_metric_by_path_that_a_check_does_not_fit_is_refused_before_anything_is_edited(
    installed: Path,
) -> None:
    path = installed / "largest_weights.py"
    suite = Suite.parse(
        "schema: 1\nname: foreign\nchecks:\n"
        f"  a: {{metric: '{path}:Edits', where: {{layers: late}}, aggregate: mean, assert: '<= 3'}}\n"
        f"  b: {{metric: '{path}:Missing', assert: '<= 3'}}\n"
    )
    with pytest.raises(SuiteError) as caught:
        suite.run(editor="none")
    first, second, third = (str(problem) for problem in caught.value.problems)
    assert first.startswith("suite:4: checks.a.aggregate: 'aggregate' does not fit")
    assert second.startswith("suite:4: checks.a.where.layers: 'where.layers' does not fit")
    assert third.startswith("suite:5: checks.b.metric: ")
    assert "there is no 'Missing' in it" in third


def test_a_suite_that_only_a_gate_can_measure_is_refused_before_anything_is_edited() -> None:
    suite = Suite.parse("schema: 1\nname: files\nchecks:\n  a: {metric: delta_rank, assert: '<= 5'}\n")
    with pytest.raises(
        SuiteError, match=r"^suite:4: checks\.a\.metric: delta_rank is measured by `stability gate`"
    ):
        suite.run(editor="none")


def test_metrics_of_other_packages_are_listed(installed: Path) -> None:
    from typer.testing import CliRunner

    from stability.cli import app

    listed = " ".join(CliRunner().invoke(app, ["metrics"]).output.split())
    assert "their_largest matrix weights largest weight of each" in listed
    assert "entry point of largest-weights" in listed
    assert "broken_metric" in listed


def test_metrics_of_other_packages_are_in_the_reference(
    installed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(Path(__file__).parents[3] / "docs" / "hooks")
    page = importlib.import_module("metric_page").metric_page()
    assert "largest weight of each matrix; entry point of largest-weights |" in page
    assert "**`their_largest`**. max |W\\_ij| of every matrix." in page
