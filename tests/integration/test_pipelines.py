"""What docs/pipelines.md and action.yml say, run with bash on the built-in model."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
import yaml

from stability.suite import parse_suite

ROOT = Path(__file__).parents[2]
DOCUMENT = (ROOT / "docs" / "pipelines.md").read_text(encoding="utf-8")
STATUSES = (ROOT / "docs" / "exit-status.md").read_text(encoding="utf-8")
ACTION = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
BASH = ("bash", "--noprofile", "--norc", "-eo", "pipefail", "-c")  # as GitHub's runner calls it

SUITE = """\
schema: 1
name: smoke
model: world
editors: [rome]
run: {edits: {source: world, count: 2}}
text: {source: world, tokens: 300}
probes: {tokens: 100}
checks:
  asked: {metric: edit_success, assert: ">= 0"}
  norm:
    {metric: weight_norm, where: {matrices: edited}, relative_to: base, assert: "<= 2.0"}
  unsure: {metric: perplexity, assert: "< 1.001", severity: warn, at: [0]}
"""

EDITOR = """\
import torch


def edit(model, tokenizer, edits, factor=1.01):
    print("::error::an editor may print what it likes")
    with torch.no_grad():
        model.transformer.h[0].mlp.c_proj.weight.mul_(factor)


def destroy(model, tokenizer, edits):
    edit(model, tokenizer, edits, factor=30)
"""


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```", DOCUMENT, re.DOTALL | re.MULTILINE)


def made(folder):
    """The files that the examples speak of."""
    (folder / "suites").mkdir()
    (folder / "suites" / "smoke.stability.yaml").write_text(SUITE)
    (folder / "my_editor.py").write_text(EDITOR)
    return folder


@pytest.fixture(autouse=True, scope="module")
def path(commands):
    """The commands of this installation come first, and before them those that start at once."""
    with pytest.MonkeyPatch.context() as changed:
        folders = [str(commands), str(Path(sys.executable).parent), os.environ["PATH"]]
        changed.setenv("PATH", os.pathsep.join(folders))
        yield


def bash(script, folder, **environment):
    """Run a script as the runner does."""
    known = {key: value for key, value in os.environ.items() if not key.startswith("GITHUB_")}
    return subprocess.run(
        [*BASH, script],
        cwd=folder,
        env={**known, "OMP_NUM_THREADS": "1", "NO_COLOR": "1", **environment},
        capture_output=True,
        text=True,
        timeout=300,
    )


@pytest.fixture(scope="module")
def deployed(tmp_path_factory):
    """A folder in which the pre-deploy script was run, and what came of that."""
    folder = made(tmp_path_factory.mktemp("deployed"))
    return folder, bash(blocks("bash")[0], folder)


@pytest.fixture
def measured(deployed, tmp_path):
    """A copy of that folder."""
    return Path(shutil.copytree(deployed[0], tmp_path / "measured"))


def test_the_pre_deploy_script_deploys_what_held_and_leaves_pure_json(deployed):
    folder, done = deployed
    assert (done.returncode, done.stdout) == (0, "held: deploying\n"), done.stderr
    assert "an editor may print what it likes" in done.stderr
    verdicts = json.loads((folder / "verdicts.json").read_text())
    assert verdicts["exit_status"] == 0
    [editor] = verdicts["editors"]
    assert {one["check"]: one["status"] for one in editor["verdicts"]} == {
        "asked": "pass",
        "norm": "pass",
        "unsure": "warn",
    }


@pytest.mark.parametrize(
    ("file", "old", "new", "status", "words"),
    [
        (
            "suites/smoke.stability.yaml",
            "name: smoke",
            "nmae: smoke",
            2,
            "the suite is wrong: nothing was run",
        ),
        ("my_editor.py", "def edit(", "def other(", 3, "could not be measured (status 3)"),
    ],
)
def test_the_pre_deploy_script_stops_where_nothing_is_known(tmp_path, file, old, new, status, words):
    folder = made(tmp_path)
    (folder / file).write_text((folder / file).read_text().replace(old, new))
    done = bash(blocks("bash")[0], folder)
    assert (done.returncode, done.stdout) == (status, "")
    assert done.stderr.endswith(f"{words}\n")
    assert (folder / "verdicts.json").read_text() == ""


def test_gitlabs_job_fails_with_a_junit_report_of_the_checks(tmp_path):
    folder = made(tmp_path)
    job = yaml.safe_load(blocks("yaml")[1])["stability"]
    script = "\n".join(job["script"]).replace("my_editor.py:edit", "my_editor.py:destroy")
    done = bash(script, folder)
    assert done.returncode == 1, done.stderr
    report = folder / job["artifacts"]["reports"]["junit"]
    failed = [
        case.get("name") for case in ET.parse(report).iter("testcase") if case.find("failure") is not None
    ]
    assert failed == ["norm"]
    assert (folder / job["artifacts"]["paths"][0] / "report.html").exists()


def test_the_baseline_commands_work_one_after_the_other(measured):
    checks = yaml.safe_load(blocks("yaml")[2])
    suite = yaml.safe_load(SUITE)
    text = yaml.safe_dump(suite | {"checks": suite["checks"] | checks["checks"]}, sort_keys=False)
    assert parse_suite(text).spec.checks["norm_regression"].relative_to == "previous"

    run, *commands = (line.partition("#")[0] for line in blocks("bash")[1].splitlines())
    assert run.startswith("stability run suites/smoke.stability.yaml")  # done already, by the script above
    done = bash("\n".join(commands), measured)
    assert done.returncode == 0, done.stderr
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["saved", "replaced", "suite", "smoke"]
    assert list((measured / "suites" / "baselines" / "smoke").glob("*.json"))


def with_inputs(text, given):
    """What the runner puts in place of `${{ inputs.NAME }}`, and of the folder of the action."""
    values = {name: str(one.get("default", "")) for name, one in ACTION["inputs"].items()} | given
    text = text.replace("${{ github.action_path }}", str(ROOT))
    return re.sub(r"\$\{\{ inputs\.(\w+) \}\}", lambda match: values[match[1]], text)


def act(folder, **given):
    """Run the action's step that judges, as the runner would, and read what it left."""
    [step] = [step for step in ACTION["runs"]["steps"] if step.get("id") == "judge"]
    assert step["shell"] == "bash"
    assert "${{" not in step["run"]  # inputs come by the environment: no text of a stranger becomes a script
    environment = {name: with_inputs(value, given) for name, value in step["env"].items()}
    files = {"GITHUB_OUTPUT": folder / "output", "GITHUB_STEP_SUMMARY": folder / "summary.md"}
    done = bash(step["run"], folder, **environment, **{name: str(path) for name, path in files.items()})
    summary = files["GITHUB_STEP_SUMMARY"]
    return done, read_outputs(files["GITHUB_OUTPUT"]), summary.read_text() if summary.exists() else ""


def read_outputs(path):
    """The outputs as the runner reads them: NAME=VALUE, or NAME<<END and lines up to one that is END."""
    outputs, lines = {}, iter(path.read_text().split("\n"))
    for line in lines:
        if match := re.match("([^=]+?)<<(.+)", line):
            outputs[match[1]] = "\n".join(
                iter(lambda end=match[2]: None if (one := next(lines)) == end else one, None)
            )
        elif line:
            name, _, value = line.partition("=")
            outputs[name] = value
    return outputs


def annotations(output):
    """The commands that the runner would obey in an output: none between a stop and its token."""
    token, found = None, []
    for line in output.splitlines():
        if token is not None:
            token = None if line == f"::{token}::" else token
        elif line.startswith("::stop-commands::"):
            token = line.removeprefix("::stop-commands::")
        elif line.lstrip().startswith("::"):
            found.append(line)
    assert token is None
    return found


def test_the_action_judges_a_record_annotates_it_and_writes_the_summary(measured):
    strict = measured / "suites" / "smoke.stability.yaml"
    strict.write_text(SUITE.replace("<= 2.0", "<= 1.001"))
    done, outputs, summary = act(
        measured, suite="suites/smoke.stability.yaml", record="reports/smoke", out="reports/again"
    )
    assert done.returncode == 1, done.stderr
    assert outputs == {"status": "1", "report": "reports/again"}
    error, warning = annotations(done.stdout)
    assert error.startswith(
        "::error file=suites/smoke.stability.yaml,line=10,title=norm%3A fail (./my_editor.py%3Aedit)::"
    )
    assert warning.startswith("::warning file=suites/smoke.stability.yaml,line=12,title=unsure")
    assert summary.startswith("## smoke: failed")
    assert (measured / "reports" / "again" / "junit.xml").exists()


def test_the_action_runs_a_suite_with_editors_and_arguments(tmp_path):
    done, outputs, summary = act(
        made(tmp_path),
        suite="suites/smoke.stability.yaml",
        editor="./my_editor.py:edit\nnone\n",
        arguments="--edits 1\n--seed 3  # one of them\n--set 'text.source=world'",
    )
    assert outputs == {"status": "0", "report": "reports/stability"}, done.stderr
    record = json.loads((tmp_path / "reports" / "stability" / "run.json").read_text())
    runs = [(run["editor"]["name"], run["seed"], len(run["edits"])) for run in record["runs"]]
    assert runs == [("./my_editor.py:edit", 3, 1), ("none", 3, 1)]
    assert "none on world" in summary
    assert done.returncode == 0


WORDS = (sys.executable, str(ROOT / "tools" / "action" / "words.py"))
ARGUMENTS = [
    "",
    "  \n",
    "--strict",
    "--edits 10\n--strict",
    '--set "my_editor.note=it\'s one word" --seed 0',
    "--set 'text.path=my texts/a b.txt'\n  --strict\n",
    "--edits 10 \\\n  --strict",
    "--set a=\\'b\\ c\\' -x''y",
    "# first the seeds\n--seed 3  # it's enough\n--set a=b#c 'd'#e",
    '--set \'a=\\\' --set "b=\\"\\\\ \\n"',
    "--editor ''",
    "--editor größe:é",
]


def words(arguments):
    done = subprocess.run(
        WORDS, input=arguments, capture_output=True, text=True, encoding="utf-8", timeout=60
    )
    return done, done.stdout.split("\0")[:-1]


@pytest.mark.parametrize("arguments", ARGUMENTS)
def test_the_actions_arguments_are_the_words_that_a_shell_makes_of_them(tmp_path, arguments):
    shells = bash(f"words=(x {arguments}\n); printf '%s\\0' \"${{words[@]}}\"", tmp_path).stdout.split("\0")
    assert words(arguments)[1] == shells[1:-1]


def test_nothing_in_the_actions_arguments_is_run_or_expanded(tmp_path):
    given = "$(touch ran) `touch ran` ;touch ran $HOME * <(touch ran) >ran & a|b {a,b} ~"
    assert words(given)[1] == given.split()


def test_the_action_runs_nothing_with_arguments_that_have_an_open_quote(tmp_path):
    done, outputs, _ = act(
        made(tmp_path), suite="suites/smoke.stability.yaml", arguments="--edits 1\n--set 'a=b"
    )
    assert (done.returncode, outputs["status"]) == (2, "2")
    assert annotations(done.stderr) == ["::error title=arguments::No closing quotation"]
    assert not (tmp_path / "reports").exists()


@pytest.mark.parametrize("arguments", ["--edits 1\n--out elsewhere", "--out=elsewhere", "'--out' a b"])
def test_the_actions_folder_is_named_by_its_own_input_alone(tmp_path, arguments):
    done, outputs, _ = act(made(tmp_path), suite="suites/smoke.stability.yaml", arguments=arguments)
    assert (done.returncode, outputs["status"]) == (2, "2")
    assert annotations(done.stderr) == ["::error title=arguments::--out is given by the action's input 'out'"]
    assert not (tmp_path / "reports").exists()
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize("out", ["reports/a\nstatus=0", "reports/b\nEOF\nstatus=0\nc<<EOF"])
def test_a_line_break_in_the_actions_out_writes_no_other_output(measured, out):
    strict = measured / "suites" / "smoke.stability.yaml"
    strict.write_text(SUITE.replace("<= 2.0", "<= 1.001"))
    done, outputs, _ = act(measured, suite="suites/smoke.stability.yaml", record="reports/smoke", out=out)
    assert done.returncode == 1
    assert outputs == {"status": "1", "report": out}


def test_the_action_annotates_a_wrong_suite_at_its_line(tmp_path):
    folder = made(tmp_path)
    suite = folder / "suites" / "smoke.stability.yaml"
    suite.write_text(SUITE.replace('assert: ">= 0"', "asert: 1"))
    done, outputs, _ = act(folder, suite="suites/smoke.stability.yaml")
    assert (done.returncode, outputs["status"]) == (2, "2")
    problems = annotations(done.stdout)
    assert len(problems) == len(done.stderr.splitlines()) == 2
    assert all(line.startswith("::error file=suites/smoke.stability.yaml,line=9,") for line in problems)


def test_the_action_installs_what_it_comes_with():
    install = ACTION["runs"]["steps"][0]
    assert install["if"] == "inputs.install == 'true'"
    assert install["run"] == 'python -m pip install --quiet "$ACTION"'
    assert (ROOT / "pyproject.toml").exists()  # beside action.yml: github.action_path is its folder
    assert all(step["shell"] == "bash" for step in ACTION["runs"]["steps"])


def test_the_documents_workflow_gives_the_action_what_it_takes():
    workflow = yaml.safe_load(blocks("yaml")[0])
    [step] = [step for step in workflow["jobs"]["suite"]["steps"] if step.get("id") == "stability"]
    assert set(step["with"]) <= set(ACTION["inputs"])
    required = {name for name, one in ACTION["inputs"].items() if one.get("required")}
    assert required <= set(step["with"])
    produced = set(ACTION["outputs"])
    assert produced == {"status", "report"}


def test_json_with_annotations_keeps_them_apart(measured):
    done = bash("stability judge reports/smoke --json --format github --strict", measured)
    assert done.returncode == 1
    assert json.loads(done.stdout)["exit_status"] == 1
    assert [line.split()[0] for line in annotations(done.stderr)] == ["::error"]


def test_a_summary_is_appended_and_one_that_cannot_be_written_is_one_line(measured):
    bash(
        "stability judge reports/smoke --summary s.md && stability judge reports/smoke --summary s.md",
        measured,
    )
    assert (measured / "s.md").read_text().count("## smoke: held") == 2
    done = bash("stability judge reports/smoke --summary nowhere/s.md", measured)
    assert done.returncode == 2
    assert done.stderr == "nowhere/s.md: cannot write the summary: No such file or directory\n"


def test_every_exit_status_of_the_document_is_one_that_the_command_line_documents():
    from stability import cli

    rows = re.findall(r"^\| (\d+) \|", STATUSES, re.MULTILINE)
    assert rows == ["0", "1", "2", "3", "130", "143"]
    said = cli.__doc__ or ""
    assert all(re.search(rf"\b{status}\b", said) for status in rows)
