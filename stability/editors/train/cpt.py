"""Continual pre-training: next-token training on a text, with a number of steps for each edit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pydantic import Field

from stability.data.documents import load_documents
from stability.data.edits import Edit
from stability.editors.plugin.protocol import BuiltIn
from stability.editors.train.steps.settings import DescentSettings
from stability.errors import EditorError
from stability.parts import EditorHead

if TYPE_CHECKING:
    from torch import Tensor, nn

    from stability.models import Tokenizer
    from stability.store import Store


class ContinualSettings(DescentSettings):
    """Settings of continual pre-training; `num_steps` is for each edit."""

    dataset: str = "wikitext"
    path: str | None = None  # a text file, instead of a named source
    n_tokens: int = Field(100_000, ge=2)
    window: int = Field(256, ge=2)  # tokens; longer documents are cut into several windows
    batch_size: int = Field(8, ge=1)  # windows in a step
    held_windows: int = Field(8, ge=0)  # the last windows of the text, which are not trained on


class ContinualPretraining(BuiltIn):
    """Next-token loss on a text, training all weights; edits only count, their content is not used.

    The windows are in random order, a new one for each pass over the text. The optimiser's moments are kept
    throughout.
    """

    head = EditorHead(
        "cpt",
        "continual pre-training on a text: each edit stands for some steps, its content is not used",
        family="trained",
        uses_edits=False,
        not_of_an_edit=("num_steps",),
    )
    Settings = ContinualSettings
    settings: ContinualSettings

    def __init__(self, settings: ContinualSettings) -> None:
        from stability.editors.train.steps.descent import Descent

        super().__init__(settings)
        self._descent = Descent(settings)
        self._windows: list[Tensor] = []
        self._held: list[Tensor] = []
        self._seed = 0
        self._steps = 0
        self._reported: dict[str, list[float]] = {}

    def prepare(self, model: nn.Module, tokenizer: Tokenizer, store: Store) -> None:
        """Read the text, and keep the harness's seed for the order of its windows."""
        import torch

        from stability.models import context_length, tokenize_text

        settings = self.settings
        text = tokenize_text(
            tokenizer,
            load_documents(settings.dataset, settings.path),
            tokens=settings.n_tokens,
            max_length=min(settings.window, context_length(model)),
        )
        windows = list(text.windows)
        left = len(windows) - settings.held_windows
        if left < settings.batch_size:
            raise EditorError(
                f"cpt: the text gives {len(windows)} windows, {settings.held_windows} of them held back; "
                f"a step needs {settings.batch_size}; raise n_tokens"
            )
        self._windows, self._held = windows[:left], windows[left:]
        self._seed = torch.initial_seed()

    def edit(self, model: nn.Module, tokenizer: Tokenizer, edits: Sequence[Edit]) -> None:
        """Train in place, `num_steps` steps for each edit."""
        import torch

        from stability.editors.train.steps.descent import next_token_loss
        from stability.models.modes import frozen

        self._reported = {"training_loss": []}
        with frozen(model):
            for _ in edits:
                losses = self._descent.steps(model, lambda _step: self._step(model))
                self._reported["training_loss"].append(sum(losses) / len(losses))
                if self._held:
                    with torch.no_grad():
                        held = next_token_loss(model, self._held).item()
                    self._reported.setdefault("held_loss", []).append(held)

    def state(self) -> dict[str, Any]:
        """The optimiser's moments, and how many steps have been taken."""
        return {"optimiser": self._descent.state(), "steps": self._steps}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Continue with the moments and the position in the text."""
        self._descent.load_state(state["optimiser"])
        self._steps = int(state["steps"])

    def report(self) -> Mapping[str, Sequence[float]]:
        """For each edit, the mean loss of its steps and the loss on the held-out windows after it."""
        return self._reported

    def _step(self, model: nn.Module) -> Tensor:
        """The loss on the next windows."""
        import torch

        from stability.editors.train.steps.descent import next_token_loss

        size = self.settings.batch_size
        time, batch = divmod(self._steps, len(self._windows) // size)
        generator = torch.Generator().manual_seed((self._seed + time) % 2**63)
        order = torch.randperm(len(self._windows), generator=generator)[batch * size : (batch + 1) * size]
        self._steps += 1
        return next_token_loss(model, [self._windows[index] for index in order.tolist()])
