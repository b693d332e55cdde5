"""Heads: each built-in part has one, in a file that can be imported without anything heavy."""

from __future__ import annotations

import subprocess
import sys

import pytest

from stability.metrics import Metric
from stability.parts import METRICS

FIND_METRICS = """
import sys
from stability.parts import METRICS
from stability.metrics import Context, Metric, find_metric
assert find_metric("weight_norm").head.over == "matrix"
print(len(METRICS.built_in()), [name for name in sys.argv[1:] if name in sys.modules])
"""
HEAVY = ("torch", "transformers", "lm_eval", "datasets", "peft", "sklearn", "scipy", "pandas", "numpy")


def test_all_metrics_are_found_without_torch() -> None:
    done = subprocess.run(
        [sys.executable, "-c", FIND_METRICS, *HEAVY], capture_output=True, text=True, check=True
    )
    assert done.stdout == f"{len(METRICS.built_in())} []\n"


@pytest.mark.parametrize("name", METRICS.built_in())
def test_a_metric_says_what_it_is_in_a_line(name: str) -> None:
    part = METRICS.built_in()[name]
    assert part.head.name == name
    assert part.head.summary
    assert not part.head.summary.endswith(".")
    assert part.made.__doc__
    assert issubclass(part.made, Metric) == (part.head.measured == "run")
