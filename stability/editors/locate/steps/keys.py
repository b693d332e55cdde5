"""Keys and values of a block's MLP at a subject, and the stream with which the next blocks continue."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from stability.editors.locate.steps.prompts import EditPrompts
from stability.models import Continuation, ModelMap, suspend
from stability.models.early_exit import end_forward, may_end_early


@dataclass(frozen=True)
class SubjectStates:
    """At the subject's last token in every row: the input k of the MLP's output matrix W, and W k + b.

    `above` continues from the block's output.
    """

    keys: Tensor  # [rows, d_key]
    values: Tensor  # [rows, d]
    above: Continuation


def subject_states(model: nn.Module, found: ModelMap, prompts: EditPrompts, layer: int) -> SubjectStates:
    """Run the rows once, without gradients, and read the states at the subject in block `layer`."""
    kept: list[tuple[Tensor, Tensor]] = []
    rows = range(len(prompts.subject_at))

    def keep(_module: nn.Module, args: tuple[Any, ...], output: Tensor) -> None:
        kept.append((args[0][rows, prompts.subject_at], output[rows, prompts.subject_at]))

    hook = found.module(layer, "mlp_out").register_forward_hook(keep)
    try:
        above = suspend(model, found, prompts.input_ids, prompts.attention_mask, layer + 1, keep_keys=True)
    finally:
        hook.remove()
    keys, values = kept[0]
    return SubjectStates(keys, values, above)


@dataclass(frozen=True)
class SubjectReading:
    """At the subject's last token: keys of one block in every row, and the values in a later block.

    `value` is the output of the later block's MLP and `stream` the residual stream after that block; both are
    read in the row without a context.
    """

    keys: Tensor  # [rows, d_key]
    value: Tensor  # [edits, d]
    stream: Tensor  # [edits, d]


@torch.no_grad()
def read_subjects(
    model: nn.Module, found: ModelMap, prompts: EditPrompts, layer: int, top: int
) -> SubjectReading:
    """The keys in block `layer` and the states in block `top`, at or above it, the last that is run."""
    seen: dict[str, Tensor] = {}

    def at_subject(states: Tensor) -> Tensor:
        subject_at = prompts.subject_at.to(states.device)
        return states[torch.arange(len(states), device=states.device), subject_at]

    def keep_key(_module: nn.Module, args: tuple[Any, ...]) -> None:
        seen["keys"] = at_subject(args[0])

    def keep_value(_module: nn.Module, _args: object, output: Tensor) -> None:
        seen["value"] = at_subject(output)[prompts.bare]

    def keep_stream(_module: nn.Module, _args: object, output: Any) -> None:
        seen["stream"] = at_subject(output[0] if isinstance(output, tuple) else output)[prompts.bare]
        end_forward()

    hooks = [
        found.module(layer, "mlp_out").register_forward_pre_hook(keep_key),
        found.module(top, "mlp_out").register_forward_hook(keep_value),
        found.blocks[top].register_forward_hook(keep_stream),
    ]
    try:
        with may_end_early():
            model(input_ids=prompts.input_ids, attention_mask=prompts.attention_mask, use_cache=False)
    finally:
        for hook in hooks:
            hook.remove()
    return SubjectReading(seen["keys"], seen["value"], seen["stream"])


def averaged_keys(keys: Tensor, contexts: int) -> Tensor:
    """One key per edit, float64 [edits, d_key], from those of all rows, [edits x (contexts + 1), d_key].

    It is half the key without a context and half the mean over the other contexts, as in MEMIT's code. The
    row with only the subject is not used.
    """
    by_edit = keys.double().reshape(-1, contexts + 1, keys.shape[-1])
    bare, behind = by_edit[:, 0], by_edit[:, 1:contexts]
    return (bare + behind.mean(dim=1)) / 2 if contexts > 1 else bare
