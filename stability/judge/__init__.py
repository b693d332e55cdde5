"""Record and suite in, verdicts out. Needs neither torch nor a model."""

from stability.judge.compare.baseline import Baseline, differences, edits_up_to
from stability.judge.judging import judge
from stability.judge.verdict import (
    WORST_FIRST,
    EditorJudgement,
    Judgement,
    Point,
    RunSummary,
    SeedVerdict,
    Status,
    Verdict,
)
from stability.record import runs_by_editor

__all__ = [
    "WORST_FIRST",
    "Baseline",
    "EditorJudgement",
    "Judgement",
    "Point",
    "RunSummary",
    "SeedVerdict",
    "Status",
    "Verdict",
    "differences",
    "edits_up_to",
    "judge",
    "runs_by_editor",
]
