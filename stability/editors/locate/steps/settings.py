"""The settings that locating editors share; names as in the published configurations where those have one."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from stability.editors.plugin.protocol import EditorSettings, Layers


class ValueSettings(EditorSettings):
    """Settings of the search for v*; names as in the published configurations of ROME, MEMIT and ENCORE."""

    v_num_grad_steps: int = Field(20, ge=1)  # evaluations of the loss; the last is not followed by an update
    v_lr: float = Field(0.5, gt=0)
    v_weight_decay: float = Field(0.5, ge=0)
    v_stop_loss: float = Field(0.05, ge=0)
    clamp_norm_factor: float = Field(4.0, gt=0)
    kl_factor: float = Field(0.0625, ge=0)
    prob_cutoff: int | None = Field(None, ge=1)  # most-probable early stopping: number of steps in a row
    early_stop: Literal["strict", "original"] = "strict"  # original: as ENCORE's authors' code counts steps


class CovarianceSettings(EditorSettings):
    """Settings of the covariance; names as in the published configurations where those have one."""

    mom2_adjustment: bool = True  # false: the identity is used instead of C
    mom2_dataset: str = "wikitext"
    mom2_path: str | None = None  # a text file, instead of a named source
    mom2_n_tokens: int = Field(100_000, ge=2)
    mom2_ridge: float = Field(0.0, ge=0)  # added to C's diagonal, in multiples of the diagonal's mean


class SpreadingSettings(ValueSettings, CovarianceSettings):
    """Settings that MEMIT's family shares; names as in its published configurations where those have one."""

    layers: Layers
    fact_token: Literal["subject_last"] = "subject_last"
    context_template_length_params: tuple[tuple[int, int], ...] = ((10, 5),)  # (length, count)
    clamp_norm_factor: float = Field(0.75, gt=0)
    v_batch: int = Field(16, ge=1)  # number of edits whose values are searched at once
    anchor_samples: int = Field(0, ge=0)  # number of requests for the norm anchor; 0: no anchor
    anchor_source: str = "counterfact"
    anchor_path: str | None = None  # a file of edits, instead of a named source
    anchor_seed: int = 0
