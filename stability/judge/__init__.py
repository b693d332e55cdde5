"""Record and suite in, verdicts out. Needs neither torch nor a model."""

from stability.judge.judging import judge, runs_by_editor
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

__all__ = [
    "WORST_FIRST",
    "EditorJudgement",
    "Judgement",
    "Point",
    "RunSummary",
    "SeedVerdict",
    "Status",
    "Verdict",
    "judge",
    "runs_by_editor",
]
