"""What is killed: a process of its own does it, goes on with what one before has left, and has a result."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from stability import Guard, Suite, read_record
from stability.api import Bench
from stability.data.edits import Edit, load_edits
from stability.models import LoadedModel, model_fingerprint
from stability.store import Store
from stability.suite import EditsSpec

FEW: Mapping[str, Any] = {"v_num_grad_steps": 3, "context_template_length_params": []}
EDITORS: Mapping[str, Mapping[str, Any]] = {
    "rome": {"rome": FEW},
    "memit": {"memit": FEW},
    "alphaedit": {"alphaedit": FEW},
    "lora, unmerged": {"lora": {"merge": False, "num_steps": 5}},
    "mend": {"mend": {"num_steps": 20, "train_edits_count": 60, "locality_tokens": 4000}},
    "reset(memit)": {"reset": {"editor": {"memit": FEW}, "every": 2}},
    "drift": {"tools.kills.work:Drift": {}},
}
SUITE = """
schema: 1
name: killed
run: {edits: {source: world, count: COUNT}, checkpoints: [2, 5], resume: {every: 1}}
text: {source: world, tokens: 150}
checks:
  norm: {metric: delta_norm, where: {matrices: edited}, assert: "<= BOUND"}
  finite: {metric: nonfinite, assert: "== 0"}
"""
GUARDED = """
schema: 1
name: guarded
text: {source: world, tokens: 120}
checks:
  finite: {metric: nonfinite, assert: "== 0"}
  growth: {metric: delta_norm, where: {matrices: edited}, assert: "<= 0.02"}
"""
BATCHES = 12


@dataclass(frozen=True)
class Work:
    """`do` works in a folder until it is done; `result` is what it has come to, as a text."""

    kind: str
    name: str
    do: Callable[[Path], None]
    result: Callable[[Path], str]
    weight: int = 1  # its share of all kills: more where a life is short


class Drift:
    """Adds a random change, whose size goes with the number of edits, and is now and then too large."""

    def prepare(self, model: nn.Module, tokenizer: Any, store: Store) -> None:
        """Begin with no edit."""
        self._made = 0

    def edit(self, model: nn.Module, tokenizer: Any, edits: Sequence[Edit]) -> None:
        """Edit in place."""
        weight = model.get_parameter("transformer.h.0.mlp.c_proj.weight")
        for _ in edits:
            self._made += 1
            with torch.no_grad():
                weight += 1e-5 * (1 + self._made % 4) ** 3 * torch.randn(weight.shape)

    def state(self) -> dict[str, Any]:
        """How many edits were made."""
        return {"made": self._made}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Go on from there."""
        self._made = int(state["made"])


def run_of(name: str, loaded: LoadedModel) -> Work:
    """`run`, with an editor; the unedited model is measured here, once for all lives."""
    text = SUITE.replace("COUNT", "6").replace("BOUND", "2")
    suite = Suite.parse(text + f"editors: {json.dumps([EDITORS[name]])}\n")
    bench = Bench()
    suite.run("none", model=loaded.model, tokenizer=loaded.tokenizer, bench=bench)

    def do(folder: Path) -> None:
        suite.run(
            model=loaded.model,
            tokenizer=loaded.tokenizer,
            out=folder,
            bench=bench,
            isolation="process",
            resume=True,
        )

    def result(folder: Path) -> str:
        return read_record(folder / "run.json").without_times().model_dump_json()

    return Work("run", name, do, result, weight=4 if name == "drift" else 1)


def guard_of(loaded: LoadedModel) -> Work:
    """`Guard`, with an editor some of whose batches are refused."""
    suite = Suite.parse(GUARDED).file
    edits = load_edits(EditsSpec(count=2 * BATCHES), 0)
    batches = [edits[first : first + 2] for first in range(0, len(edits), 2)]

    def do(folder: Path) -> None:
        with Guard(loaded.model, loaded.tokenizer, suite, journal=folder / "journal") as guard:
            editor = Drift()
            for batch in batches[len(guard.entries) :]:
                guard.apply(editor, batch)
            print_ = model_fingerprint(loaded.model)
            kept = [[edit.id for edit in entry.edits] for entry in guard.entries if entry.accepted]
        (folder / "end.json").write_text(json.dumps([print_, kept]), encoding="utf-8")

    def result(folder: Path) -> str:
        return (folder / "end.json").read_text(encoding="utf-8")

    return Work("Guard", "drift", do, result, weight=5)


def horizon_of(loaded: LoadedModel) -> Work:
    """`horizon`, with an editor that passes the bound on its way."""
    suite = Suite.parse(SUITE.replace("COUNT", "16").replace("BOUND", "0.03"))
    bench = Bench()
    suite.run("none", model=loaded.model, tokenizer=loaded.tokenizer, bench=bench)
    assert bench.experiment is not None
    bench.experiment.record = bench.experiment.record.model_copy(update={"runs": ()})

    def do(folder: Path) -> None:
        suite.horizon(
            Drift,
            model=loaded.model,
            tokenizer=loaded.tokenizer,
            out=folder,
            bench=bench,
            resume=True,
            overwrite=True,
        )

    def result(folder: Path) -> str:
        return (folder / "horizon.json").read_text(encoding="utf-8")

    return Work("horizon", "drift", do, result, weight=5)


def all_work(loaded: LoadedModel) -> list[Work]:
    """Everything that is killed."""
    return [*(run_of(name, loaded) for name in EDITORS), horizon_of(loaded), guard_of(loaded)]
