"""The names that a check may use for its metric, without importing what measures them.

A metric is a file of its name in `stability/metrics`; a file whose name begins with an underscore is not one.
"""

from __future__ import annotations

import pkgutil
from pathlib import Path

COSTS = {
    "edit_seconds": "seconds that an edit took, on average",
    "measure_seconds": "seconds that the checkpoint's measurements took",
    "peak_memory": "the most memory that the process has held so far, in MiB",
}


def metric_names() -> tuple[str, ...]:
    """Every name that a check's `metric` may have, sorted."""
    folder = Path(__file__).parent / "metrics"
    modules = (
        module.name
        for module in pkgutil.iter_modules([str(folder)])
        if not module.ispkg and not module.name.startswith("_")
    )
    return tuple(sorted([*modules, *COSTS]))
