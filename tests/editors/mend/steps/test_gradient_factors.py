"""The gradient's factors, against autograd, and rows that run with weights of their own, against dense ones."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from stability.data.edits import Edit
from stability.editors.mend.steps.gradient_factors import GradientFactors, added, capture
from stability.editors.steps.selection import select
from stability.editors.steps.teacher_forcing import teacher_forced_edits
from stability.errors import ModelError
from stability.models import map_model


def loss_of(tiny: Any, edits: tuple[Edit, ...]) -> torch.Tensor:
    """The sum over edits of the mean over target tokens, each edit run alone."""
    total = torch.zeros((), dtype=torch.float64)
    for edit in edits:
        ids = torch.tensor(tiny.tokenizer(f"{edit.filled} {edit.target}")["input_ids"])
        start = len(tiny.tokenizer(edit.filled)["input_ids"])
        log_probs = tiny.model(input_ids=ids[None]).logits[0, start - 1 : -1].double().log_softmax(dim=-1)
        total = total - log_probs.gather(1, ids[start:, None]).mean()
    return total


def test_their_product_is_the_gradient_of_the_weight(tiny: Any, edits: tuple[Edit, ...]) -> None:
    tiny.model.double()
    found = map_model(tiny.model)
    matrices = select(found, [1, 3])
    factors, losses = capture(tiny.model, found, matrices, teacher_forced_edits(tiny.tokenizer, edits))
    weights = [tiny.model.get_parameter(matrix.name).requires_grad_(True) for matrix in matrices]
    loss = loss_of(tiny, edits)
    assert losses.sum().item() == pytest.approx(loss.item(), rel=1e-8)  # GPT-J's rotation stays in float32
    for matrix, gradient in zip(matrices, torch.autograd.grad(loss, weights), strict=True):
        expected = gradient if gradient.shape == (matrix.d_out, matrix.d_in) else gradient.T
        torch.testing.assert_close(factors[matrix.name].product(), expected, rtol=1e-5, atol=1e-8)


def test_an_edits_factors_do_not_depend_on_the_rest_of_the_batch(gpt2: Any, edits: tuple[Edit, ...]) -> None:
    found = map_model(gpt2.model)
    (matrix,) = select(found, [2], ["mlp_out"])
    together, losses = capture(gpt2.model, found, [matrix], teacher_forced_edits(gpt2.tokenizer, edits))
    summed = torch.zeros(matrix.d_out, matrix.d_in)
    for edit, loss in zip(edits, losses, strict=True):
        alone, its_loss = capture(gpt2.model, found, [matrix], teacher_forced_edits(gpt2.tokenizer, [edit]))
        summed += alone[matrix.name].product()
        torch.testing.assert_close(its_loss[0], loss)
    torch.testing.assert_close(together[matrix.name].product(), summed, rtol=1e-4, atol=1e-6)


def test_tokens_without_a_gradient_are_left_out(gpt2: Any, edits: tuple[Edit, ...]) -> None:
    """In the last block only the tokens that a target is predicted from have one."""
    found = map_model(gpt2.model)
    (matrix,) = select(found, [3], ["mlp_out"])
    stated = teacher_forced_edits(gpt2.tokenizer, edits)
    factors, _ = capture(gpt2.model, found, [matrix], stated)
    predicting = torch.zeros_like(stated.attention_mask, dtype=torch.bool)
    predicting[stated.rows, stated.positions] = True
    assert torch.equal(factors[matrix.name].kept, predicting)


def test_each_row_runs_with_the_change_of_its_own_edit(tiny: Any) -> None:
    found = map_model(tiny.model)
    matrices = select(found, [1, 2])
    generator = torch.Generator().manual_seed(0)
    changes = {
        matrix: GradientFactors(
            torch.randn(2, 3, matrix.d_in, generator=generator) / 10,
            torch.randn(2, 3, matrix.d_out, generator=generator) / 10,
            torch.ones(2, 3, dtype=torch.bool),
        )
        for matrix in matrices
    }
    ids = torch.tensor([[5, 9, 20, 31], [40, 7, 6, 2]])
    with added(found, changes):
        rows = tiny.model(input_ids=ids).logits
    before = {matrix: found.weight(matrix).clone() for matrix in matrices}
    for row in range(2):
        for matrix, change in changes.items():
            delta = torch.einsum("to,ti->oi", change.delta[row], change.x[row])
            found.weight(matrix).copy_(before[matrix] + delta)
        dense = tiny.model(input_ids=ids[row : row + 1]).logits[0]
        torch.testing.assert_close(rows[row], dense, rtol=1e-4, atol=1e-4)
        assert not torch.allclose(rows[1 - row], dense, atol=1e-2)


def test_no_hook_stays(gpt2: Any, edits: tuple[Edit, ...]) -> None:
    found = map_model(gpt2.model)
    capture(gpt2.model, found, select(found), teacher_forced_edits(gpt2.tokenizer, edits))
    assert not any(module._forward_hooks for module in gpt2.model.modules())


def test_matrices_are_chosen_by_layer_and_kind(build: Any) -> None:
    llama, gpt2 = map_model(build("llama").model), map_model(build("gpt2").model)
    assert [one.kind for one in select(llama, [3])] == ["mlp_gate", "mlp_in", "mlp_out"]
    assert [one.name for one in select(gpt2, [2, 0], ["mlp_out"])] == [
        "transformer.h.0.mlp.c_proj.weight",
        "transformer.h.2.mlp.c_proj.weight",
    ]
    assert len(select(gpt2)) == 8
    with pytest.raises(ModelError, match="no layer 4"):
        select(gpt2, [4])
    with pytest.raises(ModelError, match="no matrix 'mlp_gate'"):
        select(gpt2, [0], ["mlp_gate"])
