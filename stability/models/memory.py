"""Running out of memory: told by the type of what was raised, never by its words."""

from __future__ import annotations

import torch

from stability.errors import ProblemKind


def kind_of(error: BaseException, otherwise: ProblemKind) -> ProblemKind:
    """`out_of_memory` for what Python or torch raises then; `otherwise` for any other exception."""
    return "out_of_memory" if isinstance(error, (MemoryError, torch.OutOfMemoryError)) else otherwise
