"""Modes, gradient flags and random states: as they were, after work on a model."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch
from torch import nn

from stability.models.modes import evaluating, frozen, random_state


def test_gradients_can_be_taken_of_a_frozen_model_whatever_the_caller_has_set() -> None:
    model = nn.Sequential(nn.Dropout(), nn.Linear(2, 2))
    model[0].weight = nn.Parameter(torch.zeros(1), requires_grad=False)
    before = [parameter.requires_grad for parameter in model.parameters()]
    with torch.no_grad(), torch.inference_mode(), frozen(model):
        assert torch.is_grad_enabled()
        assert not torch.is_inference_mode_enabled()
        assert not any(parameter.requires_grad for parameter in model.parameters())
        assert not any(module.training for module in model.modules())
    assert [parameter.requires_grad for parameter in model.parameters()] == before
    assert all(module.training for module in model.modules())


def draws():
    return random.random(), float(np.random.rand()), float(torch.rand(()))


def test_random_numbers_drawn_inside_leave_those_outside_alone():
    random.seed(1), np.random.seed(1), torch.manual_seed(1)
    expected = draws()
    random.seed(1), np.random.seed(1), torch.manual_seed(1)
    with random_state(7):
        draws()
    assert draws() == expected


def test_a_seed_decides_what_is_drawn_inside():
    with random_state(7):
        first = draws()
    with random_state(7):
        again = draws()
    with random_state(8):
        other = draws()
    assert first == again != other


def test_random_states_come_back_when_the_inside_raises():
    torch.manual_seed(1)
    expected = float(torch.rand(()))
    torch.manual_seed(1)
    with pytest.raises(RuntimeError), random_state(7):
        torch.rand(3) @ torch.rand(4)
    assert float(torch.rand(())) == expected


def test_evaluating_is_eval_mode_without_gradients_and_puts_each_modules_mode_back():
    model = nn.Sequential(nn.Dropout(), nn.Linear(2, 2))
    model.train()
    model[1].eval()
    with evaluating(model):
        assert not any(module.training for module in model.modules())
        assert not torch.is_grad_enabled()
    assert [module.training for module in (model, model[0], model[1])] == [True, True, False]


@pytest.mark.parametrize("seed", [2 * 10**13 * 1_000_003, 2**64, 10**40])
def test_any_whole_number_is_a_seed(seed: int) -> None:
    def drawn(number: int) -> tuple[float, float, float]:
        with random_state(number):
            return draws()

    assert drawn(seed) == drawn(seed) != drawn(seed + 1)
