"""A limit on the Frobenius norm of every edited matrix, as a multiple of its first norm."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pydantic import Field

from stability.editors.plugin.protocol import LoadedEditor
from stability.editors.plugin.wrapper import Wrapper, WrapperSettings
from stability.parts import EditorHead, Restraint

if TYPE_CHECKING:
    from torch import Tensor


class FrobeniusSettings(WrapperSettings):
    """Settings of the constraint."""

    max_ratio: float = Field(1.5, gt=0)


class Frobenius(Wrapper):
    """After every batch, W is projected onto the ball ‖W‖_F ≤ `max_ratio`·‖W0‖_F: scaled if outside."""

    head = EditorHead(
        "frobenius",
        "around an editor: holds each edited matrix's Frobenius norm below a multiple of its first",
        family="wrapper",
        holds_back=Restraint("max_ratio", lambda ratio: 1 + 2 * max(ratio - 1, 0.1)),
    )
    Settings = FrobeniusSettings
    settings: FrobeniusSettings

    def __init__(self, settings: FrobeniusSettings, editor: LoadedEditor) -> None:
        super().__init__(settings, editor)
        self._first: dict[str, float] = {}

    def change(self, name: str, weight: Tensor, delta: Tensor) -> Tensor:
        """The change after which the matrix is inside the ball."""
        limit = self.settings.max_ratio * self._first.setdefault(name, float(weight.norm()))
        edited = weight + delta
        scale = min(1.0, limit / float(edited.norm()))
        return scale * edited - weight

    def state(self) -> dict[str, Any]:
        """The state of the editor inside, and the first norms."""
        return {**super().state(), "first": dict(self._first)}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Continue with the first norms of the state."""
        super().load_state(state)
        self._first = dict(state["first"])
