"""FT-L never leaves its box, whatever the steps would like."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stability.data.edits import Edit
from stability.editors import find_editor
from stability.errors import SettingsError
from stability.models import Snapshot, map_model
from tests.examples import examples


@settings(max_examples=examples(8), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    reach=st.floats(1e-4, 0.1),
    lr=st.floats(1e-3, 1.0),
    architecture=st.sampled_from(["gpt2", "gptj", "llama"]),
)
def test_no_weight_moves_further_than_the_constraint(
    build: Any, edits: tuple[Edit, ...], reach: float, lr: float, architecture: str
) -> None:
    tiny = build(architecture)
    snapshot, name = Snapshot(tiny.model), map_model(tiny.model).parameter_name(1, "mlp_out")
    editor = find_editor("ft_l", {"layers": [1], "num_steps": 4, "lr": lr, "norm_constraint": reach})
    editor.edit(tiny.model, tiny.tokenizer, edits)
    moved = (tiny.model.get_parameter(name).double() - snapshot.tensor(name).double()).abs().max()
    assert 0 < moved <= reach + 1e-6
    assert snapshot.changed(tiny.model) == (name,)


def test_each_batch_has_a_box_of_its_own(gpt2: Any, edits: tuple[Edit, ...]) -> None:
    snapshot, name = Snapshot(gpt2.model), map_model(gpt2.model).parameter_name(1, "mlp_out")
    editor = find_editor("ft_l", {"layers": [1], "num_steps": 9, "lr": 0.01, "norm_constraint": 0.003})
    for edit in (*edits, *edits):
        editor.edit(gpt2.model, gpt2.tokenizer, [edit])
    moved = (gpt2.model.get_parameter(name) - snapshot.tensor(name)).abs().max()
    assert 0.0031 < moved <= 4 * 0.003 + 1e-6


def test_the_constraint_has_to_be_given() -> None:
    with pytest.raises(SettingsError, match="'norm_constraint' is missing"):
        find_editor("ft_l", {"layers": [1]})


def test_within_a_wide_box_it_is_plain_fine_tuning(build: Any, edits: tuple[Edit, ...]) -> None:
    common = {"layers": [1], "num_steps": 4, "lr": 1e-3}
    results = []
    for name, extra in (("ft", {}), ("ft_l", {"norm_constraint": 1.0})):
        tiny, editor = build("llama"), find_editor(name, {**common, **extra})
        editor.edit(tiny.model, tiny.tokenizer, edits)
        results.append((tiny.model.model.layers[1].mlp.down_proj.weight, editor.report(2)))
    assert torch.equal(results[0][0], results[1][0])
    assert results[0][1] == results[1][1]
    assert results[0][1][0]["training_loss"] > 0
