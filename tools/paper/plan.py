"""What is run in which order, and how long it takes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stability.suite import EditorSpec, SuiteFile, load_suite
from tools.paper.twins import EXPERIMENTS, suite_file

FIRST = (  # the rest comes behind, in the order of the experiments
    ("b-sequential", "rome", 0),
    ("b-sequential", "rome", 1),
    ("b-sequential", "rome", 2),
    ("b-sequential", "memit", 0),
    ("b-sequential", "memit", 1),
    ("b-sequential", "memit", 2),
    ("i-stabilisers", "alphaedit", 0),
    ("a-training", "lora", 0),
    ("a-training", "full_ft", 0),
    ("b-sequential", "ft", 0),
)
SECONDS: Mapping[
    str, float
] = {  # of one core of a Xeon an edit of smollm2, by the editor; others: as `memit`
    "rome": 4.6,
    "memit": 4.8,
    "pmet": 5.0,
    "alphaedit": 4.6,
    "encore": 3.7,
    "lora": 11.0,
    "ft": 6.0,
}
CHECKPOINT, BASE = 60.0, 200.0  # seconds at a checkpoint and before the first edit, tasks not counted


@dataclass(frozen=True)
class Step:
    """One editor at one seed of one experiment: a record of its own."""

    experiment: str
    editor: EditorSpec
    seed: int
    edits: int
    checkpoints: int

    @property
    def name(self) -> str:
        """The folder of its record."""
        return f"{self.experiment}-{self.editor.called}-{self.seed}".replace("(", "-").replace(")", "")

    @property
    def seconds(self) -> float:
        """About how long it takes on one core, without tasks."""
        inner: Any = self.editor.settings.get("editor", self.editor.name)
        each = SECONDS.get(inner if isinstance(inner, str) else self.editor.name, SECONDS["memit"])
        return BASE + self.edits * each + self.checkpoints * CHECKPOINT

    def command(self, out: Path) -> list[str]:
        """The arguments of `stability` that run it, or go on with it."""
        return [
            "run",
            str(suite_file(self.experiment)),
            *("--editor", self.editor.called, "--seed", str(self.seed)),
            *("--out", str(out / self.name), "--resume"),
        ]


def steps() -> list[Step]:
    """Every step, those of `FIRST` first."""
    found = [
        step for experiment in EXPERIMENTS for step in _of(experiment, load_suite(suite_file(experiment)))
    ]
    order = {place: number for number, place in enumerate(FIRST)}
    return sorted(
        found, key=lambda step: order.get((step.experiment, step.editor.called, step.seed), len(order))
    )


def _of(experiment: str, suite: SuiteFile) -> Iterator[Step]:
    run = suite.spec.run
    for editor in suite.spec.editors:
        for seed in run.seeds:
            yield Step(experiment, editor, seed, run.edits.count, len(run.schedule()))
