"""Record and suite in, verdicts out. Needs neither torch nor a model."""

from stability.judge.baseline import differences, edits_up_to
from stability.judge.inputs import Baseline
from stability.judge.judging import judge
from stability.judge.verdict import (
    WORST_FIRST,
    Bracket,
    EditorJudgement,
    Judgement,
    NoiseFigures,
    Point,
    RunSummary,
    SeedVerdict,
    Status,
    Verdict,
    WorstValue,
)
from stability.record import runs_by_editor

__all__ = [
    "WORST_FIRST",
    "Baseline",
    "Bracket",
    "EditorJudgement",
    "Judgement",
    "NoiseFigures",
    "Point",
    "RunSummary",
    "SeedVerdict",
    "Status",
    "Verdict",
    "WorstValue",
    "differences",
    "edits_up_to",
    "judge",
    "runs_by_editor",
]
