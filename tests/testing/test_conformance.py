"""The doors of the kit: the command line, `check_editor`, and the checks as tests of one's own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import unittest
from pathlib import Path

import pytest

from stability import cli
from stability.editors import wrap_editor
from stability.errors import EditorError, SettingsError, UsageError
from stability.testing import ConformanceFailure, check_editor, editor_checks, parametrize_editor_checks
from stability.testing.check import CheckFailed
from stability.testing.examiner import all_checks
from stability.testing.tiny import tiny_model

ROOT = Path(__file__).parents[2]
README_EDITOR = """\
import torch


def edit(model, tokenizer, edits):
    block = model.transformer.h[0]
    with torch.no_grad():
        block.mlp.c_proj.weight.mul_(1.02)
"""
SLOW = ("survives_unusual_subjects", "runs_on_llama")


@pytest.fixture
def command(monkeypatch, capsys, tmp_path):
    """Runs `stability check-editor ARGUMENTS` and gives its exit status, stdout and stderr."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my_editor.py").write_text(README_EDITOR)
    monkeypatch.setenv("STABILITY_CACHE", str(tmp_path / "cache"))

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["stability", "check-editor", *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        out, err = capsys.readouterr()
        return ended.value.code, out, err

    return run


def test_the_readmes_editor_fails_only_because_its_edits_do_not_take(command):
    status, out, err = command("./my_editor.py:edit")
    assert (status, err) == (1, "")
    ends = {
        line.split()[1]: line.split()[0] for line in out.splitlines() if line[:4] in ("FAIL", "pass", "skip")
    }
    assert list(ends) == list(all_checks())
    assert [name for name, end in ends.items() if end == "FAIL"] == ["edits_take_effect"]
    assert "the editor is not made for a Llama" in out
    assert out.splitlines()[-1] == "1 failed, 17 passed, 5 skipped"


def test_json_holds_every_result_with_what_it_asks(command):
    status, out, _ = command("./my_editor.py:edit", "--json", "--check", "hooks_removed", "--check", "no_nan")
    content = json.loads(out)
    assert status == content["exit_status"] == 0
    assert [check["name"] for check in content["checks"]] == ["no_nan", "hooks_removed"]
    assert all(check["status"] == "pass" and check["summary"] for check in content["checks"])


def test_what_an_editor_prints_does_not_get_into_the_json(command, tmp_path):
    (tmp_path / "my_editor.py").write_text(README_EDITOR + "    print('noise')\n")
    _, out, err = command("./my_editor.py:edit", "--json", "--check", "no_nan")
    assert json.loads(out)["checks"]
    assert "noise" in err


def test_nothing_that_could_be_checked_exits_3(command):
    status, out, _ = command("none", "--check", "reports_each_edit")
    assert status == 3
    assert "the editor reports no figures" in out


def test_settings_reach_the_editor(command):
    status, out, _ = command("ft", "--set", "ft.layers=[2]", "--check", "only_weights_change_that_may")
    assert (status, "h.2.mlp.c_proj.weight" in out) == (0, True)


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        ([], 2, "name an editor"),
        (["rom"], 3, "did you mean 'rome'"),
        (["./none.py:edit"], 3, "there is no file none.py"),
        (["ft", "--check", "no_nans"], 2, "did you mean 'no_nan'?"),
        (["ft", "--skip", "nothing"], 2, "no check is called 'nothing'"),
        (["ft", "--set", "ft.layer=1"], 2, "did you mean 'layers'"),
        (["ft", "--set", "run.seeds=[1]"], 2, "settings of the editor and the model only"),
        (["ft", "--model", "./nowhere"], 3, "no model at ./nowhere"),
        (["ft", "--edits", "none.json"], 3, "none.json: cannot read the edits"),
    ],
)
def test_what_cannot_be_checked_is_one_clear_line(command, arguments, status, message):
    ended, out, err = command(*arguments)
    assert (ended, out) == (status, "")
    assert message in err
    assert len(err.splitlines()) == 1


def test_the_list_of_checks_says_what_each_asks(command, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["stability", "check-editor", "--list"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    out = " ".join(capsys.readouterr().out.split())
    assert ended.value.code == 0
    for check in all_checks().values():
        assert f"{check.name} {check.summary}" in out
        assert check.summary.endswith(".")


def test_every_check_that_another_rests_on_comes_before_it():
    names = list(all_checks())
    for check in all_checks().values():
        assert all(names.index(needed) < names.index(check.name) for needed in check.requires)


def test_all_failures_are_raised_together_or_the_first_alone(broken, store):
    def careless(model, tokenizer, edits):
        broken.leaves_train_mode(model, tokenizer, edits)
        broken.leaves_a_hook(model, tokenizer, edits)

    with pytest.raises(ConformanceFailure, match="careless fails 2 checks") as raised:
        check_editor(careless, skip=SLOW, store=store)
    assert "\n  model_left_in_eval_mode: " in str(raised.value)
    assert "\n  hooks_removed: " in str(raised.value)
    with pytest.raises(ConformanceFailure, match="careless fails 1 checks:\n  model_left_in_eval_mode"):
        check_editor(careless, skip=SLOW, store=store, stop_at_first=True)


def test_a_model_of_ones_own_is_checked_on_with_edits_of_ones_own(broken, store):
    tiny = tiny_model("gpt2")
    edits = [
        broken.Edit(f"e{number}", "a friend of {}", name, "dog")
        for number, name in enumerate(("Anna", "Zoe", "Berg", "Rome", "Paris", "nobody", "fox"))
    ]
    options = {"model": tiny.model, "tokenizer": tiny.tokenizer, "edits": edits, "store": store}
    found = check_editor(broken.sound, **options)
    assert found.model == "GPT2LMHeadModel"
    assert len(found.of("pass")) >= 18
    with pytest.raises(UsageError, match="needs its tokenizer"):
        check_editor(broken.sound, model=tiny.model)
    with pytest.raises(EditorError, match="the checks need 7 edits"):
        check_editor(broken.sound, **{**options, "edits": edits[:6]})


def test_settings_are_filled_in_and_checked(broken, store):
    with pytest.raises(SettingsError, match="unknown setting 'speed'"):
        check_editor(broken.sound, settings={"speed": 1}, store=store)
    ready = wrap_editor(broken.sound)
    found = check_editor(ready, checks=["settings_are_checked", "no_nan"], store=store)
    assert [(result.name, result.status) for result in found.results] == [
        ("no_nan", "pass"),
        ("settings_are_checked", "skip"),
    ]


def test_the_checks_come_as_pairs_of_name_and_function(broken, store):
    pairs = dict(editor_checks(broken.leaves_train_mode, store=store, skip=SLOW))
    assert set(pairs) == all_checks().keys() - set(SLOW)
    pairs["hooks_removed"]()
    with pytest.raises(
        CheckFailed, match=r"model_left_in_eval_mode: edit 1 .* left the model: was eval, is training"
    ):
        pairs["model_left_in_eval_mode"]()
    with pytest.raises(unittest.SkipTest, match="the editor has no prepare"):
        pairs["prepare_changes_no_weight"]()


@parametrize_editor_checks("ft", skip=("reports_each_edit", *SLOW))
def test_the_mark_makes_a_test_of_each_check(check):
    check()


def test_under_pytest_each_check_passes_fails_or_is_skipped_by_its_name(tmp_path):
    (tmp_path / "my_editor.py").write_text(README_EDITOR)
    (tmp_path / "test_mine.py").write_text(
        "from stability.testing import parametrize_editor_checks\n\n"
        "NAMES = ['no_nan', 'edits_take_effect', 'prepare_changes_no_weight']\n\n"
        "@parametrize_editor_checks('./my_editor.py:edit', checks=NAMES)\n"
        "def test_my_editor(check):\n"
        "    check()\n"
    )
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-rA",
            "-p",
            "no:cacheprovider",
            "-p",
            "no:xdist",
            "test_mine.py",
        ],
        cwd=tmp_path,
        env={**os.environ, "OMP_NUM_THREADS": "1", "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert "PASSED test_mine.py::test_my_editor[no_nan]" in done.stdout
    assert "FAILED test_mine.py::test_my_editor[edits_take_effect]" in done.stdout
    assert "the editor has no prepare" in done.stdout
    assert "1 failed, 1 passed, 1 skipped" in done.stdout


def test_the_kit_is_imported_without_torch():
    code = "import sys, stability.testing; assert not {'torch', 'hypothesis', 'pytest'} & sys.modules.keys()"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


def test_the_page_on_conformance_lists_the_checks_as_they_are():
    page = (ROOT / "docs" / "conformance.md").read_text(encoding="utf-8")
    rows = [f"| `{check.name}` | {check.summary} |" for check in all_checks().values()]
    assert "\n".join(rows) in page
