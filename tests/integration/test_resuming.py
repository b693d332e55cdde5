"""A real process, killed in the middle of one editor after another, and gone on with by the same command."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from stability.record import read_record

SUITE = """\
schema: 1
name: killed
editors:
  - {name: ./mine.py:KilledRome, as: rome, settings: {layers: [0], v_num_grad_steps: 3, mom2_adjustment: false}}
  - {name: ./mine.py:KilledMemit, as: memit, settings: {layers: [0, 1], v_num_grad_steps: 3, mom2_adjustment: false}}
  - {name: ./mine.py:KilledLora, as: lora, settings: {layers: [0], num_steps: 3, merge: false}}
run: {edits: {source: world, count: 4}, checkpoints: [2], resume: {every: 1}}
text: {source: world, tokens: 200}
checks:
  finite: {metric: nonfinite, assert: "== 0"}
  retained: {metric: retention, assert: ">= 0"}
"""
EDITORS = """\
import os
import pathlib
import signal

from stability.editors.locate.memit import Memit
from stability.editors.locate.rome import Rome
from stability.editors.train.lora import Lora


def killed():
    ends = pathlib.Path("ends")  # at how many calls of edit this program is killed
    if ends.exists():
        left = int(ends.read_text()) - 1
        ends.write_text(str(left))
        if left == 0:
            ends.unlink()
            os.kill(os.getppid(), signal.SIGKILL)
            signal.pause()


class KilledRome(Rome):
    def edit(self, *arguments):
        killed()
        return super().edit(*arguments)


class KilledMemit(Memit):
    def edit(self, *arguments):
        killed()
        return super().edit(*arguments)


class KilledLora(Lora):
    def edit(self, *arguments):
        killed()
        return super().edit(*arguments)
"""


@pytest.fixture
def killed_suite(folder: Path) -> Path:
    (folder / "killed.stability.yaml").write_text(SUITE)
    (folder / "mine.py").write_text(EDITORS)
    return folder


def test_a_program_killed_in_every_editor_and_gone_on_with_has_the_record_of_one_that_was_not(
    killed_suite: Path, shell: Any
) -> None:
    run = ("stability", "run", "killed.stability.yaml", "--out")
    whole = shell(*run, "whole")
    assert whole.returncode == 0, whole.stderr
    for calls in (4, 4, 4):  # the 4th edit of rome, then of memit, then of lora, or one before
        (killed_suite / "ends").write_text(str(calls))
        assert shell(*run, "out", "--resume").returncode == -9
    done = shell(*run, "out", "--resume")
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    expected, found = (read_record(killed_suite / name / "run.json") for name in ("whole", "out"))
    assert found.without_times() == expected.without_times()
    assert found.runs[0].resumed_at != ()  # of the others the first edit may be where they were cut off
    assert not (killed_suite / "out" / "points").exists()


def test_pytest_goes_on_with_what_a_killed_session_has_left(killed_suite: Path, shell: Any) -> None:
    session = ("pytest", "killed.stability.yaml", "-k", "rome", "--stability-resume", "--stability-out")
    assert shell(*session, "whole").returncode == 0
    (killed_suite / "ends").write_text("4")
    assert shell(*session, "out").returncode == -9
    done = shell(*session, "out")
    assert done.returncode == 0, done.stdout
    expected, found = (
        read_record(killed_suite / name / "killed-rome-0" / "run.json") for name in ("whole", "out")
    )
    assert found.without_times() == expected.without_times()
    assert found.runs[0].resumed_at != ()
