"""The control: an editor that does nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from stability.data.edits import Edit
from stability.editors.plugin.protocol import BuiltIn
from stability.parts import EditorHead

if TYPE_CHECKING:
    from torch import nn

    from stability.models import Tokenizer


class NoOp(BuiltIn):
    """Leaves the model as it is: every stability check must pass, and no edit works."""

    head = EditorHead("none", "does nothing; the control", family="control", uses_edits=False)

    def edit(self, model: nn.Module, tokenizer: Tokenizer, edits: Sequence[Edit]) -> None:
        """Do nothing."""
