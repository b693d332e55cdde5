"""PRUNE: the singular values of the whole change are limited by those of the first matrix."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pydantic import Field

from stability.data.edits import Edit
from stability.editors.plugin.protocol import LoadedEditor
from stability.editors.plugin.wrapper import Wrapper, WrapperSettings
from stability.parts import EditorHead

if TYPE_CHECKING:
    from torch import Tensor, nn

    from stability.models import Tokenizer


class PruneSettings(WrapperSettings):
    """Settings of PRUNE."""

    log_base: float = Field(math.e, gt=1)


class Prune(Wrapper):
    """PRUNE (Ma et al. 2024, arXiv 2405.16821): W0 + U F(Σ) Vᵀ, where U Σ Vᵀ is the change since W0.

    F keeps a singular value σ of at most s, the largest of W0, and replaces a larger one by s + log(σ / s).
    In the paper this is done once, after the last edit. Here the model has it after every batch, while
    further edits continue from the weights as the editor left them, so a checkpoint after n edits is PRUNE's
    result for n edits.
    """

    head = EditorHead(
        "prune",
        "around an editor: restrains the singular values of all that it has changed (PRUNE)",
        family="wrapper",
    )
    Settings = PruneSettings
    settings: PruneSettings

    def __init__(self, settings: PruneSettings, editor: LoadedEditor) -> None:
        super().__init__(settings, editor)
        self._base: dict[str, Tensor] = {}  # matrices as they first were, float64
        self._edited: dict[str, Tensor] = {}  # as the editor left them
        self._shown: dict[str, Tensor] = {}  # as they are in the model

    def edit(self, model: nn.Module, tokenizer: Tokenizer, edits: Sequence[Edit]) -> nn.Module:
        """Make the edits on the weights as the editor left them, then restrain the weights in the model."""
        import torch

        from stability.models import map_model, same_bytes

        with torch.no_grad():
            found = map_model(model)
            for name, weight in self._edited.items():
                found.weight(name).copy_(weight)
            edited = super().edit(model, tokenizer, edits)
            found = map_model(edited)
            for name, weight in self._edited.items():
                if same_bytes(found.weight(name), weight.to(found.weight(name))):  # not changed by this batch
                    found.weight(name).copy_(self._shown[name])
        return edited

    def change(self, name: str, weight: Tensor, delta: Tensor) -> Tensor:
        """The change from the matrix before the batch to the restrained one."""
        base = self._base.setdefault(name, weight)
        self._edited[name] = weight + delta
        self._shown[name] = base + restrained(base, weight + delta - base, self.settings.log_base)
        return self._shown[name] - weight

    def state(self) -> dict[str, Any]:
        """The state of the editor inside, with the first and the unrestrained matrices."""
        return {
            **super().state(),
            "base": dict(self._base),
            "edited": dict(self._edited),
            "shown": dict(self._shown),
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Continue with the matrices of the state."""
        super().load_state(state)
        self._base, self._edited, self._shown = (dict(state[key]) for key in ("base", "edited", "shown"))


def restrained(base: Tensor, change: Tensor, log_base: float = math.e) -> Tensor:
    """U F(Σ) Vᵀ for `change` = U Σ Vᵀ, where F's limit is the largest singular value of `base`; float64."""
    import torch

    from stability.editors.wrappers.steps.singular import singular

    limit = torch.linalg.matrix_norm(base.double(), ord=2)
    change = change.double()
    if change.norm() <= limit:  # no singular value is above the Frobenius norm
        return change
    found = singular(change)
    over = found.first(int((found.values > limit).sum()))
    excess = over.values - (limit + torch.log(over.values / limit) / math.log(log_base))
    surplus: Tensor = (over.left * excess) @ over.right.T
    return change - surplus
