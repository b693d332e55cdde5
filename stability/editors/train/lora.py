"""LoRA: low-rank adapters on chosen matrices, trained on the edit and merged, or kept."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pydantic import Field

from stability.data.edits import Edit
from stability.editors.plugin.protocol import BuiltIn, EditorSettings, Layers
from stability.editors.steps.selection import Matrices, select
from stability.parts import EditorHead
from stability.record.schema import Matrix

if TYPE_CHECKING:
    from torch import Tensor, nn

    from stability.editors.steps.teacher_forcing import TeacherForced
    from stability.models import ModelMap, Tokenizer

log = logging.getLogger(__name__)


class LoraSettings(EditorSettings):
    """Settings of LoRA; by default `layers` is all layers and `matrices` the MLP's matrices."""

    layers: Layers | None = None
    matrices: Matrices | None = None
    rank: int = Field(8, ge=1)
    alpha: float = Field(32, gt=0)
    dropout: float = Field(0.1, ge=0, lt=1)
    num_steps: int = Field(70, ge=1)
    lr: float = Field(5e-3, gt=0)
    weight_decay: float = Field(0.0, ge=0)
    stop_loss: float = Field(1e-3, ge=0)
    merge: bool = True  # false: one adapter is kept, and trained further by each edit


class Lora(BuiltIn):
    """Low-rank adaptation (Hu et al. 2021, arXiv 2106.09685): W + (alpha / rank) B A, initially with B = 0.

    Adam on the mean negative log-likelihood of the batch's target tokens, teacher-forced. With `merge` every
    batch of edits gets new adapters, which are merged into the matrices. Without it `edit` returns PEFT's
    model, and every batch continues to train its one adapter with a new optimiser.
    """

    head = EditorHead(
        "lora",
        "low-rank adapters trained on the edit, merged into the weights or kept beside them (LoRA)",
        family="trained",
        adds_modules=lambda settings: settings.get("merge") is False,
    )
    Settings = LoraSettings
    settings: LoraSettings

    def __init__(self, settings: LoraSettings) -> None:
        super().__init__(settings)
        self._adapter: dict[str, Tensor] = {}  # parameters of the model that was last returned, by name
        self._losses: list[float] = []

    def edit(self, model: nn.Module, tokenizer: Tokenizer, edits: Sequence[Edit]) -> nn.Module:
        """Learn the edits: in place with `merge`, else in the adapters of the model that is returned."""
        from stability.editors.steps.teacher_forcing import teacher_forced_edits
        from stability.editors.train.steps.low_rank import adapter_weights, generators_restored
        from stability.models.modes import frozen

        with frozen(model), generators_restored(model):
            stated = teacher_forced_edits(tokenizer, edits, next(model.parameters()).device)
            if self.settings.merge:
                adapted = self._adapted_for_now(model)
                try:
                    self._train(adapted, stated)
                except BaseException:
                    adapted.unload()
                    raise
                adapted.merge_and_unload()
                return model
            adapted = self._adapted_for_good(model)
            self._train(adapted, stated)
            self._adapter = {name: weight.detach().clone() for name, weight in adapter_weights(adapted)}
            returned: nn.Module = adapted.requires_grad_(False)
            return returned

    def state(self) -> dict[str, Any]:
        """The kept adapter's weights; empty with `merge`."""
        return {"adapter": dict(self._adapter)}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Continue with the adapter of the state, which is added to the model at the next edit."""
        self._adapter = dict(state["adapter"])

    def rebuild(self, model: nn.Module) -> nn.Module:
        """PEFT's model with the adapter of the state; the model itself if there is none."""
        from stability.editors.train.steps.low_rank import generators_restored

        if self.settings.merge or not self._adapter:
            return model
        with generators_restored(model):
            adapted: nn.Module = self._adapted_for_good(model).requires_grad_(False)
        return adapted

    def report(self) -> Mapping[str, Sequence[float]]:
        """Each edit's loss when it was last computed, before the last step."""
        return {"training_loss": self._losses}

    def touched(self, found: ModelMap) -> tuple[str, ...]:
        """The matrices that have adapters."""
        return tuple(matrix.name for matrix in self._matrices(found))

    def _matrices(self, found: ModelMap) -> list[Matrix]:
        return select(found, self.settings.layers, self.settings.matrices)

    def _adapted_for_now(self, model: nn.Module) -> Any:
        """The model with new adapters in it, to be merged; only PEFT's tuner, which can be removed."""
        from peft.tuners.lora import LoraModel

        from stability.editors.train.steps.low_rank import adapter_weights

        tuner = LoraModel(model, self._config(model), "default")
        for _, weight in adapter_weights(tuner):
            # Half precision would lose steps as small as the learning rate.
            weight.data = weight.data.float()
        return tuner

    def _adapted_for_good(self, model: nn.Module) -> Any:
        """PEFT's model, with the adapter of the state if there is one; the model itself if it is PEFT's."""
        from peft import PeftModel, get_peft_model

        from stability.editors.train.steps.low_rank import adapter_weights

        if isinstance(model, PeftModel):
            return model
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # PEFT uses names that transformers has changed
            adapted = get_peft_model(model, self._config(model))
        for name, weight in adapter_weights(adapted) if self._adapter else ():
            weight.data.copy_(self._adapter[name])
        return adapted.eval()

    def _config(self, model: nn.Module) -> Any:
        from peft import LoraConfig

        from stability.models import map_model
        from stability.models.map import is_transposed

        found = map_model(model)
        chosen = self._matrices(found)
        return LoraConfig(
            r=self.settings.rank,
            lora_alpha=self.settings.alpha,  # type: ignore[arg-type]
            lora_dropout=self.settings.dropout,
            target_modules=[matrix.name.removesuffix(".weight") for matrix in chosen],
            fan_in_fan_out=is_transposed(type(found.module(chosen[0].layer, chosen[0].kind))),
        )

    def _train(self, adapted: nn.Module, stated: TeacherForced) -> None:
        import torch

        from stability.editors.train.steps.low_rank import adapter_weights

        weights = [weight.requires_grad_(True) for _, weight in adapter_weights(adapted)]
        optimiser = torch.optim.Adam(weights, lr=self.settings.lr, weight_decay=self.settings.weight_decay)
        for name, module in adapted.named_modules():
            module.training = ".lora_dropout." in name
        for step in range(self.settings.num_steps):
            output = adapted(
                input_ids=stated.input_ids, attention_mask=stated.attention_mask, use_cache=False
            ).logits
            losses = stated.token_losses(output[stated.rows, stated.positions])
            self._losses = stated.mean_by_row(losses.detach()).tolist()
            loss = losses.mean()
            log.debug("step %d: loss %.4f", step, loss.item())
            if loss.item() < self.settings.stop_loss:
                break
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
        optimiser.zero_grad()
        adapted.eval()
