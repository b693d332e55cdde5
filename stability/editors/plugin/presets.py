"""Settings that are known to work, by editor and model: one YAML file per editor in the folder `presets`."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import yaml

log = logging.getLogger(__name__)

FOLDER = Path(__file__).parents[1] / "presets"
ANY = "any"  # the entry for models without one of their own; its layers are shares of the depth


def load_presets(editor: str) -> dict[str, dict[str, Any]]:
    """The editor's presets by model name; empty if it has none."""
    presets = _read(editor)
    presets.pop(ANY, None)
    return presets


def preset(editor: str, model: str, depth: int | None = None) -> dict[str, Any]:
    """The preset for a model, found by the last part of its hub name or folder, ignoring case.

    If the model has no preset, but its depth (the number of blocks) is known, layers are chosen at the same
    share of the depth as in the models of the literature.
    """
    wanted = Path(model).name.lower()
    presets = _read(editor)
    general = presets.pop(ANY, None)
    for name, found in presets.items():
        if name.lower() == wanted:
            return found
    if general is None or depth is None:
        return {}
    layers = layers_at(general["layers"], depth)
    log.warning("%s has no preset for %s; it edits layers %s, by the model's depth", editor, model, layers)
    return {**general, "layers": layers}


def layers_at(share: dict[str, float], depth: int) -> list[int]:
    """The blocks from the share `from` of the depth to the share `to`, both included."""
    first, last = (min(int(share[end] * depth), depth - 1) for end in ("from", "to"))
    return list(range(first, last + 1))


def _read(editor: str) -> dict[str, dict[str, Any]]:
    file = FOLDER / f"{editor}.yaml"
    if not file.is_file():
        return {}
    presets: dict[str, dict[str, Any]] = yaml.safe_load(file.read_text(encoding="utf-8"))
    return presets
