"""Wrappers: editors that change the ΔW of another editor before it is applied to the weights."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BeforeValidator, Field

from stability.data.edits import Edit
from stability.editors.plugin.protocol import BuiltIn, EditorSettings, LoadedEditor
from stability.errors import EditorError
from stability.suite import EditorSpec
from stability.suite.schema import parse_editor

if TYPE_CHECKING:
    from torch import Tensor, nn

    from stability.models import ModelMap, Tokenizer
    from stability.store import Store


class WrapperSettings(EditorSettings):
    """The setting that every wrapper has: the editor inside, written as in a suite."""

    editor: Annotated[EditorSpec, BeforeValidator(parse_editor), Field(validate_default=True)]


class Wrapper(BuiltIn):
    """Lets an editor make a batch of edits, then modifies the change of every matrix that it changed.

    `change` gets the matrix before the batch and its change, and returns the change to apply instead. Only
    the blocks' matrices are passed to it; other changes by the editor are kept as they are.
    """

    def __init__(self, settings: Any, editor: LoadedEditor) -> None:
        super().__init__(settings)
        self.editor = editor
        self._reported: dict[str, list[float]] = {}

    @abstractmethod
    def change(self, name: str, weight: Tensor, delta: Tensor) -> Tensor:
        """The change to apply instead of `delta`; all float64 [d_out, d_in], `weight` without `delta`."""

    def prepare(self, model: nn.Module, tokenizer: Tokenizer, store: Store) -> None:
        """Prepare the editor inside."""
        self.editor.prepare(model, tokenizer, store)

    def edit(self, model: nn.Module, tokenizer: Tokenizer, edits: Sequence[Edit]) -> nn.Module:
        """Make the edits; in place if the editor inside does so."""
        import torch

        from stability.models import map_model, same_bytes

        found = map_model(model)
        named = self.touched(found)
        before = {
            matrix.name: found.weight(matrix).detach().clone()
            for matrix in found.matrices
            if named is None or matrix.name in named
        }
        parameters = {name for name, _ in model.named_parameters()}
        with torch.enable_grad():
            edited = self.editor.edit(model, tokenizer, edits)
        rows = self.editor.report(len(edits))
        self._reported = {name: [row[name] for row in rows] for name in (rows[0] if rows else ())}
        if {name for name, _ in edited.named_parameters()} != parameters:
            raise EditorError(
                f"{self.name} wraps editors that change the model's own weights; "
                f"{self.editor.info.name} adds or removes some"
            )
        found = map_model(edited)
        with torch.no_grad():
            for name, old in before.items():
                weight = found.weight(name)
                if not same_bytes(weight, old):
                    delta = weight.double() - old.double()
                    weight.copy_(old.double() + self.change(name, old.double(), delta))
        return edited

    def state(self) -> dict[str, Any]:
        """The state of the editor inside; wrappers with a state of their own add it."""
        return {"editor": self.editor.state()}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Continue from a state."""
        self.editor.load_state(state["editor"])

    def rebuild(self, model: nn.Module) -> nn.Module:
        """As the editor inside."""
        return self.editor.rebuild(model)

    def report(self) -> Mapping[str, Sequence[float]]:
        """The report of the editor inside."""
        return self._reported

    def touched(self, found: ModelMap) -> tuple[str, ...] | None:
        """The parameters that the editor inside may change."""
        return self.editor.touched(found)
