"""The settings of MEND, and of its training."""

from __future__ import annotations

from pydantic import Field

from stability.editors.plugin.protocol import EditorSettings, Layers
from stability.editors.steps.selection import Matrices


class MendTrainingSettings(EditorSettings):
    """The hypernetwork and its training; names as in the published configurations."""

    layers: Layers
    matrices: Matrices | None = None  # None: all of the MLP
    rank: int = Field(1920, ge=1)
    edit_lr: float = Field(1e-4, gt=0)  # α at the start
    lr: float = Field(1e-6, gt=0)
    lr_lr: float = Field(1e-4, gt=0)  # of log α
    final_rate: float = Field(1.0, ge=0, le=1)  # both rates fall to this share of themselves, linearly
    cedit: float = Field(0.1, gt=0)
    cloc: float = Field(1.0, ge=0)
    grad_clip: float = Field(100.0, gt=0)
    num_steps: int = Field(100_000, ge=1)
    batch_size: int = Field(10, ge=1)  # edits in a step, each made separately
    sequence: int = Field(1, ge=1)  # number of steps before training starts again from the unedited model
    seed: int = Field(0, ge=0)

    train_edits: str = "zsre"
    train_edits_path: str | None = None  # a file, instead of a named source
    train_edits_count: int = Field(1000, ge=1)
    locality_dataset: str = "wikitext"
    locality_path: str | None = None  # a text file, instead of a named source
    locality_tokens: int = Field(100_000, ge=2)
    locality_window: int = Field(128, ge=2)  # tokens; one window is read after each edit


class MendSettings(MendTrainingSettings):
    """Settings of MEND: those of its training, and the file of an already trained hypernetwork."""

    pretrained: str | None = None  # a file written by `stability.editors.mend.steps.training`
