"""Edits as rows of tokens, with the targets teacher-forced."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from stability.data.edits import Edit
from stability.models import Asked, Tokenizer, encode, pad_id, pad_right


@dataclass(frozen=True)
class TeacherForced:
    """One row per statement, padded on the right.

    Target token i is `targets[i]` and is predicted from (`rows[i]`, `positions[i]`).
    """

    input_ids: Tensor  # [statements, tokens]
    attention_mask: Tensor  # [statements, tokens]
    rows: Tensor  # [targets]
    positions: Tensor  # [targets]
    targets: Tensor  # [targets]

    def token_losses(self, logits: Tensor) -> Tensor:
        """Each target token's negative log-likelihood, [targets], from its logits, [targets, vocabulary]."""
        targets = self.targets.to(logits.device)
        return functional.cross_entropy(at_least_float(logits), targets, reduction="none")

    def mean_by_row(self, token_losses: Tensor) -> Tensor:
        """Each statement's mean over its target tokens, [statements], from [targets]."""
        rows = self.rows.to(token_losses.device)
        sums = token_losses.new_zeros(len(self.input_ids)).index_add(0, rows, token_losses)
        return sums / rows.bincount(minlength=len(self.input_ids))


def teacher_forced_edits(
    tokenizer: Tokenizer, edits: Sequence[Edit], device: torch.device | str = "cpu"
) -> TeacherForced:
    """Each edit's prompt and target; errors as for `teacher_forced`."""
    return teacher_forced(tokenizer, [(edit.filled, edit.target, edit.space) for edit in edits], device)


def teacher_forced(
    tokenizer: Tokenizer, statements: Sequence[Asked], device: torch.device | str = "cpu"
) -> TeacherForced:
    """Tokenise prompts and targets; what stands between is for `encode` to say.

    Raises:
        DataError: a target has no token of its own.
        ModelError: the tokenizer knows no character offsets.
    """
    encoded = [encode(tokenizer, *one) for one in statements]
    input_ids, attention_mask = pad_right([one.input_ids[:-1] for one in encoded], pad_id(tokenizer))
    places = [
        (row, one.target_start - 1 + offset, target)
        for row, one in enumerate(encoded)
        for offset, target in enumerate(one.target_ids)
    ]
    rows, positions, targets = torch.tensor(places, device=device).T
    return TeacherForced(input_ids.to(device), attention_mask.to(device), rows, positions, targets)


def at_least_float(tensor: Tensor) -> Tensor:
    """In float32, or in float64 if it already is."""
    return tensor if tensor.dtype == torch.float64 else tensor.float()
