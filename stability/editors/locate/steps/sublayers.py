"""The outputs of attention and MLP of one block at the subjects of some edits."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor, nn

from stability.editors.locate.steps.prompts import EditPrompts
from stability.models import Continuation, ModelMap, suspend
from stability.record.schema import MatrixKind

SUBLAYERS: tuple[MatrixKind, ...] = ("attn_out", "mlp_out")


def sublayer_outputs(
    model: nn.Module, found: ModelMap, prompts: EditPrompts, layer: int
) -> tuple[Tensor, Continuation]:
    """What attention and MLP of a block write at the subjects without a context, [edits, 2, d]; and the pass
    as it stands before the block."""
    seen: dict[str, Tensor] = {}
    bare = prompts.bare

    def keep(kind: MatrixKind) -> Any:
        def hook(_module: nn.Module, _args: object, output: Tensor) -> None:
            seen[kind] = output[bare, prompts.subject_at[bare]]

        return hook

    with ExitStack() as stack:
        for kind in SUBLAYERS:
            stack.callback(found.module(layer, kind).register_forward_hook(keep(kind)).remove)
        block = suspend(model, found, prompts.input_ids, prompts.attention_mask, layer, keep_keys=True)
    return torch.stack([seen[kind] for kind in SUBLAYERS], dim=1), block
