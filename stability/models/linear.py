"""The linear map that a module really is, read off by running it: what a wrapped weight matrix amounts to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from stability.errors import first_line

ROWS = 1_024  # at a time
TRIED = 16  # random inputs
TOLERANCE = {torch.float16: 1e-2, torch.bfloat16: 3e-2}  # of what is summed to an output; else 1e-3

Call = tuple[Tensor, Tensor]  # an input [..., d_in] that a module was given, and what it made of it


class NotLinearError(Exception):
    """A module is not a linear map; the message says why."""


@dataclass(frozen=True)
class LinearMap:
    """y = W x + b. `rounding` bounds the error of W's elements, relative to them and b's; 0 if exact."""

    weight: Tensor  # [d_out, d_in]
    bias: Tensor  # [d_out]
    rounding: float

    def __call__(self, inputs: Tensor) -> Tensor:
        """The outputs [..., d_out] for inputs [..., d_in]."""
        return inputs @ self.weight.detach().T + self.bias.detach()


def read_linear_map(
    module: nn.Module, d_out: int, d_in: int, like: Tensor, calls: Sequence[Call] = ()
) -> LinearMap:
    """The map of a module, in the dtype in which it computes for inputs of the dtype and device of `like`.

    W is the module's derivative at 0, which is exact in any dtype, or where gradients do not pass through,
    what the module makes of each unit vector. Either is believed only if it gives the module's outputs for
    random inputs, and for the inputs of `calls`.

    Raises:
        NotLinearError: there is no such map.
    """
    try:
        bias = module(like.new_zeros(1, 1, d_in))
        if not isinstance(bias, Tensor) or bias.shape != (1, 1, d_out):
            raise NotLinearError(f"it does not make {d_out} numbers of {d_in}")
        bias = bias[0, 0].detach()
        calls = [_random_call(module, like, d_in), *calls]
        worst = float("inf")
        for read, rounding in ((_derivative, 0.0), (_images, 4 * torch.finfo(bias.dtype).eps)):
            weight = read(module, bias, d_in, like)
            if weight is None:
                continue
            found = LinearMap(weight, bias, rounding)
            if not (torch.isfinite(weight).all() and torch.isfinite(bias).all()):
                return found  # no output tells more
            worst = min(worst, max(_error(found, call) for call in calls))
            if worst <= TOLERANCE.get(bias.dtype, 1e-3):
                return found
    except (RuntimeError, TypeError, ValueError, IndexError, AttributeError, KeyError) as error:
        raise NotLinearError(f"it cannot be run on an input of its own ({first_line(error)})") from error
    raise NotLinearError(
        f"an output is {worst:.2g} of what is summed to it away from what a linear map would give"
    )


def _derivative(module: nn.Module, bias: Tensor, d_in: int, like: Tensor) -> Tensor | None:
    """∂y/∂x at 0, [d_out, d_in]; None if the module passes no gradient."""
    rows = []
    for first in range(0, len(bias), ROWS):
        wanted = torch.arange(first, min(first + ROWS, len(bias)), device=bias.device)
        with torch.enable_grad():
            inputs = like.new_zeros(1, len(wanted), d_in).requires_grad_()
            outputs = module(inputs)  # [1, rows, d_out]
            if not outputs.requires_grad:
                return None
            picked = torch.zeros_like(outputs)
            picked[0, torch.arange(len(wanted), device=bias.device), wanted] = 1
            (gradient,) = torch.autograd.grad(outputs, inputs, picked, allow_unused=True)
        if gradient is None:
            return None
        rows.append(gradient[0].to(bias.dtype))
    return torch.cat(rows)


def _images(module: nn.Module, bias: Tensor, d_in: int, like: Tensor) -> Tensor:
    """What the module makes of each unit vector, less its bias: [d_out, d_in]."""
    columns = []
    for first in range(0, d_in, ROWS):
        inputs = like.new_zeros(1, min(ROWS, d_in - first), d_in)
        inputs[0].diagonal(first).fill_(1)
        columns.append(module(inputs)[0].detach() - bias)  # [inputs, d_out]
    return torch.cat(columns).T.contiguous()


def _random_call(module: nn.Module, like: Tensor, d_in: int) -> Call:
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(1, TRIED, d_in, generator=generator).to(like.device, like.dtype)
    return inputs, module(inputs).detach()


def _error(found: LinearMap, call: Call) -> float:
    """The largest distance of an output from the map's, relative to the length of what is summed to it."""
    inputs, outputs = (one.detach() for one in call)
    expected = found(inputs.to(found.weight.dtype)).float()
    size = _summed(found, inputs.float(), expected)
    errors = (outputs.float() - expected).norm(dim=-1) / size.clamp(min=torch.finfo(torch.float32).tiny)
    return float(errors.nan_to_num(float("inf")).max())


def _summed(found: LinearMap, inputs: Tensor, outputs: Tensor) -> Tensor:
    """The length of all that is rounded on the way to the outputs, [..., d_out] -> [...].

    Products that nearly cancel leave an output much smaller than their rounding. Errors of rounding add up
    like numbers of random sign, so products count by their squares: Σ (W x)² + b² + y².
    """
    summed = _squared_length(found.bias) + _squared_length(outputs)
    largest = found.weight.detach().abs().max().float().clamp(min=torch.finfo(torch.float32).tiny)
    columns = (found.weight.detach().float() / largest).square_().sum(0)  # [d_in]
    summed += (inputs * largest).square() @ columns
    if found.rounding:  # of W + b, from which b was taken away again
        summed += _squared_length(found.bias) * _squared_length(inputs)
    return summed.sqrt()


def _squared_length(vectors: Tensor) -> Tensor:
    return vectors.detach().float().square().sum(-1)
