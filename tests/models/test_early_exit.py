from __future__ import annotations

import pytest
import torch
from torch import nn

from stability.models.early_exit import end_forward, may_end_early


def test_a_forward_pass_that_a_hook_ends_runs_nothing_above() -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2), nn.Linear(2, 2))
    run: list[nn.Module] = []
    for layer in model:
        layer.register_forward_hook(lambda layer, *_: run.append(layer))
    model[1].register_forward_hook(lambda *_: end_forward())
    with may_end_early():
        model(torch.ones(1, 2))
    assert run == [model[0], model[1]]


def test_what_else_is_raised_inside_comes_out() -> None:
    with pytest.raises(ZeroDivisionError), may_end_early():
        _ = 1 / 0
