"""One run of many edits: its memory, time an edit and files, in its first quarter and in its last."""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.load.rank_one import RankOne, resident
from stability.api import Suite
from stability.testing.tiny import tiny_model

PLACES = ("Rome", "Paris")
SUITE = """\
schema: 1
name: long-run
run:
  edits: {{source: file, path: {path}, count: {edits}}}
  checkpoints: [{checkpoints}]
  limits: {{edit_seconds: .inf, total_seconds: .inf}}
text: {{source: world, tokens: 256, window: 64}}
checks:
  edited_weight_norm: {{metric: weight_norm, where: {{matrices: edited}}, relative_to: base, assert: "<= 2"}}
  activation_norm: {{metric: activation_norm, where: {{layers: late}}, relative_to: base, assert: ">= 0.60"}}
"""

Quarters = tuple[float, float]
"""A figure of the first quarter of the edits, and of the last."""


@dataclass(frozen=True)
class LongRun:
    """A run, with the memory of its process and that of the process that keeps the record, in MiB."""

    edits: int
    checkpoints: int
    seconds: Quarters
    run_mib: Quarters
    record_mib: Quarters
    bytes_an_edit: float


@dataclass
class Watch:
    """A listener that notes the memory of the process that keeps the record, after each edit."""

    resident: list[float] = field(default_factory=list)

    def stage(self, text: str) -> None:
        """No edit."""

    def edits(self, label: str, done: int, total: int) -> None:
        """Note it."""
        self.resident.append(resident())


def long_run(edits: int, checkpoints: int, folder: Path) -> LongRun:
    """The figures of a run of so many edits in a process of its own, which leaves its files in the folder."""
    model, watch, out = tiny_model("gpt2"), Watch(), folder / "out"
    suite = Suite.parse(suite_text(edits, checkpoints, folder))
    report = suite.run(
        RankOne,
        model=model.model,
        tokenizer=model.tokenizer,
        out=out,
        listener=watch,
        isolation="process",
    )
    (run,) = report.record.runs
    reported = [outcome.reported or {} for outcome in run.edits]
    size = sum(file.stat().st_size for file in out.rglob("*") if file.is_file())
    return LongRun(
        edits=len(run.edits),
        checkpoints=len(run.checkpoints),
        seconds=quarters([one["seconds"] for one in reported], statistics.median),
        run_mib=quarters([one["resident_mib"] for one in reported], max),
        record_mib=quarters(watch.resident, max),
        bytes_an_edit=size / edits,
    )


def suite_text(edits: int, checkpoints: int, folder: Path) -> str:
    """A suite of so many edits, which are written into the folder."""
    path = folder / "edits.jsonl"
    path.write_text("".join(json.dumps(_edit(number)) + "\n" for number in range(edits)), encoding="utf-8")
    at = ", ".join(str(edits * (step + 1) // checkpoints) for step in range(checkpoints))
    return SUITE.format(path=path, edits=edits, checkpoints=at)


def quarters(values: Sequence[float], of: Callable[[Sequence[float]], float]) -> Quarters:
    """A figure of the first quarter of the values, and of the last."""
    quarter = max(1, len(values) // 4)
    return of(values[:quarter]), of(values[-quarter:])


def _edit(number: int) -> dict[str, str]:
    return {
        "id": f"edit-{number}",
        "prompt": "{} plays the cello in",
        "subject": f"Anna {number}",
        "target": PLACES[number % 2],
        "target_true": PLACES[1 - number % 2],
    }
