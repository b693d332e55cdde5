"""The conformance kit: named checks that say whether an editor keeps to what the harness expects of one.

    from stability.testing import check_editor

    check_editor("./my_editor.py:edit")

Nothing heavy is imported until a check is made. Hypothesis strategies are in `stability.testing.strategies`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stability.testing.conformance import (
        Conformance,
        ConformanceFailure,
        check_editor,
        editor_checks,
        parametrize_editor_checks,
    )

__all__ = [
    "Conformance",
    "ConformanceFailure",
    "check_editor",
    "editor_checks",
    "parametrize_editor_checks",
]


def __getattr__(name: str) -> Any:
    """Import a public name's module when the name is first used (PEP 562)."""
    if name in __all__:
        return getattr(import_module("stability.testing.conformance"), name)
    raise AttributeError(f"module 'stability.testing' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
