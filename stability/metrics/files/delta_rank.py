"""How many directions every weight matrix has moved in."""

from __future__ import annotations

from stability.parts import MetricHead


class DeltaRank:
    """The number of singular values of W - W0 that rounding cannot account for; 0 without a change."""

    head = MetricHead(
        "delta_rank",
        "rank of each matrix's change above the rounding of its dtype; 256 stands for more, too",
        over="matrix",
        measured="gate",
        streamed=True,
        unedited=0.0,
        largest=256.0,
    )
