"""How much memory a run takes."""

from __future__ import annotations

from stability.parts import MetricHead


class PeakMemory:
    """The peak on the GPU where the process uses one, else in RAM; it never falls."""

    head = MetricHead(
        "peak_memory",
        "the most memory that the process has held so far, in MiB",
        over="scalar",
        unit="MiB",
        measured="clock",
    )
