"""The names that a check may use for its metric, read off the sources: what measures them is not imported."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

COSTS = {
    "edit_seconds": "seconds that an edit took, on average",
    "measure_seconds": "seconds that the checkpoint's measurements took",
    "peak_memory": "the most memory that the process has held so far, in MiB",
}
GATE = {
    "tensor_differences": "tensors that one of two checkpoints lacks, or has in another shape or dtype",
    "config_differences": "keys in which the configurations of two checkpoints differ",
    "tokenizer_differences": "parts in which the tokenizers of two checkpoints differ",
    "delta_rank": "rank of each matrix's change above the rounding of its dtype; 256 stands for more, too",
}
"""What `stability gate` alone measures."""


@cache
def metric_names() -> tuple[str, ...]:
    """Every name that a check's `metric` may have, sorted: these, and those registered in `metrics`."""
    names = {*COSTS, *GATE}
    for file in (Path(__file__).parent / "metrics").rglob("*.py"):
        names.update(_registered(ast.parse(file.read_text(encoding="utf-8"))))
    return tuple(sorted(names))


def _registered(module: ast.Module) -> Iterator[str]:
    """The `name` of every class that is decorated with `@register`."""
    for item in module.body:
        if not isinstance(item, ast.ClassDef):
            continue
        if not any(isinstance(mark, ast.Name) and mark.id == "register" for mark in item.decorator_list):
            continue
        for line in item.body:
            targets = line.targets if isinstance(line, ast.Assign) else [getattr(line, "target", None)]
            called_name = any(isinstance(target, ast.Name) and target.id == "name" for target in targets)
            if called_name and isinstance(value := getattr(line, "value", None), ast.Constant):
                yield str(value.value)
