from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from stability.models import Continuation, map_model, pad_right, suspend
from tests.models.conftest import build_model

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


STARTS = torch.tensor([7, 1, 2])
LENGTHS = ENDS + 1
# BLOOM's attention takes a bias of each key, by its place; the caches of the others do not hold all tokens.
RUNS_ALL = {"bloom", "mistral", "gemma3_text"}


def test_the_later_tokens_alone_end_as_the_whole_pass_does(any_model: nn.Module) -> None:
    ids, mask = batch()
    whole = suspend(any_model, map_model(any_model), ids, mask, 1, keep_keys=True)
    later = whole.later(STARTS, LENGTHS)
    is_shorter = any_model.config.model_type not in RUNS_ALL
    assert later.hidden.shape[1] == (5 if is_shorter else 12)
    push = torch.randn(3, whole.hidden.shape[-1], generator=torch.Generator().manual_seed(0))
    for rows in (torch.arange(3), torch.tensor([2, 0])):
        expected = pushed(whole.only(rows), STARTS[rows], push[rows], ENDS[rows])
        torch.testing.assert_close(pushed(later.only(rows), STARTS[rows], push[rows], ENDS[rows]), expected)


def pushed(kept: Continuation, at: Tensor, push: Tensor, ends: Tensor) -> Tensor:
    """Logits at the rows' ends, with something added to the stream in each row."""
    rows = torch.arange(len(at))
    return kept.logits(kept.hidden.index_put((rows, kept.places(at)), push, accumulate=True), rows, ends)


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
@pytest.mark.parametrize("padded", [True, False])
def test_later_tokens_see_what_they_saw_whatever_the_attention(attention: str, padded: bool) -> None:
    llama = build_model("llama")
    llama.set_attn_implementation(attention)  # type: ignore[operator]
    ids, mask = batch()
    if not padded:
        ids, mask = ids[:1], mask[:1]
    whole = suspend(llama, map_model(llama), ids, mask, 1, keep_keys=True)
    later = whole.later(STARTS[: len(ids)], LENGTHS[: len(ids)])
    assert later.hidden.shape[1] == 5
    torch.testing.assert_close(later.run(later.hidden)[0, -1], whole.run(whole.hidden)[0, 11])


def test_gradients_of_the_later_tokens_are_those_of_the_whole_pass() -> None:
    llama = build_model("llama")
    whole = suspend(llama, map_model(llama), *batch(), 1, keep_keys=True)
    gradients = []
    for kept in (whole, whole.later(STARTS, LENGTHS)):
        push = torch.zeros(3, kept.hidden.shape[-1], requires_grad=True)
        pushed(kept, STARTS, push, ENDS).logsumexp(dim=-1).sum().backward()
        gradients.append(push.grad)
    torch.testing.assert_close(*gradients)


def test_where_kept_keys_give_another_stream_every_token_is_run() -> None:
    llama = build_model("llama")

    def peek(_module: nn.Module, args: tuple[Tensor, ...]) -> tuple[Tensor]:
        return (args[0] + args[0].mean(dim=1, keepdim=True),)  # attention is not all that joins tokens

    llama.model.layers[2].register_forward_pre_hook(peek)  # type: ignore[union-attr,index,operator]
    whole = suspend(llama, map_model(llama), *batch(), 1, keep_keys=True)
    assert whole.later(STARTS, LENGTHS) is whole


def test_without_kept_keys_or_earlier_tokens_there_is_nothing_to_shorten() -> None:
    llama = build_model("llama")
    found = map_model(llama)
    plain = suspend(llama, found, *batch(), 1)
    assert plain.later(STARTS, LENGTHS) is plain
    kept = suspend(llama, found, *batch(), 1, keep_keys=True)
    assert kept.later(torch.zeros_like(STARTS), LENGTHS) is kept
