"""Whether an edited checkpoint holds the same tensors as the unedited one, their values aside."""

from __future__ import annotations

from stability.parts import MetricHead


class TensorDifferences:
    """Missing tensors of the base, tensors that it does not have, and those of another shape."""

    head = MetricHead(
        "tensor_differences",
        "tensors that one of two checkpoints lacks, or has in another shape",
        over="scalar",
        unit="differences",
        measured="gate",
        streamed=True,
        unedited=0.0,
    )
