"""An experiment's suite on one of the paper's models: the same text, but for the model and its numbers."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
SUITES = ROOT / "suites" / "paper"
EXPERIMENTS = tuple(sorted(file.name.removesuffix(".stability.yaml") for file in SUITES.glob("*.yaml")))


def models() -> dict[str, dict[str, Any]]:
    """The paper's models by the name of a twin: `model`, as the hub has it, and `numbers` by experiment."""
    found: dict[str, dict[str, Any]] = yaml.safe_load(
        Path(__file__).with_name("twins.yaml").read_text(encoding="utf-8")
    )
    return found


def suite_file(experiment: str) -> Path:
    """The suite of an experiment on smollm2."""
    return SUITES / f"{experiment}.stability.yaml"


def twin(experiment: str, name: str) -> str:
    """The text of an experiment's suite on the model of that name."""
    model = models()[name]
    text = suite_file(experiment).read_text(encoding="utf-8")
    text = _replaced(text, r"^model: .*$", f"model: {model['model']}")
    text = _replaced(text, r"^name: (.*)$", rf"name: \1-{name}")
    for key, value in model["numbers"].get(experiment, {}).items():
        shown = yaml.safe_dump(value, default_flow_style=True).splitlines()[0]
        text = _replaced(text, rf"\b{key}: (\d+|\[[^]]*\])", f"{key}: {shown}")
    first, _, rest = text.partition("\n")
    lines = rest[rest.index("schema: 1") :]
    return f"{first}\n#\n# As suites/paper/{experiment}.stability.yaml, on {model['model']}.\n{lines}"


def _replaced(text: str, pattern: str, new: str) -> str:
    """The text with the first place that the pattern fits replaced; there has to be one."""
    text, times = re.subn(pattern, new, text, count=1, flags=re.MULTILINE)
    if not times:
        raise ValueError(f"nothing in the suite reads {pattern}")
    return text
