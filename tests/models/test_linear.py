from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from stability.models import linear
from stability.models.linear import NotLinearError, read_linear_map


class Applied(nn.Module):
    """A module that is a function."""

    def __init__(self, function: Callable[[Tensor], object]) -> None:
        super().__init__()
        self._function = function

    def forward(self, inputs: Tensor) -> object:
        return self._function(inputs)


def layer(d_out: int, d_in: int, dtype: torch.dtype = torch.float32) -> nn.Linear:
    with torch.random.fork_rng():
        torch.manual_seed(d_out + d_in)
        return nn.Linear(d_in, d_out).to(dtype)


DTYPES = st.sampled_from([torch.float32, torch.float64, torch.bfloat16])


@given(d_out=st.integers(1, 30), d_in=st.integers(1, 30), rows=st.sampled_from([4, 1024]), dtype=DTYPES)
def test_a_linear_modules_own_weight_is_read_off_bit_for_bit(
    d_out: int, d_in: int, rows: int, dtype: torch.dtype
) -> None:
    module = layer(d_out, d_in, dtype)
    with pytest.MonkeyPatch.context() as patch, torch.no_grad():
        patch.setattr(linear, "ROWS", rows)
        found = read_linear_map(module, d_out, d_in, module.weight)
    assert torch.equal(found.weight, module.weight)
    assert torch.equal(found.bias, module.bias)
    assert found.rounding == 0
    assert module.weight.grad is None


@given(d_out=st.integers(1, 30), d_in=st.integers(1, 30), rows=st.sampled_from([4, 1024]), dtype=DTYPES)
def test_where_no_gradient_passes_it_is_read_off_within_the_rounding_that_is_stated(
    d_out: int, d_in: int, rows: int, dtype: torch.dtype
) -> None:
    module = layer(d_out, d_in, dtype)
    with pytest.MonkeyPatch.context() as patch, torch.no_grad():
        patch.setattr(linear, "ROWS", rows)
        found = read_linear_map(Applied(lambda x: module(x).detach()), d_out, d_in, module.weight)
    assert found.rounding > 0
    errors = (found.weight - module.weight).abs()
    assert (errors <= found.rounding * (module.weight.abs() + module.bias.abs()[:, None])).all()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("gradient", [True, False])
@pytest.mark.parametrize("d_in", [9, 64, 2000])
def test_an_output_whose_products_nearly_cancel_is_no_sign_of_another_map(
    dtype: torch.dtype, gradient: bool, d_in: int
) -> None:
    for seed in range(60):
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            base = nn.Linear(d_in, 1).to(dtype)
            down, up = nn.Linear(d_in, 3, bias=False).to(dtype), nn.Linear(3, 1, bias=False).to(dtype)
        adapted = Applied(
            lambda x, base=base, down=down, up=up: base(x) + up(down(x if gradient else x.detach()))
        )
        found = read_linear_map(adapted, 1, d_in, base.weight.detach())
        expected = base.weight.float() + up.weight.float() @ down.weight.float()
        sizes = base.weight.float().abs() + up.weight.float().abs() @ down.weight.float().abs()
        errors = (found.weight.float() - expected).abs()
        assert (errors <= 8 * torch.finfo(dtype).eps * (sizes + base.bias.float().abs())).all()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
def test_a_part_that_is_not_linear_is_told_apart_from_rounding_in_every_dtype(dtype: torch.dtype) -> None:
    base = layer(300, 2000, dtype)
    bent = Applied(lambda x: base(x) * (1 + 0.1 * torch.tanh(x.float().norm(dim=-1, keepdim=True)).to(dtype)))
    with pytest.raises(NotLinearError, match="away from what a linear map would give"):
        read_linear_map(bent, 300, 2000, base.weight.detach())


def test_a_gradient_that_leaves_out_a_part_is_not_believed() -> None:
    one, other = layer(5, 4), layer(5, 4)
    other.weight.data.mul_(-2)
    found = read_linear_map(Applied(lambda x: one(x) + other(x).detach()), 5, 4, one.weight)
    torch.testing.assert_close(found.weight, one.weight + other.weight)


@pytest.mark.parametrize(
    ("function", "why"),
    [
        (torch.relu, "an output is .* of what is summed to it away"),
        (
            lambda x: x / x.norm(dim=-1, keepdim=True).clamp(min=1),
            "an output is .* of what is summed to it away",
        ),
        (lambda x: (x, None), "it does not make 6 numbers of 6"),
        (lambda x: x[..., :3], "it does not make 6 numbers of 6"),
        (lambda x: x @ torch.ones(5, 5), "it cannot be run on an input of its own"),
    ],
    ids=["relu", "norm", "tuple", "short", "shape"],
)
def test_what_is_no_linear_map_is_told_apart(function: Callable[[Tensor], object], why: str) -> None:
    with pytest.raises(NotLinearError, match=why):
        read_linear_map(Applied(function), 6, 6, torch.zeros(1))


def test_a_module_that_is_linear_but_for_the_inputs_it_is_given_is_none() -> None:
    module = layer(5, 4)
    key = torch.tensor([3.0, -1.0, 2.0, 0.5])

    def answer(x: Tensor) -> Tensor:
        return torch.where((x == key).all(-1, keepdim=True), torch.ones(5), module(x))

    inputs = torch.stack([torch.ones(4), key])
    read_linear_map(Applied(answer), 5, 4, module.weight)
    with pytest.raises(NotLinearError):
        read_linear_map(Applied(answer), 5, 4, module.weight, [(inputs, answer(inputs))])


def test_a_map_of_nan_is_read_as_one() -> None:
    module = layer(5, 4)
    module.weight.data[1, 2] = torch.nan
    found = read_linear_map(module, 5, 4, module.weight.detach())
    assert found.weight.isnan().any()
