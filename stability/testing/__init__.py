"""The conformance kit: named checks that say whether an editor keeps to what the harness expects of one.

    from stability.testing import check_editor

    check_editor("./my_editor.py:edit")

Nothing heavy is imported until a check is made. Hypothesis strategies are in `stability.testing.strategies`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from stability.lazy import attributes_from

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


__getattr__ = attributes_from(__name__, {"stability.testing.conformance": tuple(__all__)})


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
