"""How long a checkpoint takes to measure."""

from __future__ import annotations

from stability.parts import MetricHead


class MeasureSeconds:
    """Seconds from the first to the last of the checkpoint's measurements."""

    head = MetricHead(
        "measure_seconds",
        "seconds that the checkpoint's measurements took",
        over="scalar",
        unit="s",
        measured="clock",
    )
