"""Edit a language model N times, measure whether it is still whole, and judge that against a suite.

    from stability import Suite

    report = Suite.load("suites/smoke.stability.yaml").run(editor="rome")
    report.raise_for_failures()

Importing this package imports neither torch nor transformers; what needs them brings them when it is used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stability.api import Report, StabilityFailure, Suite
    from stability.edits import Edit
    from stability.errors import StabilityError
    from stability.gate.guard import Bisection, Decision, Guard
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
    "read_record",
]

_HOMES = {
    "Bisection": "stability.gate.guard",
    "Decision": "stability.gate.guard",
    "Edit": "stability.edits",
    "Guard": "stability.gate.guard",
    "Record": "stability.record",
    "Report": "stability.api",
    "StabilityError": "stability.errors",
    "StabilityFailure": "stability.api",
    "Suite": "stability.api",
    "read_record": "stability.record",
}


def __getattr__(name: str) -> Any:
    """Import a public name's module when the name is first used (PEP 562)."""
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'stability' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
