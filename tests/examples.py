"""How many examples a property test draws."""

from __future__ import annotations

from hypothesis import settings

USUAL = 100  # what a test without a number of its own draws in `make test`


def examples(count: int) -> int:
    """`count` in `make test`, and in the same proportion more where a profile of hypothesis asks for more."""
    return max(count * settings.default.max_examples // USUAL, 1)
