"""The readings of two checkpoints that are compared."""

from __future__ import annotations

import math

import torch

from stability.gate.files.folder import open_folder
from stability.gate.files.layout import lay_out
from stability.gate.weights.compare import compare
from stability.gate.weights.readings import edited_readings
from tests.gate.conftest import down, llama


def readings(base, edited):
    layouts = lay_out(open_folder(base)), lay_out(open_folder(edited))
    return edited_readings(*layouts, compare(*layouts), {}, [])


def test_a_change_is_a_share_of_the_norm_before_and_infinite_of_nothing(save):
    base, edited = llama(torch.float32), llama(torch.float32)
    for layer, norm in enumerate((1.0, 2.0, 0.0)):
        base[down(layer)] = torch.zeros(12, 20)
        base[down(layer)][0, 0] = norm
        edited[down(layer)] = base[down(layer)].clone()
        edited[down(layer)][3, 5] = 0.5
    found = readings(save("base", base), save("edited", edited))["delta_norm"].values
    assert [found[down(layer)] for layer in range(3)] == [0.5, 0.25, math.inf]
    assert {value for name, value in found.items() if "down_proj" not in name} == {0.0}


def test_a_matrix_without_a_rank_is_left_out_of_the_ranks_and_those_that_did_not_change_have_none(save):
    base, edited = llama(torch.float32), llama(torch.float32)
    edited[down(1)][3, 5] = math.nan
    edited[down(2)][3, 5] += 1.0
    found = readings(save("base", base), save("edited", edited))["delta_rank"]
    assert down(1) not in found.values
    assert found.left_out[down(1)].kind == "not_finite"
    assert (found.values[down(0)], found.values[down(2)]) == (0.0, 1.0)
