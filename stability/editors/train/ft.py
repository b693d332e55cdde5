"""Plain fine-tuning of the MLP output matrices of chosen layers on the edits alone."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from stability.data.edits import Edit
from stability.editors.plugin.protocol import BuiltIn, EditorSettings, Layers
from stability.parts import EditorHead

if TYPE_CHECKING:
    from torch import nn

    from stability.models import ModelMap, Tokenizer

log = logging.getLogger(__name__)


class FineTuningSettings(EditorSettings):
    """Settings of fine-tuning; names as in the published configurations of FT and FT-L."""

    layers: Layers
    num_steps: int = Field(25, ge=1)
    lr: float = Field(5e-4, gt=0)
    weight_decay: float = Field(0.0, ge=0)
    norm_constraint: float | None = Field(None, gt=0)  # the largest change of a weight in a batch of edits
    stop_loss: float = Field(0.01, ge=0)


class FineTuning(BuiltIn):
    """Adam on the mean negative log-likelihood of the targets' tokens, teacher-forced.

    All edits of a batch are learnt together. With `norm_constraint` every weight stays within that distance
    of its value before the batch; `ft_l` is this editor with that setting required.
    """

    head = EditorHead(
        "ft",
        "plain fine-tuning of a layer's MLP output matrix",
        family="trained",
    )
    Settings: ClassVar[type[FineTuningSettings]] = FineTuningSettings
    settings: FineTuningSettings

    def __init__(self, settings: FineTuningSettings) -> None:
        super().__init__(settings)
        self._losses: list[float] = []

    def edit(self, model: nn.Module, tokenizer: Tokenizer, edits: Sequence[Edit]) -> None:
        """Learn the edits in place."""
        import torch

        from stability.editors.steps.teacher_forcing import teacher_forced_edits
        from stability.models import map_model, suspend
        from stability.models.modes import frozen

        found = map_model(model)
        names = [found.parameter_name(layer, "mlp_out") for layer in self.settings.layers]
        with frozen(model):
            weights = [model.get_parameter(name) for name in names]
            before = [weight.detach().clone() for weight in weights]
            stated = teacher_forced_edits(tokenizer, edits, weights[0].device)
            kept = suspend(model, found, stated.input_ids, stated.attention_mask, min(self.settings.layers))
            for weight in weights:
                weight.requires_grad_(True)
            optimiser = torch.optim.Adam(
                weights, lr=self.settings.lr, weight_decay=self.settings.weight_decay
            )
            for step in range(self.settings.num_steps):
                losses = stated.token_losses(kept.logits(kept.hidden, stated.rows, stated.positions))
                self._losses = stated.mean_by_row(losses.detach()).tolist()
                loss = losses.mean()
                log.debug("step %d: loss %.4f", step, loss.item())
                if loss.item() < self.settings.stop_loss:
                    break
                optimiser.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                optimiser.step()
                if self.settings.norm_constraint is not None:
                    for weight, old in zip(weights, before, strict=True):
                        reach = self.settings.norm_constraint
                        weight.data.clamp_(old - reach, old + reach)
            optimiser.zero_grad()

    def report(self) -> Mapping[str, Sequence[float]]:
        """Each edit's loss when it was last computed, before the last step."""
        return {"training_loss": self._losses}

    def touched(self, found: ModelMap) -> tuple[str, ...]:
        """The MLP output matrices of the layers."""
        return tuple(found.parameter_name(layer, "mlp_out") for layer in self.settings.layers)
