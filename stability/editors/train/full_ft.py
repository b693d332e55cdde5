"""Fine-tuning of all weights on the edits' prompts and targets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from stability.data.edits import Edit
from stability.editors.plugin.protocol import BuiltIn
from stability.editors.train.steps.settings import DescentSettings
from stability.parts import EditorHead

if TYPE_CHECKING:
    from torch import Tensor, nn

    from stability.models import Tokenizer


class FullFineTuningSettings(DescentSettings):
    """Settings of full fine-tuning; `num_steps` is for each batch of edits."""


class FullFineTuning(BuiltIn):
    """Steps on the mean negative log-likelihood of the batch's target tokens, teacher-forced.

    Every weight is trained, embeddings and norms included; the optimiser's moments are kept between batches,
    as in continued training.
    """

    head = EditorHead(
        "full_ft",
        "fine-tuning of all weights on the edits' statements",
        family="trained",
    )
    Settings = FullFineTuningSettings
    settings: FullFineTuningSettings

    def __init__(self, settings: FullFineTuningSettings) -> None:
        from stability.editors.train.steps.descent import Descent

        super().__init__(settings)
        self._descent = Descent(settings)
        self._first: list[float] = []
        self._last: list[float] = []

    def edit(self, model: nn.Module, tokenizer: Tokenizer, edits: Sequence[Edit]) -> None:
        """Learn the edits in place."""
        from stability.editors.steps.teacher_forcing import teacher_forced_edits
        from stability.models.modes import frozen

        stated = teacher_forced_edits(tokenizer, edits, next(model.parameters()).device)

        def loss_of(step: int) -> Tensor:
            output = model(
                input_ids=stated.input_ids, attention_mask=stated.attention_mask, use_cache=False
            ).logits
            losses = stated.token_losses(output[stated.rows, stated.positions])
            self._last = stated.mean_by_row(losses.detach()).tolist()
            if step == 0:
                self._first = self._last
            return losses.mean()

        with frozen(model):
            self._descent.steps(model, loss_of)

    def state(self) -> dict[str, Any]:
        """The optimiser's moments."""
        return {"optimiser": self._descent.state()}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Continue with the moments of the state."""
        self._descent.load_state(state["optimiser"])

    def report(self) -> Mapping[str, Sequence[float]]:
        """Each edit's loss before the first step, and before the last."""
        return {"first_loss": self._first, "training_loss": self._last}
