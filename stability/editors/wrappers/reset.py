"""A reset: at a fixed interval of edits, the edited matrices are scaled back to their first norm."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pydantic import Field

from stability.data.edits import Edit
from stability.editors.plugin.protocol import LoadedEditor
from stability.editors.plugin.wrapper import Wrapper, WrapperSettings
from stability.parts import EditorHead, Restraint

if TYPE_CHECKING:
    from torch import Tensor, nn

    from stability.models import Tokenizer


class ResetSettings(WrapperSettings):
    """Settings of the reset."""

    every: int = Field(10, ge=1)  # edits


class Reset(Wrapper):
    """Every `every` edits, each matrix that was ever edited becomes W·‖W0‖_F / ‖W‖_F."""

    head = EditorHead(
        "reset",
        "around an editor: every so many edits, scales the edited matrices back to their first norm",
        family="wrapper",
        holds_back=Restraint("every", lambda every: 2 * every),
    )
    Settings = ResetSettings
    settings: ResetSettings

    def __init__(self, settings: ResetSettings, editor: LoadedEditor) -> None:
        super().__init__(settings, editor)
        self._first: dict[str, float] = {}
        self._since = 0  # edits since the last reset

    def edit(self, model: nn.Module, tokenizer: Tokenizer, edits: Sequence[Edit]) -> nn.Module:
        """Make the edits, then reset if it is due."""
        import torch

        from stability.models import map_model

        edited = super().edit(model, tokenizer, edits)
        self._since += len(edits)
        if self._since >= self.settings.every:
            self._since = 0
            found = map_model(edited)
            with torch.no_grad():
                for name, first in self._first.items():
                    weight = found.weight(name)
                    weight.copy_(weight.double() * (first / weight.double().norm()))
        return edited

    def change(self, name: str, weight: Tensor, delta: Tensor) -> Tensor:
        """The change as it is; the matrix's norm before its first change is stored."""
        self._first.setdefault(name, float(weight.norm()))
        return delta

    def state(self) -> dict[str, Any]:
        """The state of the editor inside, with the first norms and the count."""
        return {**super().state(), "first": dict(self._first), "since": self._since}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Continue with the first norms and the count of the state."""
        super().load_state(state)
        self._first, self._since = dict(state["first"]), int(state["since"])
