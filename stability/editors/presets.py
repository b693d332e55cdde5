"""Settings that are known to work, by editor and model: one YAML file an editor in the folder `presets`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(__file__).parent / "presets"


def load_presets(editor: str) -> dict[str, dict[str, Any]]:
    """The editor's presets by model name; empty if it has none."""
    file = FOLDER / f"{editor}.yaml"
    if not file.is_file():
        return {}
    presets: dict[str, dict[str, Any]] = yaml.safe_load(file.read_text(encoding="utf-8"))
    return presets


def preset(editor: str, model: str) -> dict[str, Any]:
    """The preset for a model; a hub name or a folder stands for its last part, and case does not count."""
    wanted = Path(model).name.lower()
    return next((found for name, found in load_presets(editor).items() if name.lower() == wanted), {})
