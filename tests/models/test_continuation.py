from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from stability.models import map_model, pad_right, suspend

ROWS = [[5, 9, 2, 7, 11, 3, 8, 4, 6, 12, 2, 9], [3, 4, 8], [7, 7, 9, 1, 2]]
ENDS = torch.tensor([len(row) - 1 for row in ROWS])


def batch() -> tuple[Tensor, Tensor]:
    return pad_right(ROWS, 0)


@pytest.mark.parametrize("first", [0, 1, 3])
def test_continuing_gives_the_models_own_logits(any_model: nn.Module, first: int) -> None:
    ids, mask = batch()
    full = any_model(input_ids=ids, attention_mask=mask).logits
    kept = suspend(any_model, map_model(any_model), ids, mask, first)
    rows = torch.arange(3)
    torch.testing.assert_close(kept.logits(kept.hidden, rows, ENDS), full[rows, ENDS])


def test_continuing_from_another_stream_is_as_if_the_lower_block_had_given_it(any_model: nn.Module) -> None:
    ids, mask = batch()
    found = map_model(any_model)
    kept = suspend(any_model, found, ids, mask, 2)
    push = torch.randn(kept.hidden.shape, generator=torch.Generator().manual_seed(0))

    def pushed(_module: nn.Module, _args: object, output: Tensor | tuple[Tensor, ...]) -> object:
        return (output[0] + push, *output[1:]) if isinstance(output, tuple) else output + push

    hook = found.blocks[1].register_forward_hook(pushed)
    reference = any_model(input_ids=ids, attention_mask=mask).logits
    hook.remove()
    rows = torch.arange(3)
    torch.testing.assert_close(kept.logits(kept.hidden + push, rows, ENDS), reference[rows, ENDS])


def test_it_can_be_continued_many_times_alike(any_model: nn.Module) -> None:
    kept = suspend(any_model, map_model(any_model), *batch(), 1)
    first = kept.run(kept.hidden)
    for _ in range(3):
        assert torch.equal(kept.run(kept.hidden), first)


def test_gradients_reach_the_stream_that_is_put_in(any_model: nn.Module) -> None:
    kept = suspend(any_model, map_model(any_model), *batch(), 1)
    hidden = kept.hidden.clone().requires_grad_()
    kept.logits(hidden, torch.arange(3), ENDS).logsumexp(dim=-1).sum().backward()
    assert hidden.grad is not None
    assert hidden.grad[0].abs().sum() > 0
    assert hidden.grad[1, 3:].abs().sum() == 0  # the padding behind the row


def test_no_hook_stays_even_when_the_model_raises(gpt2: nn.Module) -> None:
    ids, mask = batch()
    with pytest.raises(IndexError):
        suspend(gpt2, map_model(gpt2), ids + 1000, mask, 1)
    suspend(gpt2, map_model(gpt2), ids, mask, 1)
    assert not any(module._forward_pre_hooks or module._forward_hooks for module in gpt2.modules())
