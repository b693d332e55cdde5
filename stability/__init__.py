"""Edit a language model N times, measure whether it is still whole, and judge that against a suite.

    from stability import Suite

    report = Suite.load("suites/smoke.stability.yaml").run(editor="rome")
    report.raise_for_failures()

Importing this package imports neither torch nor transformers; what needs them brings them when it is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from stability.lazy import attributes_from

if TYPE_CHECKING:
    from stability.api import Report, StabilityFailure, Suite, load_kept
    from stability.data.edits import Edit
    from stability.errors import StabilityError
    from stability.guard.guard import Bisection, Decision, Guard
    from stability.record import Record, read_record

__all__ = [
    "Bisection",
    "Decision",
    "Edit",
    "Guard",
    "Record",
    "Report",
    "StabilityError",
    "StabilityFailure",
    "Suite",
    "load_kept",
    "read_record",
]

__getattr__ = attributes_from(
    __name__,
    {
        "stability.api": ("Report", "StabilityFailure", "Suite", "load_kept"),
        "stability.data.edits": ("Edit",),
        "stability.errors": ("StabilityError",),
        "stability.guard.guard": ("Bisection", "Decision", "Guard"),
        "stability.record": ("Record", "read_record"),
    },
)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
