"""Two checkpoints compared on disk, in bounded memory: their weights, configurations and tokenizers."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from stability.gate.files.configs import config_differences
from stability.gate.files.folder import open_folder
from stability.gate.files.layout import Layout, lay_out
from stability.gate.files.tokenizers import tokenizer_differences
from stability.gate.weights.adapter import merged
from stability.gate.weights.compare import WeightDifferences, compare
from stability.gate.weights.readings import base_readings, edited_readings
from stability.record import Reading
from stability.run.listener import Listener


@dataclass(frozen=True)
class DiskComparison:
    """What the files of two checkpoints say of each other, and the seconds that comparing them took.

    `config` has both values of each key that differs.
    """

    base: Layout
    edited: Layout
    weights: WeightDifferences
    config: Mapping[str, tuple[Any, Any]]
    tokenizer: tuple[str, ...]
    seconds: float

    @property
    def base_readings(self) -> dict[str, Reading]:
        """What the base's files give."""
        return base_readings(self.base, self.weights)

    @property
    def edited_readings(self) -> dict[str, Reading]:
        """What the edited one's files give."""
        return edited_readings(self.base, self.edited, self.weights, self.config, self.tokenizer)

    @property
    def nonfinite(self) -> int:
        """How many of the edited weights that were read are NaN or infinite."""
        return self.weights.nonfinite + sum(change.nonfinite for change in self.weights.changes.values())

    def reading(self) -> dict[str, Any]:
        """What the edited weights were read from, where that is not one file or its shards alone."""
        folder = self.edited.folder
        said = {
            "adapter": folder.adapter and str(folder.adapter),
            "over": folder.adapter and str(folder.path),
        }
        return {key: value for key, value in {**said, "unread": list(folder.unread)}.items() if value}

    def differences(self) -> dict[str, Any]:
        """Every difference that is not one of values, in full; kinds that there are none of are left out."""
        weights = self.weights
        kinds = {
            "missing": list(weights.missing),
            "extra": list(weights.extra),
            "unused": list(weights.unused),
            "reshaped": {name: [list(was), list(now)] for name, (was, now) in weights.reshaped.items()},
            "retyped": {name: list(pair) for name, pair in weights.retyped.items()},
            "config": {key: list(pair) for key, pair in self.config.items()},
            "tokenizer": list(self.tokenizer),
        }
        return {kind: found for kind, found in kinds.items() if found}


def compare_on_disk(base: str, edited: str, listener: Listener) -> DiskComparison:
    """Compare two folders; `world` is the built-in model's.

    Raises:
        ModelError: a folder or file is missing, cut short, a pickle, or of an unknown architecture.
    """
    started = time.perf_counter()
    listener.stage("reading headers")
    before = merged(lay_out(open_folder(base)))
    now = merged(lay_out(open_folder(edited, before.folder)))
    config = config_differences(before.folder, now.folder)
    tokenizer = tokenizer_differences(before.folder.tokenizer, now.folder.tokenizer)
    listener.stage("comparing weights")
    weights = compare(before, now)
    return DiskComparison(before, now, weights, config, tuple(tokenizer), time.perf_counter() - started)
