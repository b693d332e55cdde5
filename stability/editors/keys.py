"""What a block's MLP reads and writes at a subject: keys, values, and where the rest of the model goes on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from stability.editors.prompts import EditPrompts
from stability.models import Continuation, ModelMap, suspend


@dataclass(frozen=True)
class SubjectStates:
    """At the subject's last token of every row: the key that the MLP's output matrix W gets, and W k + b.

    `above` goes on from the block's output.
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
        above = suspend(model, found, prompts.input_ids, prompts.attention_mask, layer + 1)
    finally:
        hook.remove()
    keys, values = kept[0]
    return SubjectStates(keys, values, above)
