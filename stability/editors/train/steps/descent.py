"""Training all weights of a model, with an optimiser that is kept between edits."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from stability.editors.steps.teacher_forcing import at_least_float
from stability.editors.train.steps.settings import DescentSettings
from stability.errors import EditorError
from stability.models import pad_right

log = logging.getLogger(__name__)


class Descent:
    """An optimiser over all weights of a model, whose moments are kept between edits."""

    def __init__(self, settings: DescentSettings) -> None:
        self._settings = settings
        self._weights: dict[str, nn.Parameter] = {}
        self._optimiser: torch.optim.Optimizer | None = None
        self._moments: Mapping[str, Mapping[str, Tensor]] = {}  # of a state, until the model is known

    def steps(self, model: nn.Module, loss_of: Callable[[int], Tensor]) -> list[float]:
        """Take `num_steps` steps on `loss_of` step 0, 1, ...; return the losses.

        Afterwards the weights require gradients, and have none.
        """
        optimiser = self._over(model)
        losses = []
        for step in range(self._settings.num_steps):
            loss = loss_of(step)
            losses.append(loss.item())
            log.debug("step %d: loss %.4f", step, losses[-1])
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            if self._settings.max_grad_norm is not None:
                nn.utils.clip_grad_norm_(self._weights.values(), self._settings.max_grad_norm)
            optimiser.step()
        optimiser.zero_grad()
        return losses

    def state(self) -> dict[str, dict[str, Tensor]]:
        """The moments by the weight's name."""
        if self._optimiser is None:
            return {name: dict(moments) for name, moments in self._moments.items()}
        held = self._optimiser.state
        return {
            name: {key: value for key, value in held[weight].items() if isinstance(value, Tensor)}
            for name, weight in self._weights.items()
            if weight in held
        }

    def load_state(self, state: Mapping[str, Mapping[str, Tensor]]) -> None:
        """Continue from the moments of a state."""
        self._moments = state
        self._optimiser = None

    def _over(self, model: nn.Module) -> torch.optim.Optimizer:
        """The optimiser over this model's weights, a new one if they are others than at the last edit."""
        weights = dict(model.named_parameters())
        model.requires_grad_(True)
        same = weights.keys() == self._weights.keys() and all(
            weight is self._weights[name] for name, weight in weights.items()
        )
        if self._optimiser is not None and same:
            return self._optimiser
        moments = self.state()
        unknown = sorted(moments.keys() - weights.keys())
        if unknown:
            raise EditorError(f"the optimiser's state is of another model: this one has no {unknown[0]}")
        optimiser = self._make(list(weights.values()))
        for name, held in moments.items():
            weight = weights[name]
            # As torch keeps them: the count of steps on the CPU, moments beside the weight.
            optimiser.state[weight] = {
                key: value.clone() if key == "step" else value.to(weight, copy=True)
                for key, value in held.items()
            }
        self._weights, self._optimiser, self._moments = weights, optimiser, {}
        return optimiser

    def _make(self, weights: list[nn.Parameter]) -> torch.optim.Optimizer:
        common: dict[str, Any] = {"lr": self._settings.lr, "weight_decay": self._settings.weight_decay}
        if self._settings.optimizer == "sgd":
            return torch.optim.SGD(weights, **common)
        kind = torch.optim.AdamW if self._settings.optimizer == "adamw" else torch.optim.Adam
        return kind(weights, betas=self._settings.betas, **common)


def next_token_loss(model: nn.Module, windows: Sequence[Tensor]) -> Tensor:
    """The mean negative log-likelihood of every token of the windows except the first."""
    input_ids, attention_mask = pad_right([window.tolist() for window in windows], 0)
    device = next(model.parameters()).device
    output = model(
        input_ids=input_ids.to(device), attention_mask=attention_mask.to(device), use_cache=False
    ).logits
    predicted = attention_mask[:, 1:].bool()
    logits = output[:, :-1][predicted.to(output.device)]  # [tokens, vocabulary]
    return functional.cross_entropy(at_least_float(logits), input_ids[:, 1:][predicted].to(output.device))
