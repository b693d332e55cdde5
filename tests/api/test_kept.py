"""Edited models that a run has kept are loaded again, to the bit."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from stability import Suite, load_kept
from stability.api import Bench
from stability.data.edits import Edit
from stability.errors import RecordError, UsageError

SUITE = """
schema: 1
name: kept
run: {edits: {source: world, count: 3}, checkpoints: [1], keep: all}
text: {source: world, tokens: 100}
checks:
  finite: {metric: nonfinite, assert: "== 0"}
"""
WEIGHT = "transformer.h.0.mlp.c_proj.weight"
IDS = torch.arange(8)[None]


@pytest.fixture(scope="module")
def bench() -> Bench:
    return Bench()


def logits(model: nn.Module) -> torch.Tensor:
    with torch.no_grad():
        found: torch.Tensor = model(IDS).logits
    return found


def test_a_model_is_loaded_as_it_was_after_so_many_edits(bench: Bench, tmp_path: Path) -> None:
    seen = []

    def grow(model: nn.Module, tokenizer: Any, edits: Sequence[Edit]) -> None:
        with torch.no_grad():
            weight = model.get_parameter(WEIGHT)
            weight.add_(torch.randn(weight.shape), alpha=0.01)
        seen.append(logits(model))

    Suite.parse(SUITE).run(grow, out=tmp_path, bench=bench)
    assert torch.equal(logits(load_kept(tmp_path).model), seen[2])
    assert torch.equal(logits(load_kept(tmp_path, edits=1).model), seen[0])
    with pytest.raises(UsageError, match="has kept no model after 2 edits"):
        load_kept(tmp_path, edits=2)
    with pytest.raises(UsageError, match="name one run by `editor` and `seed`; it has grow at seed 0"):
        load_kept(tmp_path, seed=3)


def test_what_an_editor_has_added_is_added_again(tmp_path: Path) -> None:
    path = tmp_path / "kept.stability.yaml"
    path.write_text(SUITE + "editors: [{lora: {merge: false, num_steps: 3, layers: [0]}}]\n")
    bench = Bench()
    report = Suite.load(path).run(out=tmp_path / "out", bench=bench)
    kept = load_kept(tmp_path / "out")
    assert type(kept.model).__name__ == "PeftModel"
    assert bench.experiment is not None
    changed = bench.experiment.examination.view(kept.model).differing
    assert len(changed) > 0
    assert all(".lora_" in name for name in changed)
    assert report.record.runs[0].status == "complete"


def test_a_run_that_has_kept_nothing_says_how_to_and_a_damaged_file_is_named(
    bench: Bench, tmp_path: Path
) -> None:
    def nothing(model: nn.Module, tokenizer: Any, edits: Sequence[Edit]) -> None:
        pass

    Suite.parse(SUITE).run(nothing, out=tmp_path, bench=bench)
    *_, last = sorted(tmp_path.rglob("*.safetensors"))
    last.write_bytes(b"nothing")
    with pytest.raises(RecordError, match=f"{last.name}: no point can be read"):
        load_kept(tmp_path)
    last.unlink()
    last.with_name("000001.safetensors").unlink()
    with pytest.raises(UsageError, match="has kept no model; write `keep: final`"):
        load_kept(tmp_path)
