"""The command line, run for real on the built-in model."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from stability.record import read_record
from tests.reports import report_files

SAMPLE = Path(__file__).parents[2] / "reports" / "sample" / "run.json"


@pytest.fixture(scope="module")
def held(tmp_path_factory, prepared, start_in):
    """A folder in which an editor that holds was run into out/, and what the command said."""
    folder = prepared(tmp_path_factory.mktemp("held"))
    return folder, start_in(folder, "stability", "run", "small.stability.yaml", "--out", "out")


@pytest.fixture(scope="module")
def undone(tmp_path_factory, prepared, run_in):
    """As `held`, of the editor that does nothing."""
    folder = prepared(tmp_path_factory.mktemp("undone"))
    arguments = ("small.stability.yaml", "--editor", "none", "--out", "out")
    return folder, run_in(folder, "stability", "run", *arguments)


def test_an_editor_that_holds_exits_0_and_leaves_every_report(held):
    folder, done = held
    assert done.returncode == 0, done.stdout + done.stderr
    assert {path.name for path in (folder / "out").iterdir()} == report_files()
    record = read_record(folder / "out" / "run.json")
    assert [checkpoint.edits for checkpoint in record.runs[0].checkpoints] == [1, 3]
    assert "stability run small.stability.yaml" in done.stdout
    assert "edited_weight_norm" in done.stdout


def test_an_editor_that_destroys_the_model_exits_1_and_names_the_checks(shell):
    done = shell("stability", "run", "small.stability.yaml", "--editor", "./mine.py:destroy", "--out", "out")
    assert done.returncode == 1, done.stdout + done.stderr
    failed = [line.split()[1] for line in done.stdout.splitlines() if line.split()[:1] == ["FAIL"]]
    assert {"edited_weight_norm", "fluent"} <= set(failed)
    assert "h.0.mlp.c_proj" in done.stdout


def test_an_editor_that_touches_a_frozen_weight_is_caught(shell):
    done = shell("stability", "run", "small.stability.yaml", "--editor", "./mine.py:meddle", "--out", "out")
    assert done.returncode == 1
    (line,) = [line for line in done.stdout.splitlines() if " frozen_weights " in line]
    assert line.split()[0] == "FAIL"
    assert "ln_f" in line


def test_nan_in_the_weights_fails_and_nothing_is_scored_on_it(shell, folder):
    done = shell("stability", "run", "small.stability.yaml", "--editor", "./mine.py:poison", "--out", "out")
    assert done.returncode == 1, done.stdout + done.stderr
    checkpoint = read_record(folder / "out" / "run.json").runs[0].checkpoints[-1]
    assert checkpoint.readings["nonfinite"].values[""] == 1
    assert "perplexity" not in checkpoint.readings
    assert "not scored" in checkpoint.errors["perplexity"].message


def test_the_editor_that_does_nothing_fails_only_because_its_edits_did_not_take(undone):
    folder, done = undone
    assert done.returncode == 1
    status = {line.split()[1]: line.split()[0] for line in done.stdout.splitlines() if len(line.split()) > 3}
    assert status["edits_took"] == "FAIL"
    assert "FAIL" not in {status[name] for name in ("finite", "frozen_weights", "activation_norm", "fluent")}
    record = read_record(folder / "out" / "run.json")
    for checkpoint in record.runs[0].checkpoints:
        assert checkpoint.changed == ()
        for name, reading in record.base.readings.items():
            assert checkpoint.readings[name].values == reading.values, name


def test_an_editor_that_raises_exits_3_and_what_was_measured_is_kept(shell, folder):
    done = shell(
        "stability", "run", "small.stability.yaml", "--editor", "./mine.py:raises", "--edits", 9,
        "--checkpoint", 3, "--checkpoint", 6, "--set", "run.seeds=[4]", "--out", "out",
    )  # fmt: skip
    assert "Traceback" not in done.stderr
    assert "edit 7" in done.stdout
    assert "the seventh is too many" in done.stdout
    run = read_record(folder / "out" / "run.json").runs[0]
    assert (run.status, run.failed_at) == ("failed", 6)
    assert [checkpoint.edits for checkpoint in run.checkpoints] == [3, 6]
    assert done.returncode == 1  # edits_took was measured, and failed: a failure outranks an error

    without = (folder / "small.stability.yaml").read_text().replace('assert: ">= 0.60"', 'assert: ">= 0"')
    (folder / "lenient.stability.yaml").write_text(without)
    judged = shell("stability", "judge", "out", "--suite", "lenient.stability.yaml")
    assert judged.returncode == 3, judged.stdout


def test_an_interrupt_keeps_what_was_measured(shell, folder):
    done = shell(
        "stability", "run", "small.stability.yaml", "--editor", "./mine.py:interrupted", "--out", "out"
    )
    assert done.returncode == 130
    assert "Traceback" not in done.stderr
    assert (
        "what was measured is in out/run.json; go on with: stability run small.stability.yaml" in done.stderr
    )
    assert done.stderr.rstrip().endswith("--editor ./mine.py:interrupted --out out --resume")
    run = read_record(folder / "out" / "run.json").runs[0]
    assert [checkpoint.edits for checkpoint in run.checkpoints] == [1]
    assert (run.error.kind, run.error.message) == ("interrupted", "interrupted")
    made = len(run.edits)  # the second may have been told of or not
    assert made in (1, 2)
    said = f"interrupted after {made} edit{'s' * (made > 1)} of ./mine.py:interrupted at seed 0"
    for report in ("report.html", "report.md", "junit.xml"):
        assert said in (folder / "out" / report).read_text().replace("\\", ""), report
    junit = ElementTree.parse(folder / "out" / "junit.xml").getroot()
    assert int(junit.get("errors")) == len(junit.findall(".//error")) > 1

    kept = (folder / "out" / "run.json").read_bytes()
    for editor in ("./mine.py:interrupted", "./mine.py:nothing"):
        done = shell("stability", "run", "small.stability.yaml", "--editor", editor, "--out", "out")
        assert done.returncode == 2
        assert len(done.stderr.splitlines()) == 1
        assert "out/run.json is of a run that did not finish" in done.stderr
        assert "go on with it by --resume" in done.stderr
        assert "--overwrite" in done.stderr
        assert (folder / "out" / "run.json").read_bytes() == kept
    assert "the run did not finish" in shell("stability", "judge", "out").stdout
    arguments = ("--editor", "./mine.py:nothing", "--out", "out", "--overwrite")
    assert shell("stability", "run", "small.stability.yaml", *arguments).returncode == 1
    assert read_record(folder / "out" / "run.json").runs[0].status == "complete"


def test_a_run_that_is_told_to_end_says_so_and_leaves_its_record(shell, folder):
    done = shell(
        "stability", "run", "small.stability.yaml", "--editor", "./mine.py:terminated", "--out", "out"
    )
    assert done.returncode == 143
    assert "terminated; what was measured is in out/run.json" in done.stderr
    assert read_record(folder / "out" / "run.json").runs[0].error.kind == "interrupted"


def test_an_editor_that_ends_its_process_fails_alone_and_the_next_is_measured(shell, folder):
    lenient = (folder / "small.stability.yaml").read_text().replace(">= 0.60", ">= 0")
    (folder / "small.stability.yaml").write_text(lenient)
    editors = ("--editor", "./mine.py:gone", "--editor", "./mine.py:nothing")
    done = shell("stability", "run", "small.stability.yaml", *editors, "--out", "out")
    assert done.returncode == 3, done.stderr
    gone, nothing = read_record(folder / "out" / "run.json").runs
    assert (gone.status, gone.failed_at, gone.error.kind) == ("failed", 2, "process_ended")
    assert [checkpoint.edits for checkpoint in gone.checkpoints] == [1]
    assert (nothing.status, nothing.isolation) == ("complete", "process")
    assert "exited with status 0 before the run was done" in done.stdout


def test_two_functions_of_one_file_have_a_folder_each_and_neither_takes_the_others(shell, folder):
    for function, status in (("destroy", 1), ("nothing", 1)):
        done = shell("stability", "run", "small.stability.yaml", "--editor", f"./mine.py:{function}")
        assert done.returncode == status, done.stderr
    folders = sorted(path.name for path in (folder / "reports").iterdir())
    assert folders == ["small-mine-destroy-0", "small-mine-nothing-0"]
    out = folder / "reports" / "small-mine-destroy-0"
    before = {path: path.read_bytes() for path in out.iterdir()}
    done = shell("stability", "run", "small.stability.yaml", "--editor", "./mine.py:nothing", "--out", out)
    assert done.returncode == 2
    assert "run.json is of another run (of ./mine.py:destroy)" in done.stderr
    assert {path: path.read_bytes() for path in out.iterdir()} == before


def test_a_suite_with_three_mistakes_exits_2_with_three_lines(shell, folder):
    text = (folder / "small.stability.yaml").read_text()
    text = (
        text.replace("name: small", "nmae: small")
        .replace("count: 3", "count: many")
        .replace("<= 2.0", "at most 2")
    )
    (folder / "bad.stability.yaml").write_text(text.replace("nmae: small", "name: small\nnmae: small"))
    done = shell("stability", "run", "bad.stability.yaml")
    assert done.returncode == 2
    assert done.stdout == ""
    lines = done.stderr.splitlines()
    assert [line.split(" ")[0] for line in lines] == [
        "bad.stability.yaml:3:",
        "bad.stability.yaml:7:",
        "bad.stability.yaml:16:",
    ]


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["--editor", "rom"], 3, "did you mean"),
        (["--editor", "./none.py:edit"], 3, "none.py"),
        (["--editor", "./mine.py:nobody"], 3, "nobody"),
        (["--set", "rome.layrs=[1]"], 2, "layrs"),
        (["--set", "rome.layers=many"], 2, "layers"),
        (["--model", "./nowhere", "--editor", "none"], 3, "nowhere"),
        (["--edits", "5000"], 3, "lower run.edits.count"),
        (["--edits", "0"], 2, "--edits"),
    ],
)
def test_what_cannot_be_run_is_one_clear_line(shell, folder, arguments, status, message):
    done = shell("stability", "run", "small.stability.yaml", "--out", "out", *arguments)
    assert done.returncode == status, done.stderr
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert not (folder / "out").exists()


def test_a_record_is_judged_again_without_torch(undone, shell, folder):
    shutil.copytree(undone[0] / "out", folder / "out")
    strict = (folder / "small.stability.yaml").read_text().replace(">= 0.60", ">= 0")
    strict += '  certain: {metric: perplexity, assert: "<= 0.5"}\n'
    (folder / "strict.stability.yaml").write_text(strict)
    assert shell("stability", "judge", "out/run.json").returncode == undone[1].returncode
    judged = shell("stability", "judge", "out/run.json", "--suite", "strict.stability.yaml", "--out", "again")
    assert judged.returncode == 3
    assert "base is past this bound" in judged.stdout
    assert {path.name for path in (folder / "again").iterdir()} == report_files()

    code = (
        "import sys; sys.argv = ['stability', 'judge', 'out/run.json']\n"
        "from stability.cli import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "assert not {'torch', 'transformers', 'lm_eval'} & sys.modules.keys()\n"
    )
    (folder / "judge.py").write_text(code)
    subprocess.run([sys.executable, "judge.py"], cwd=folder, check=True, capture_output=True)


def test_a_record_cut_short_is_one_line_and_exits_3(shell, folder):
    (folder / "run.json").write_text('{"schema_version": 1, "har')
    done = shell("stability", "judge", "run.json")
    assert (done.returncode, done.stdout) == (3, "")
    assert "was the file cut short?" in done.stderr


def test_two_runs_of_one_seed_give_one_record_apart_from_times(held, run_in):
    folder, _ = held
    run_in(folder, "stability", "run", "small.stability.yaml", "--out", "again")

    def timeless(content):
        if isinstance(content, dict):
            return {
                key: timeless(value)
                for key, value in content.items()
                if key not in ("timing", "costs", "started")
            }
        return [timeless(value) for value in content] if isinstance(content, list) else content

    one, two = (timeless(json.loads((folder / name / "run.json").read_text())) for name in ("out", "again"))
    assert one == two


def test_the_schema_is_json(shell):
    assert "checks" in json.loads(shell("stability", "schema").stdout)["properties"]
    assert "runs" in json.loads(shell("stability", "schema", "--record").stdout)["properties"]


def test_editors_and_metrics_are_listed(shell):
    assert "rome" in shell("stability", "editors").stdout
    listed = shell("stability", "metrics").stdout
    assert all(name in listed for name in ("weight_norm", "probe_accuracy", "task_score", "peak_memory"))


LOOSE = """\
schema: 1
name: loose
model: world
checks:
  finite: {metric: nonfinite, assert: "== 0"}
"""


@pytest.fixture
def judged_by(tmp_path):
    """Judges the sample by the loose suite, or strictly by its own; `tell` is how the process is started."""
    (tmp_path / "loose.stability.yaml").write_text(LOOSE)

    def judged(is_loose, *arguments, before=(), **tell):
        by = ["--suite", tmp_path / "loose.stability.yaml"] if is_loose else ["--strict"]
        return subprocess.run(
            [*before, sys.executable, "-m", "stability", "judge", SAMPLE, *by, *arguments],
            **({"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "timeout": 300} | tell),
        )

    return judged


@pytest.mark.parametrize("is_loose", [True, False])
@pytest.mark.parametrize("arguments", [[], ["--json"], ["--format", "github"]])
def test_a_reader_that_leaves_changes_no_exit_status(judged_by, is_loose, arguments):
    reading, writing = os.pipe()
    os.close(reading)
    done = judged_by(is_loose, *arguments, stdout=writing)
    os.close(writing)
    assert done.returncode == (0 if is_loose else 1), done.stderr
    assert done.stderr == b""


@pytest.mark.parametrize("is_loose", [True, False])
def test_a_process_without_stdout_has_the_same_exit_status(judged_by, is_loose):
    done = judged_by(is_loose, before=("sh", "-c", 'exec "$@" >&-', "sh"))
    assert done.returncode == (0 if is_loose else 1), done.stderr


@pytest.mark.parametrize("is_loose", [True, False])
def test_a_terminal_that_cannot_show_a_name_changes_no_exit_status(judged_by, is_loose):
    done = judged_by(is_loose, env=os.environ | {"PYTHONIOENCODING": "ascii"})
    assert done.returncode == (0 if is_loose else 1), done.stderr
    assert b"\\xb7" in done.stdout
    assert done.stderr == b""
