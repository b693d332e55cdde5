"""Edits as a batch of token rows: prompt and target after each context, and a row with only the subject."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from stability.data.edits import Edit
from stability.errors import DataError
from stability.models import Tokenizer, encode, pad_id, pad_right, statement, subject_last_index


@dataclass(frozen=True)
class EditPrompts:
    """Each edit has `contexts` + 1 rows: its prompt after each context (the first is empty), and its subject.

    `subject_at` is the position of the subject's last token in each row; padding is on the right. Target
    token i is `targets[i]` and is predicted from (`rows[i]`, `positions[i]`).
    """

    input_ids: Tensor  # [rows, tokens]
    attention_mask: Tensor  # [rows, tokens]
    subject_at: Tensor  # [rows]
    rows: Tensor  # [targets]
    positions: Tensor  # [targets]
    targets: Tensor  # [targets]
    contexts: int

    @property
    def edits(self) -> int:
        """The number of edits."""
        return len(self.subject_at) // (self.contexts + 1)

    @property
    def owner(self) -> Tensor:
        """The edit that each row belongs to, [rows]."""
        return torch.arange(len(self.subject_at), device=self.subject_at.device) // (self.contexts + 1)

    @property
    def bare(self) -> Tensor:
        """The row of each edit without a context, [edits]."""
        return torch.arange(self.edits, device=self.subject_at.device) * (self.contexts + 1)

    @property
    def alone(self) -> Tensor:
        """The row of each edit with only its subject, [edits]."""
        return self.bare + self.contexts

    @property
    def lengths(self) -> Tensor:
        """The number of tokens of each row, [rows]."""
        return self.attention_mask.sum(dim=-1)

    def rows_of(self, edits: Tensor) -> Tensor:
        """The rows of some of the edits, in order."""
        each = torch.arange(self.contexts + 1, device=edits.device)
        return (edits[:, None] * (self.contexts + 1) + each).flatten()

    def only(self, edits: Tensor) -> EditPrompts:
        """The prompts of some of the edits."""
        kept = self.rows_of(edits)
        place = torch.full_like(self.subject_at, -1)
        place[kept] = torch.arange(len(kept), device=kept.device)
        mine = place[self.rows] >= 0
        return EditPrompts(
            input_ids=self.input_ids[kept],
            attention_mask=self.attention_mask[kept],
            subject_at=self.subject_at[kept],
            rows=place[self.rows[mine]],
            positions=self.positions[mine],
            targets=self.targets[mine],
            contexts=self.contexts,
        )


def build_prompts(
    tokenizer: Tokenizer,
    edits: Edit | Sequence[Edit],
    contexts: Sequence[str],
    device: torch.device | str = "cpu",
    limit: int | None = None,
) -> EditPrompts:
    """Tokenise one or several edits after each context, with the target teacher-forced.

    Raises:
        DataError: a subject or a target has no token of its own.
        ModelError: the tokenizer gives no character offsets.
    """
    sequences: list[list[int]] = []
    subject_at: list[int] = []
    places: list[tuple[int, int, int]] = []  # row, position, target
    for edit in (edits,) if isinstance(edits, Edit) else edits:
        for context in contexts:
            filled = context + edit.filled
            encoded = encode(tokenizer, filled, edit.target, edit.space)
            if limit is not None and len(encoded.input_ids) > limit + 1:
                behind = f" behind a context of {len(tokenizer(context)['input_ids'])}" if context else ""
                raise DataError(
                    f"edit {edit.id}: its prompt and target have {len(encoded.input_ids):,} tokens{behind}, "
                    f"the model takes {limit:,} at once; shorten it, or set "
                    "context_template_length_params to []"
                )
            for offset, target in enumerate(encoded.target_ids):
                places.append((len(sequences), encoded.target_start - 1 + offset, target))
            sequences.append(encoded.input_ids[:-1])
            target_text = statement(filled, edit.target, edit.space)[len(filled) :]
            last = subject_last_index(tokenizer, context + edit.prompt, edit.subject, target_text)
            # The subject's end may share a token with the target.
            subject_at.append(min(last, encoded.target_start - 1))
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
