"""What the loaded models give to a gate."""

from __future__ import annotations

from dataclasses import dataclass, field

from stability.record import Checkpoint, EditOutcome, ModelInfo


def _nothing() -> Checkpoint:
    return Checkpoint(edits=0)


@dataclass(frozen=True)
class Examined:
    """What models that were loaded gave, and the text that they were measured on; nothing where none was.

    `base` and `model` describe the unedited one, and are empty and None where only the edited one was asked.
    """

    edited: Checkpoint = field(default_factory=_nothing)
    outcomes: tuple[EditOutcome, ...] = ()
    base: Checkpoint = field(default_factory=_nothing)
    model: ModelInfo | None = None
    text_fingerprint: str = ""
    text_tokens: int = 0
