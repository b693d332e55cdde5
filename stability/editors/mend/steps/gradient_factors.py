"""An edit's gradient as the factors from backpropagation, and changes in the same form."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from stability.editors.steps.teacher_forcing import TeacherForced, at_least_float
from stability.models import ModelMap
from stability.record.schema import Matrix


@dataclass(frozen=True)
class GradientFactors:
    """For a matrix W, each edit and each of its tokens: a vector x of W's inputs and a δ of its outputs.

    In a captured gradient, x is the input, δ = ∂L/∂(Wx), and ∂L/∂W = Σ δ xᵀ. Tokens that are not `kept` are
    ignored.
    """

    x: Tensor  # [edits, tokens, d_in]
    delta: Tensor  # [edits, tokens, d_out]
    kept: Tensor  # bool [edits, tokens]

    def product(self) -> Tensor:
        """Σ δ xᵀ over the kept tokens of all edits, [d_out, d_in]."""
        return self.delta[self.kept].T @ self.x[self.kept]


def capture(
    model: nn.Module, found: ModelMap, matrices: Sequence[Matrix], stated: TeacherForced
) -> tuple[dict[str, GradientFactors], Tensor]:
    """The gradient's factors, float32 or wider, by the matrix's name; and each loss, [statements].

    L is the sum over statements of the mean negative log-likelihood of their target tokens, so that a
    statement's factors do not depend on the rest of the batch. A token is kept if its x and its δ are not all
    zeros. No parameter may require a gradient.
    """
    inputs: dict[str, Tensor] = {}
    probes: dict[str, Tensor] = {}

    def watch(name: str) -> Any:
        def hook(_module: nn.Module, args: tuple[Any, ...], output: Tensor) -> Tensor:
            inputs[name] = args[0].detach()
            probes[name] = torch.zeros_like(output, requires_grad=True)  # its gradient is the output's
            return output + probes[name]

        return hook

    with _hooked(found, {matrix: watch(matrix.name) for matrix in matrices}):
        output = model(
            input_ids=stated.input_ids, attention_mask=stated.attention_mask, use_cache=False
        ).logits
    losses = stated.mean_by_row(stated.token_losses(output[stated.rows, stated.positions]))
    gradients = torch.autograd.grad(losses.sum(), list(probes.values()))
    factors = {}
    for name, gradient in zip(probes, gradients, strict=True):
        x, delta = at_least_float(inputs[name]), at_least_float(gradient)
        factors[name] = GradientFactors(x, delta, kept=(x != 0).any(dim=-1) & (delta != 0).any(dim=-1))
    return factors, losses.detach()


@contextmanager
def added(found: ModelMap, changes: Mapping[Matrix, GradientFactors]) -> Iterator[None]:
    """While open, row i of the model's input runs with W + Σ δ xᵀ over the tokens of edit i.

    Every row has its own weights, but these matrices are never computed. If a token is not kept, its x and δ
    must be zero.
    """

    def add(change: GradientFactors) -> Any:
        def hook(_module: nn.Module, args: tuple[Any, ...], output: Tensor) -> Tensor:
            shares = args[0].to(change.x) @ change.x.mT  # [rows, tokens, tokens of the edit]
            changed: Tensor = output + (shares @ change.delta).to(output)
            return changed

        return hook

    with _hooked(found, {matrix: add(change) for matrix, change in changes.items()}):
        yield


@contextmanager
def _hooked(found: ModelMap, hooks: Mapping[Matrix, Any]) -> Iterator[None]:
    with ExitStack() as stack:
        for matrix, hook in hooks.items():
            handle = found.module(matrix.layer, matrix.kind).register_forward_hook(hook)
            stack.callback(handle.remove)
        yield
