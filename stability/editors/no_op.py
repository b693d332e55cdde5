"""The control: an editor that does nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import nn

from stability.editors.protocol import BuiltIn
from stability.edits import Edit


class NoOp(BuiltIn):
    """Leaves the model as it is: every stability check must pass, and no edit takes."""

    name = "none"
    summary = "does nothing; the control"

    def edit(self, model: nn.Module, tokenizer: Any, edits: Sequence[Edit]) -> None:
        """Do nothing."""
