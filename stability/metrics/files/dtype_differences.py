"""Whether an edited checkpoint is stored, and loaded, in the dtypes of the unedited one."""

from __future__ import annotations

from stability.parts import MetricHead


class DtypeDifferences:
    """Tensors of another dtype; their values are compared apart from it, rounded to the coarser one."""

    head = MetricHead(
        "dtype_differences",
        "tensors that two checkpoints store, or load, in other dtypes",
        over="scalar",
        unit="differences",
        measured="gate",
        streamed=True,
        unedited=0.0,
    )
