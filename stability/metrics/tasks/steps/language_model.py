"""lm-eval's own model class around the model under test, for tokenising requests and for generation."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import torch
from lm_eval.api.instance import Instance
from lm_eval.models.huggingface import HFLM
from lm_eval.utils import get_rolling_token_windows, make_disjoint_window
from torch import nn

from stability.errors import MeasurementError, ModelError
from stability.metrics.scoring import Request
from stability.models import language_model
from stability.models.plain import is_plain
from stability.models.tokens import Tokenizer


class ModelView:
    """What lm-eval gets to see of the model under test: something to call, and no module.

    HFLM puts a module into evaluation mode and ties its weights when it is constructed, which would alter a
    model whose embeddings an editor has untied.
    """

    def __init__(self, model: nn.Module) -> None:
        self.model: Any = model

    @property
    def config(self) -> Any:
        """The language model's configuration."""
        return (language_model(self.model) or self.model).config

    @property
    def device(self) -> Any:
        """Where the model's inputs belong."""
        return next(self.model.parameters()).device

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """The model's forward pass."""
        return self.model(*args, **kwargs)

    def generate(self, *args: Any, **kwargs: Any) -> Any:
        """The model's own generation; `ModelError` if what was laid round it has none."""
        generate = getattr(self.model, "generate", None)
        if generate is None:
            raise ModelError(f"{type(self.model).__name__} has no generate(), which a task needs")
        return generate(*args, **kwargs)


class TaskModel(HFLM):  # type: ignore[misc]  # lm-eval is not typed
    """Tokenises requests as lm-eval does, and generates; scoring is ours.

    The tokenizer is copied, because lm-eval sets a padding token on it.
    """

    def __init__(self, model: nn.Module, tokenizer: Tokenizer, batch_size: int) -> None:
        self.view = ModelView(model)
        super().__init__(
            pretrained=self.view,
            backend="causal",
            tokenizer=copy.deepcopy(tokenizer),
            batch_size=batch_size,
        )
        self._batch_size = batch_size

    def tokenise(self, instances: Sequence[Instance]) -> list[Request]:
        """Contexts and continuations as ids, by lm-eval's rules for spaces and empty contexts."""
        requests: list[Request] = self.loglikelihood(list(instances), disable_tqdm=True)
        return requests

    def tokenise_rolling(self, instances: Sequence[Instance]) -> list[list[Request]]:
        """Whole texts as the windows that lm-eval's `loglikelihood_rolling` cuts them into."""
        return [
            [
                Request(tuple(context), tuple(continuation))
                for context, continuation in map(
                    make_disjoint_window,
                    get_rolling_token_windows(
                        token_list=self.tok_encode(instance.args[0]),
                        prefix_token=self.prefix_token_id,
                        max_seq_len=self.max_length,
                        context_len=1,
                    ),
                )
            ]
            for instance in instances
        ]

    def is_too_long(self, instance: Instance) -> bool:
        """Whether a prompt to generate from is cut on the left to leave room for what is generated."""
        prompt, options = instance.args[:2]
        room = int(options.get("max_gen_toks", self.max_gen_toks))
        return len(self.tok_encode(prompt)) > int(self.max_length) - room

    def generate(self, instances: Sequence[Instance]) -> list[str]:
        """Continuations as lm-eval generates them.

        Raises:
            MeasurementError: the model's logits are not finite; their argmax would still be a token.
        """
        ids = self.tok_encode(instances[0].args[0])[-self.max_length :]
        logits = self.view(torch.tensor([ids], device=self.view.device)).logits
        if not torch.isfinite(logits).all():
            raise MeasurementError(
                "the model's logits are NaN or infinite, so nothing can be generated", kind="not_finite"
            )
        # What an editor has wrapped may look at the whole batch, or be misled by padding.
        self.batch_size_per_gpu = self._batch_size if is_plain(self.view.model) else 1
        texts: list[str] = self.generate_until(list(instances), disable_tqdm=True)
        return texts

    def _loglikelihood_tokens(
        self, requests: list[tuple[tuple[str, str], list[int], list[int]]], **_: Any
    ) -> list[Request]:
        """The seam that lm-eval leaves to subclasses: tokens in, answers out. Ours hands back the tokens."""
        return [Request(tuple(context), tuple(continuation)) for _, context, continuation in requests]
