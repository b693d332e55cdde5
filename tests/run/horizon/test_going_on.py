"""A search for the horizon that was cut off and gone on with finds what one that was not finds, by as many edits."""

from __future__ import annotations

import errno
import random
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from stability.data.edits import Edit
from stability.editors import Store, find_editor, wrap_editor
from stability.errors import RecordError, UsageError
from stability.models import load_model
from stability.run import Experiment
from stability.run.horizon.search import find_horizons
from stability.suite import ModelSpec, parse_suite
from tests.cut_off import CutOff, CutOffError

SUITE = parse_suite(
    """
schema: 1
name: horizon
run: {edits: {source: world, count: 16}, checkpoints: [8], seeds: [0, 1], resume: {every: 3}}
text: {source: world, tokens: 100}
checks:
  norm: {metric: delta_norm, where: {matrices: edited}, assert: "<= 0.025"}
"""
)


class Walking:
    """Draws a random change, whose size goes with the number of edits, as `state` remembers it."""

    def prepare(self, model: nn.Module, tokenizer: Any, store: Store) -> None:
        self.made = 0

    def edit(self, model: nn.Module, tokenizer: Any, edits: Sequence[Edit]) -> None:
        weight = model.get_parameter("transformer.h.0.mlp.c_proj.weight")
        for _ in edits:
            self.made += 1
            with torch.no_grad():
                weight += 1e-4 * self.made * torch.randn(weight.shape)

    def state(self) -> dict[str, Any]:
        return {"made": self.made}

    def load_state(self, state: dict[str, Any]) -> None:
        self.made = state["made"]


class GivingUp(Walking):
    """Makes five edits and no more."""

    def edit(self, model: nn.Module, tokenizer: Any, edits: Sequence[Edit]) -> None:
        if self.made == 5:
            raise ValueError("no more")
        super().edit(model, tokenizer, edits)


EDITORS = {
    "walking": lambda: wrap_editor(Walking),
    "giving up": lambda: wrap_editor(GivingUp),
    "lora, unmerged": lambda: find_editor("lora", {"merge": False, "num_steps": 2, "layers": [0]}, "world"),
}


@pytest.fixture(scope="module")
def experiment() -> Experiment:
    return Experiment(SUITE, load_model(ModelSpec()))


def search(
    experiment: Experiment, name: str, folder: Path, cut: int | None = None, **how: Any
) -> tuple[Any, int]:
    fresh = experiment.again(None, "", experiment.replaced)
    fresh.listener = listener = CutOff(cut)
    found = None
    with suppress(CutOffError):
        found = find_horizons(fresh, [EDITORS[name]()], folder=folder, is_resumed=True, **how).as_dict()
    return found, listener.steps


@pytest.mark.parametrize("name", EDITORS)
def test_a_search_cut_off_again_and_again_finds_what_an_uninterrupted_one_finds(
    name: str, experiment: Experiment, tmp_path: Path
) -> None:
    whole, steps = search(experiment, name, tmp_path / "whole")
    rng = random.Random(name)
    cuts = 0
    while search(experiment, name, tmp_path / "cut", cut=rng.randrange(3, steps))[0] is None and cuts < 4:
        cuts += 1
    found, made = search(experiment, name, tmp_path / "cut")
    assert found == whole
    assert made < steps


def test_measured_after_every_batch_it_is_the_same(experiment: Experiment, tmp_path: Path) -> None:
    whole, steps = search(experiment, "walking", tmp_path / "whole", every=True)
    search(experiment, "walking", tmp_path / "cut", cut=steps // 2, every=True)
    assert search(experiment, "walking", tmp_path / "cut", every=True)[0] == whole


def test_no_more_than_two_points_are_on_the_disk(experiment: Experiment, tmp_path: Path) -> None:
    search(experiment, "walking", tmp_path, cut=20)
    assert 1 <= len(list((tmp_path / "Walking-0").glob("*.safetensors"))) <= 2


def test_what_another_search_has_left_is_refused(experiment: Experiment, tmp_path: Path) -> None:
    search(experiment, "walking", tmp_path, cut=20)
    file = tmp_path / "Walking-0" / "search.json"
    file.write_text(file.read_text().replace('"count":16', '"count":17'))
    with pytest.raises(UsageError, match=r"run\.edits\.count was 17, and is 16 now"):
        search(experiment, "walking", tmp_path)
    file.write_text("{}")
    with pytest.raises(RecordError, match=r"search\.json: cannot read the search"):
        search(experiment, "walking", tmp_path)


def full(*arguments: Any) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_disk_without_room_for_points_costs_no_more_than_the_points(
    experiment: Experiment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    whole, _ = search(experiment, "giving up", tmp_path / "whole")
    monkeypatch.setattr("stability.run.horizon.walk.write_point", full)
    search(experiment, "giving up", tmp_path / "cut", cut=8)
    found, _ = search(experiment, "giving up", tmp_path / "cut")
    assert answers(found) == answers(whole)
    assert len([line for line in caplog.messages if "No space left on device" in line]) == 2 + 1  # a seed


def test_a_search_that_cannot_be_kept_any_more_ends_and_what_was_kept_is_gone_on_with(
    experiment: Experiment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, _ = search(experiment, "giving up", tmp_path / "whole")
    search(experiment, "giving up", tmp_path / "cut", cut=8)
    kept = (tmp_path / "cut" / "GivingUp-0" / "search.json").read_bytes()
    with monkeypatch.context() as patched:
        patched.setattr("stability.run.horizon.progress.write_whole", full)
        with pytest.raises(
            RecordError, match=r"cannot keep the search: No space .* is gone on with by --resume"
        ):
            search(experiment, "giving up", tmp_path / "cut")
    assert (tmp_path / "cut" / "GivingUp-0" / "search.json").read_bytes() == kept
    assert search(experiment, "giving up", tmp_path / "cut")[0] == whole


def answers(found: Any) -> list[Any]:
    """What was found, but for how many edits that took."""
    counted = ("edits_made", "edits_repeated")
    return [
        {key: value for key, value in seed.items() if key not in counted}
        for editor in found["editors"]
        for seed in editor["seeds"]
    ]
