"""The shades of a heat map."""

from __future__ import annotations

import math

from stability.report.charts.palette import SHADES

LEFT_OUT = "left-out"


def shade(loss: float) -> str:
    """The style of a loss between 0 and 1."""
    if not math.isfinite(loss):
        return LEFT_OUT
    return f"h{min(SHADES - 1, max(0, math.floor(loss * SHADES)))}"
