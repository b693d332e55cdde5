import random

import numpy as np
import pytest
import torch
from torch import nn

from stability.run.isolation import Structure, measuring, random_state


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


def test_measuring_runs_in_evaluation_mode_and_puts_each_modules_mode_back():
    model = nn.Sequential(nn.Dropout(), nn.Linear(2, 2))
    model.train()
    model[1].eval()
    with measuring(model):
        assert not any(module.training for module in model.modules())
        assert not torch.is_grad_enabled()
    assert [module.training for module in (model, model[0], model[1])] == [True, True, False]


def test_the_structure_undoes_hooks_wrappers_parameters_and_forwards():
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    model[1].weight.requires_grad_(False)
    inputs = torch.ones(1, 2)
    expected = model(inputs)
    structure = Structure(model)

    model[0].register_forward_hook(lambda module, args, output: output + 1)
    model[1] = nn.Sequential(model[1], nn.ReLU())
    model.register_parameter("extra", nn.Parameter(torch.ones(1)))
    model.forward = lambda x: x  # type: ignore[method-assign]
    model.train(False)
    for parameter in model.parameters():
        parameter.requires_grad_(True)
    structure.restore()

    assert torch.equal(model(inputs), expected)
    assert [name for name, _ in model.named_parameters()] == ["0.weight", "0.bias", "1.weight", "1.bias"]
    assert [parameter.requires_grad for parameter in model.parameters()] == [True, True, False, True]
    assert model.training
