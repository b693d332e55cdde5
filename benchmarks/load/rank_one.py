"""A cheap editor for long runs: each edit adds a rank-one matrix and takes away an earlier one's share."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import nn

from stability.data.edits import Edit

LAYERS = (3, 4)
SIZE = 1e-3  # of an edit's change, of a weight's size
PAGE = os.sysconf("SC_PAGE_SIZE")


class RankOne:
    """Adds a small random rank-one matrix to one of two matrices; the weights stay as large as they were.

    It reports, of each edit, the memory of its process and the processor's time since the edit before.
    """

    def __init__(self) -> None:
        self._made = 0
        self._at = time.process_time()

    def edit(self, model: nn.Module, tokenizer: object, edits: Sequence[Edit]) -> None:
        """Edit in place."""
        for _ in edits:
            weight = model.get_parameter(f"transformer.h.{LAYERS[self._made % 2]}.mlp.c_proj.weight")
            size = weight.norm()  # []
            change = torch.outer(torch.randn(weight.shape[0]), torch.randn(weight.shape[1]))  # as the weight
            weight.add_(change, alpha=float(SIZE * size / change.norm()))
            weight.mul_(size / weight.norm())
            self._made += 1

    def report(self) -> dict[str, list[float]]:
        """The process's resident memory in MiB, and seconds of the processor since the last edit."""
        before, self._at = self._at, time.process_time()
        return {"resident_mib": [resident()], "seconds": [self._at - before]}


def resident() -> float:
    """The resident memory of this process, in MiB."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * PAGE / 2**20
