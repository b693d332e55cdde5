"""The paper's experiments: their suites, their twins on the paper's models, and the order in which they run."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from stability.metrics.plugin.find import refuse_unjudgeable
from stability.suite import load_suite
from tools.paper.__main__ import is_done, listing
from tools.paper.plan import FIRST, Step, steps
from tools.paper.twins import EXPERIMENTS, models, suite_file, twin

MODELS = sorted(models())


def test_there_is_a_suite_for_each_of_the_nine_experiments():
    assert [name[0] for name in EXPERIMENTS] == list("abcdefghi")
    assert {load_suite(suite_file(name)).spec.model.name for name in EXPERIMENTS} == {"smollm2"}


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_a_twin_can_be_judged_and_differs_in_model_and_numbers_alone(experiment, model, tmp_path):
    file = tmp_path / "twin.stability.yaml"
    file.write_text(twin(experiment, model))
    refuse_unjudgeable(load_suite(file), is_run=True)
    one, other = (yaml.safe_load(path.read_text()) for path in (suite_file(experiment), file))
    assert other.pop("model") == models()[model]["model"]
    assert other.pop("name") == f"{one.pop('name')}-{model}"
    del one["model"]
    for key in ("count", "checkpoints"):
        for suite in (one, other):
            (suite["run"] if key == "checkpoints" else suite["run"]["edits"]).pop(key)
    assert one == other


@pytest.mark.parametrize("model", MODELS)
def test_a_twin_has_the_numbers_of_its_model(model, tmp_path):
    file = tmp_path / "twin.stability.yaml"
    file.write_text(twin("b-sequential", model))
    assert load_suite(file).spec.run.schedule() == (100, 500, 1000, 2000)


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_an_experiments_suite_can_be_judged(experiment):
    refuse_unjudgeable(load_suite(suite_file(experiment)), is_run=True)


def test_steps_that_the_paper_stands_on_come_first_and_each_has_a_folder_of_its_own():
    found = steps()
    assert [(step.experiment, step.editor.called, step.seed) for step in found[: len(FIRST)]] == list(FIRST)
    assert len({step.name for step in found}) == len(found)
    assert {step.experiment for step in found} == set(EXPERIMENTS)


def test_the_list_says_how_long_each_step_takes_and_all():
    found = steps()
    *lines, last = listing(found).splitlines()
    assert len(lines) == len(found)
    assert lines[0].split() == ["0.7", "h", "b-sequential-rome-0,", "480", "edits"]
    assert float(last.split()[0]) == pytest.approx(sum(step.seconds for step in found) / 3600, abs=0.05)


def test_a_step_is_done_when_its_record_is_whole(tmp_path):
    suite = tmp_path / "small.stability.yaml"
    suite.write_text(
        "{schema: 1, name: small, editors: [none], run: {edits: {count: 1}}, text: {tokens: 400}, "
        "checks: {finite: {metric: nonfinite, assert: '== 0'}}}"
    )
    assert not is_done(tmp_path / "out")
    command = [sys.executable, "-m", "stability", "run", str(suite), "--out", str(tmp_path / "out")]
    assert subprocess.run(command, capture_output=True, check=False).returncode == 0
    assert is_done(tmp_path / "out")


def test_a_steps_command_goes_on_with_what_is_in_its_folder():
    step: Step = steps()[0]
    assert step.command(Path("o"))[2:] == [
        *("--editor", "rome", "--seed", "0", "--out", "o/b-sequential-rome-0", "--resume")
    ]
