"""One edit as a batch of token rows: its prompt and target behind every context, and its subject alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from stability.edits import Edit
from stability.models import encode, pad_id, pad_right, subject_last_index


@dataclass(frozen=True)
class EditPrompts:
    """Rows 0 to `contexts` - 1 state the edit, row 0 without a context; the last row is the subject alone.

    `subject_at` is the position of the subject's last token in each row, the padding is on the right. Target
    token i is `targets[i]` and is predicted from (`rows[i]`, `positions[i]`).
    """

    input_ids: Tensor  # [rows, tokens]
    attention_mask: Tensor  # [rows, tokens]
    subject_at: Tensor  # [rows]
    rows: Tensor  # [targets]
    positions: Tensor  # [targets]
    targets: Tensor  # [targets]
    contexts: int


def build_prompts(
    tokenizer: Any, edit: Edit, contexts: Sequence[str], device: torch.device | str = "cpu"
) -> EditPrompts:
    """Tokenise an edit behind each context, the target teacher-forced.

    Raises:
        DataError: the subject or the target has no token of its own.
        ModelError: the tokenizer knows no character offsets.
    """
    sequences: list[list[int]] = []
    subject_at: list[int] = []
    places: list[tuple[int, int, int]] = []  # row, position, target
    for row, context in enumerate(contexts):
        encoded = encode(tokenizer, context + edit.filled, edit.target)
        sequences.append(encoded.input_ids[:-1])
        subject_at.append(subject_last_index(tokenizer, context + edit.prompt, edit.subject))
        for offset, target in enumerate(encoded.target_ids):
            places.append((row, encoded.target_start - 1 + offset, target))
    last = subject_last_index(tokenizer, "{}", edit.subject)
    sequences.append(list(tokenizer(edit.subject)["input_ids"])[: last + 1])
    subject_at.append(last)
    input_ids, attention_mask = pad_right(sequences, pad_id(tokenizer))
    rows, positions, targets = torch.tensor(places, device=device).T
    return EditPrompts(
        input_ids=input_ids.to(device),
        attention_mask=attention_mask.to(device),
        subject_at=torch.tensor(subject_at, device=device),
        rows=rows,
        positions=positions,
        targets=targets,
        contexts=len(contexts),
    )
