"""Every number that makes the built-in model: its size, its initialisation and its training."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Recipe:
    """How the model is built and trained.

    Three choices make facts editable rather than merely known. Large MLP weights at the start (`std_*`) keep
    the change that one edit needs small beside the matrix. Answers weigh more in the loss than the words
    around them, which no one could foresee. And in most batches the first `name_blind_layers` may not look at
    a name from outside of it, so that what is known of a person must pass through the residual stream at the
    last token of the name, where editors write.
    """

    layers: int = 8
    width: int = 96
    heads: int = 4
    mlp_width: int = 1024
    context: int = 128
    std_wte: float = 0.3
    std_mlp_in: float = 0.15
    std_mlp_out: float = 0.04

    steps: int = 1600
    rows: int = 16
    learning_rate: float = 2e-3
    warmup: int = 100
    final_rate: float = 0.02
    clip: float = 1.0
    answer_weight: float = 5.0
    other_weight: float = 0.3
    opening_steps: int = 130
    opening_subjects: int = 40
    name_blind_layers: int = 3
    name_blind_share: float = 0.9
