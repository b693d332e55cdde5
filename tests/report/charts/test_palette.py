"""The colours, to normal and to colour-blind eyes, computed from their definitions."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import numpy as np
import pytest

from stability.report.charts.palette import COLOURS, DARK, DASHES, LIGHT, RAMP, SHADES, category, ramp

GROUNDS = {"light": "#ffffff", "dark": "#1b1f25"}
PALETTES = {"light": LIGHT, "dark": DARK}
EYES = {  # Machado, Oliveira & Fernandes 2009, severity 1, on linear RGB
    "normal": np.eye(3),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "tritanopia": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]
    ),
}
TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
WHITE = np.array([0.9505, 1.0, 1.089])


def linear(colour: str) -> np.ndarray:
    encoded = np.array([int(colour[start : start + 2], 16) for start in (1, 3, 5)]) / 255
    return np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)


def cielab(rgb: np.ndarray) -> np.ndarray:
    relative = TO_XYZ @ np.clip(rgb, 0, 1) / WHITE
    root = np.where(relative > (6 / 29) ** 3, np.cbrt(relative), relative / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.array([116 * root[1] - 16, 500 * (root[0] - root[1]), 200 * (root[1] - root[2])])


def contrast(one: str, other: str) -> float:
    """WCAG's ratio of two colours' luminances."""
    darker, lighter = sorted(float(TO_XYZ[1] @ linear(colour)) for colour in (one, other))
    return (lighter + 0.05) / (darker + 0.05)


def lightness(palette: Mapping[str, str], letter: str, count: int) -> list[float]:
    return [float(cielab(linear(palette[f"{letter}{index}"]))[0]) for index in range(count)]


@pytest.mark.parametrize("eyes", EYES)
@pytest.mark.parametrize("ground", PALETTES)
def test_any_two_categories_are_told_apart(ground: str, eyes: str) -> None:
    seen = [cielab(EYES[eyes] @ linear(PALETTES[ground][f"c{index}"])) for index in range(COLOURS)]
    assert min(np.linalg.norm(one - other) for one, other in itertools.combinations(seen, 2)) >= 25


@pytest.mark.parametrize("ground", PALETTES)
def test_lines_stand_out_from_their_ground(ground: str) -> None:
    palette = PALETTES[ground]
    lines = [*(f"c{index}" for index in range(COLOURS)), *(f"r{index}" for index in range(RAMP)), "other"]
    for name in lines:
        assert contrast(palette[name], GROUNDS[ground]) >= 3, name
    for name in ("ink", "quiet", "fail"):
        assert contrast(palette[name], GROUNDS[ground]) >= 4.5, name


@pytest.mark.parametrize("ground", PALETTES)
def test_ramps_run_one_way_in_lightness(ground: str) -> None:
    away = -1 if ground == "light" else 1  # from the ground
    for letter, count in (("r", RAMP), ("h", SHADES)):
        steps = np.diff(lightness(PALETTES[ground], letter, count)) * away
        assert (steps > 0).all()


def test_both_grounds_have_the_same_styles() -> None:
    assert LIGHT.keys() == DARK.keys()


def test_categories_are_colours_then_dashes_then_all_the_rest() -> None:
    styles = [category(index) for index in range(COLOURS * DASHES)]
    assert len(set(styles)) == len(styles)
    assert styles[0] == "c0"
    assert styles[COLOURS] == "c0 d1"
    assert category(COLOURS * DASHES) == "other"


def test_the_first_checkpoint_and_the_last_are_the_ends_of_the_ramp() -> None:
    assert (ramp(0, 5), ramp(4, 5)) == ("r0", f"r{RAMP - 1}")
    assert ramp(0, 1) == f"r{RAMP - 1}"
