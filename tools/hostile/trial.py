"""A trial: one command runs a hostile editor, then a sound one."""

from __future__ import annotations

import ctypes
import json
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from stability.errors import StabilityError
from stability.printable import without_commands
from stability.record import Record, Run, read_record
from stability.testing.tiny import tiny_model
from tools.fuzz.commands import Ended, run_program
from tools.hostile.acts import ACTS

SUITE = """\
schema: 1
name: hostile
model: {model}
editors:
{editors}
run:
  edits: {{source: world, count: 3}}
  checkpoints: [1]
  limits: {{edit_seconds: 6, total_seconds: 30, memory: 2 GiB}}
text: {{source: world, tokens: 300}}
probes: {{tokens: 100}}
checks:
  finite: {{metric: nonfinite, assert: "== 0"}}
  norm: {{metric: weight_norm, where: {{matrices: edited}}, relative_to: base, assert: "<= 1.5"}}
  activations: {{metric: activation_norm, relative_to: base, assert: "between 0.5 and 2"}}
  fluent: {{metric: perplexity, relative_to: base, assert: "<= 2"}}
"""
SOUND = "tools.hostile.stranger:SoundEditor"
HOSTILE = "tools.hostile.stranger:HostileEditor"
SUITE_FILE = "hostile.stability.yaml"
SUBREAPER = 36  # prctl's PR_SET_CHILD_SUBREAPER
STATUSES = {0: "held", 1: "failed", 3: "not measured"}
STOPPED = {130: "interrupted", 143: "interrupted"}


@dataclass(frozen=True)
class Trial:
    """What came of an act, and what is wrong with it; nothing is, if that is empty."""

    act: str
    outcome: str
    problem: str = ""


class Arena:
    """Where trials are made, one after the other: in it lie the model, and the sound run for comparison."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._model = folder / "tiny"
        loaded = tiny_model("gpt2")
        loaded.model.save_pretrained(self._model)
        loaded.tokenizer.save_pretrained(self._model)
        ended, record = self._command([f"  - {SOUND!r}"])
        assert ended.status == 0, ended
        assert record is not None
        [self.sound] = record.runs

    def trial(self, name: str) -> Trial:
        """Make one."""
        ended, record = self._command([f"  - {HOSTILE!r}: {{does: {json.dumps(name)}}}", f"  - {SOUND!r}"])
        outcome = _outcome(ended, record)
        return Trial(name, outcome, "; ".join(self._problems(name, outcome, ended, record)))

    def _command(self, editors: list[str]) -> tuple[Ended, Record | None]:
        """Run a suite with these editors, in a folder of its own."""
        with TemporaryDirectory(prefix="hostile-", ignore_cleanup_errors=True) as name, orphans_ended():
            folder = Path(name)
            (folder / SUITE_FILE).write_text(SUITE.format(model=self._model, editors="\n".join(editors)))
            ended = run_program(["run", SUITE_FILE, "--out", "out"], folder)
            try:
                return ended, read_record(folder / "out" / "run.json")
            except StabilityError:
                return ended, None

    def _problems(self, name: str, outcome: str, ended: Ended, record: Record | None) -> Iterator[str]:
        """Everything that is not as it has to be."""
        act = ACTS[name]
        if outcome not in act.outcomes:
            said = (ended.err or ended.out)[-500:]
            yield f"it is {outcome}, expected {' or '.join(act.outcomes)}: {said!a}"
        if "Traceback (most" in ended.err + ended.out:
            yield f"a traceback is printed: {ended.err[-500:]!a}"
        if without_commands(ended.out + ended.err) != ended.out + ended.err:
            yield "a command for the runner is printed"
        if outcome in ("unwritable", "interrupted"):
            return
        if record is None or len(record.runs) < 2:
            yield f"there is no second run (status {ended.status}): {ended.err[-500:]!a}"
            return
        hostile, sound = record.runs
        if content(sound) != content(self.sound):
            yield f"the next run is another one: {_difference(content(self.sound), content(sound))}"
        if hostile.checkpoints and act.moment == "edit":
            before, first = content(self.sound)["checkpoints"][0], content(hostile)["checkpoints"][0]
            if first != before:
                yield f"what was measured before is another: {_difference(before, first)}"
        if act.moment == "edit" and not hostile.checkpoints:
            yield "what was measured before is lost"


def content(run: Run) -> Any:
    """A run without its times and costs, as JSON."""
    plain = json.loads(run.model_dump_json())
    plain.pop("timing")
    for checkpoint in plain["checkpoints"]:
        checkpoint.pop("costs")
    return plain


def _outcome(ended: Ended, record: Record | None) -> str:
    """What came of a command, in a word."""
    if ended.status is None:
        return "hang"
    if ended.status in STOPPED:
        return STOPPED[ended.status]
    if ended.status == 3 and "cannot be written" in ended.err:
        return "unwritable"
    if record is None or not record.runs or ended.status not in STATUSES:
        return f"status {ended.status}"
    hostile = record.runs[0]
    if hostile.error is not None:
        return str(hostile.error.kind)
    return STATUSES[ended.status]


def _difference(one: Any, other: Any, path: str = "") -> str:
    """The first place where two values differ."""
    if isinstance(one, dict) and isinstance(other, dict) and one.keys() == other.keys():
        return next(
            (found for key in one if (found := _difference(one[key], other[key], f"{path}.{key}"))), ""
        )
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        pairs = enumerate(zip(one, other, strict=True))
        return next((found for n, pair in pairs if (found := _difference(*pair, f"{path}[{n}]"))), "")
    return "" if one == other else f"{path}: {str(one)[:100]} is {str(other)[:100]}"


@contextmanager
def orphans_ended() -> Iterator[None]:
    """While open, processes that lose their parent become this one's children; then they are ended."""
    libc = ctypes.CDLL(None)
    libc.prctl(SUBREAPER, 1, 0, 0, 0)
    before = _children()
    try:
        yield
    finally:
        while left := _children() - before:
            for pid in left:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                with suppress(ChildProcessError):
                    os.waitpid(pid, 0)
        libc.prctl(SUBREAPER, 0, 0, 0, 0)


def _children() -> set[int]:
    """The processes that this one has started or taken over."""
    found: set[int] = set()
    for thread in Path("/proc/self/task").iterdir():
        with suppress(OSError):
            found |= {int(pid) for pid in (thread / "children").read_text(encoding="ascii").split()}
    return found
