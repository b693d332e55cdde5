"""A horizon as text."""

from __future__ import annotations

from typing import Any

from stability.record import EditorInfo
from stability.report.steps.horizon import horizon_text
from stability.run.horizon.search import EditorHorizon, Horizon, SeedHorizon


def shown(*seeds: SeedHorizon) -> list[str]:
    """The lines of a horizon with these seeds."""
    info = EditorInfo(name="ft", source="built-in", settings={})
    editors = (EditorHorizon(info, seeds),)
    content: dict[str, Any] = Horizon("norms", None, "world", "a", 40, 1, False, 80, {}, editors).as_dict()
    return [" ".join(line.split()) for line in horizon_text(content).plain.splitlines()]


def seed(number: int, at_least: int, edits: int, at_most: int | None) -> SeedHorizon:
    return SeedHorizon(number, edits, at_least, at_most, edits + 1, ("norm",), edits / 1024, 3, 9, 1, {})


def test_what_noise_leaves_open_stands_beside_the_number() -> None:
    lines = shown(seed(0, 7, 10, 12), seed(1, 2, 9, None))
    assert "median 9 [2, 12] N/d_k 0.00879" in lines
    assert "seed 1 9 [2, ...] N/d_k 0.00879 failed at 10: norm" in lines
    assert "[2, ...] the median of all orders of edits, at 50 %" in lines
    assert lines[-1].endswith("at a level that pays for 80 numbers of edits")


def test_a_horizon_without_noise_is_one_number() -> None:
    lines = shown(seed(0, 10, 10, 10))
    assert "median 10 N/d_k 0.00977" in lines
    assert not any("[" in line for line in lines)
