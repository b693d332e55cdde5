"""Baselines: records of earlier versions of an editor, kept beside the suite and committed with it.

suites/smoke.stability.yaml
suites/baselines/smoke/rome@world.json      one file for a suite, an editor and a model
"""

from stability.baselines.file import read_baseline, write_baseline
from stability.baselines.keep import Kept, keep, refusal
from stability.baselines.paths import baseline_path, baselines_folder
from stability.baselines.search import baselines_for, is_compared

__all__ = [
    "Kept",
    "baseline_path",
    "baselines_folder",
    "baselines_for",
    "is_compared",
    "keep",
    "read_baseline",
    "refusal",
    "write_baseline",
]
