"""The colours of the figures, by style: safe for colour-blind readers, on light and on dark backgrounds.

c0 to c5 are categories: any two differ by at least 25 in CIELAB, for normal vision and under simulated
protanopia, deuteranopia and tritanopia (Machado, Oliveira & Fernandes 2009), and each has a contrast of at
least 3:1 with its background. r0 to r7 are checkpoints from the first to the last, h0 to h9 a loss from none
to all: the lightness of both is monotonic, so that they can be read in grey. d0 to d3 are dash patterns, for
when there are more lines than colours.
"""

from __future__ import annotations

COLOURS = 6
DASHES = 4
RAMP = 8
SHADES = 10

LIGHT = {
    "c0": "#0070b3", "c1": "#db6e00", "c2": "#8c1aff", "c3": "#750049", "c4": "#4c3900", "c5": "#c07f59",
    "other": "#8b929c",
    "r0": "#c77d15", "r1": "#c6662b", "r2": "#c04f3f", "r3": "#b33a54",
    "r4": "#9f2969", "r5": "#851d7c", "r6": "#671588", "r7": "#43138a",
    "h0": "#eef1f4", "h1": "#dde5ee", "h2": "#c6d6e6", "h3": "#abc5dd", "h4": "#8eb2d2",
    "h5": "#709dc5", "h6": "#5487b5", "h7": "#3a70a2", "h8": "#245989", "h9": "#12406b",
    "fail": "#b3261e", "ink": "#1d2127", "quiet": "#5c6470", "grid": "#e7e9ec",
}  # fmt: skip
DARK = {
    "c0": "#5ab2e7", "c1": "#ff8942", "c2": "#c7eeba", "c3": "#db0052", "c4": "#ffe005", "c5": "#a105ff",
    "other": "#6d7580",
    "r0": "#915fe9", "r1": "#ae65ec", "r2": "#cb6de7", "r3": "#e777d5",
    "r4": "#fb86bd", "r5": "#ff99a1", "r6": "#ffaf88", "r7": "#ffc772",
    "h0": "#232930", "h1": "#24333f", "h2": "#274050", "h3": "#2b4f64", "h4": "#31607a",
    "h5": "#3b7391", "h6": "#4a88a8", "h7": "#64a0be", "h8": "#8abbd2", "h9": "#bcdae7",
    "fail": "#ff8a80", "ink": "#e8eaed", "quiet": "#a3abb6", "grid": "#2a3038",
}  # fmt: skip
PATTERNS: dict[str, tuple[float, ...]] = {"d1": (6, 2.5), "d2": (1.5, 2.5), "d3": (7, 2.5, 1.5, 2.5)}
"""Lengths of dashes and gaps, in line widths; d0 is solid."""


def category(index: int) -> str:
    """The style of one of several categories: colours first, then dashes; `other` when both are used up."""
    if index >= COLOURS * DASHES:
        return "other"
    dash = index // COLOURS
    return f"c{index % COLOURS}" + (f" d{dash}" if dash else "")


def ramp(index: int, count: int) -> str:
    """The style of one of several checkpoints, spread over the whole ramp."""
    return f"r{RAMP - 1 if count == 1 else round(index * (RAMP - 1) / (count - 1))}"
