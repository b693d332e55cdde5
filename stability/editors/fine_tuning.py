"""Plain fine-tuning of chosen layers' MLP output matrices on the edit alone."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from stability.editors.protocol import BuiltIn, EditorSettings, Layers
from stability.editors.undisturbed import undisturbed
from stability.edits import Edit
from stability.models import ModelMap, encode, map_model, pad_id, pad_right, suspend

log = logging.getLogger(__name__)


class FineTuningSettings(EditorSettings):
    """Settings of fine-tuning; names as in the published configurations of FT and FT-L."""

    layers: Layers
    num_steps: int = Field(25, ge=1)
    lr: float = Field(5e-4, gt=0)
    weight_decay: float = Field(0.0, ge=0)
    norm_constraint: float | None = Field(None, gt=0)  # FT-L: how far one weight may move in one edit
    stop_loss: float = Field(0.01, ge=0)


class FineTuning(BuiltIn):
    """Adam on the mean negative log-likelihood of the targets' tokens, teacher-forced.

    All edits of a batch are learnt together. With `norm_constraint` every weight stays within that distance
    of where it stood before the batch (FT-L, Zhu et al. 2020, arXiv 2012.00363).
    """

    name = "ft"
    summary = "plain fine-tuning of a layer's MLP output matrix"
    Settings = FineTuningSettings
    settings: FineTuningSettings

    def edit(self, model: nn.Module, tokenizer: Any, edits: Sequence[Edit]) -> None:
        """Learn the edits in place."""
        found = map_model(model)
        names = [found.parameter_name(layer, "mlp_out") for layer in self.settings.layers]
        with undisturbed(model):
            weights = [model.get_parameter(name) for name in names]
            before = [weight.detach().clone() for weight in weights]
            input_ids, attention_mask, places = _targets(tokenizer, edits)
            device = weights[0].device
            rows, positions, targets = places.to(device).T
            first = min(self.settings.layers)
            kept = suspend(model, found, input_ids.to(device), attention_mask.to(device), first)
            for weight in weights:
                weight.requires_grad_(True)
            optimiser = torch.optim.Adam(
                weights, lr=self.settings.lr, weight_decay=self.settings.weight_decay
            )
            for step in range(self.settings.num_steps):
                loss = functional.cross_entropy(kept.logits(kept.hidden, rows, positions).float(), targets)
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

    def touched(self, found: ModelMap) -> tuple[str, ...]:
        """The MLP output matrices of the layers."""
        return tuple(found.parameter_name(layer, "mlp_out") for layer in self.settings.layers)


def _targets(tokenizer: Any, edits: Sequence[Edit]) -> tuple[Tensor, Tensor, Tensor]:
    """Ids and mask, [edits, tokens], and the (row, position, target) of each target token, [n, 3]."""
    encoded = [encode(tokenizer, edit.filled, edit.target) for edit in edits]
    input_ids, attention_mask = pad_right([one.input_ids[:-1] for one in encoded], pad_id(tokenizer))
    places = [
        (row, one.target_start - 1 + offset, target)
        for row, one in enumerate(encoded)
        for offset, target in enumerate(one.target_ids)
    ]
    return input_ids, attention_mask, torch.tensor(places)
