"""The editors of a trial: one that does what its setting names, and one that is sound."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict
from torch import nn
from torch.nn import functional

from stability.data.edits import Edit
from tools.hostile.acts import ACTS

ACTING = 2  # the edit at which a hostile editor acts


class SoundEditor:
    """One that uses what others may have spoilt: gradients, generators, the tokenizer, torch's settings."""

    def edit(self, model: nn.Module, tokenizer: Any, edits: Sequence[Edit]) -> Any:
        """Small steps along the gradient, by drawn lengths."""
        for edit in edits:
            learn(model, tokenizer, edit)

    def report(self) -> Mapping[str, list[float]]:
        """What the settings are."""
        return {"threads": [float(torch.get_num_threads())], "one": [float(torch.ones(()).element_size())]}


class HostileEditor(SoundEditor):
    """One that is sound until it acts."""

    class Settings(BaseModel):
        """Which act it is."""

        model_config = ConfigDict(extra="forbid")
        does: str

    def __init__(self, settings: Settings) -> None:
        self._act = ACTS[settings.does]
        self._made = 0
        self._seen: tuple[Any, ...] = ()

    def prepare(self, model: nn.Module, tokenizer: Any, store: object) -> None:
        """Act, if it is its moment."""
        if self._act.moment == "prepare":
            self._act.does(model, tokenizer, [])

    def edit(self, model: nn.Module, tokenizer: Any, edits: Sequence[Edit]) -> Any:
        """A sound edit, and at the second the act."""
        if self._made < ACTING:
            super().edit(model, tokenizer, edits)
        self._made += len(edits)
        self._seen = (model, tokenizer, edits)
        if self._act.moment == "edit" and self._made == ACTING:
            return self._act.does(model, tokenizer, edits)
        return None

    def report(self) -> Mapping[str, list[float]]:
        """As the sound one, if it is not the moment."""
        if self._act.moment == "report" and self._made == ACTING:
            self._act.does(*self._seen)
        return super().report()


def learn(model: Any, tokenizer: Any, edit: Edit) -> None:
    """A step along the gradient of an edit's target, in one matrix."""
    weight = model.transformer.h[1].mlp.c_proj.weight
    tokens = tokenizer(f"{edit.filled} {edit.target}", return_tensors="pt").input_ids
    drawn = random.random() + np.random.rand() + torch.rand(()).item()
    with torch.enable_grad():
        weight.requires_grad_(True)
        logits = model(input_ids=tokens).logits
        functional.cross_entropy(logits[0, :-1], tokens[0, 1:]).backward()
    with torch.no_grad():
        weight -= 0.01 * (1 + drawn) * weight.grad
    weight.grad = None
    weight.requires_grad_(False)
