"""Series for figures, as recorded: figures only compute ratios and differences."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from stability.judge import EditorJudgement, Verdict
from stability.record import Checkpoint, Matrix, Record, Run
from stability.suite import parse_bound

Points = list[tuple[float, float]]


@dataclass(frozen=True)
class EditorRuns:
    """What one editor's figures show: its runs, and their judgement."""

    record: Record
    judgement: EditorJudgement
    runs: Sequence[Run]

    @property
    def shown(self) -> Run:
        """The run that failed first; if none failed, the one that warned first, or else the first run."""
        broken = [
            (verdict.severity == "warn", seed.failed_at, place, seed.seed)
            for verdict in self.judgement.verdicts
            for place, seed in enumerate(verdict.seeds)
            if seed.failed_at is not None
        ]
        worst = min(broken)[-1] if broken else None
        return next((run for run in self.runs if run.seed == worst), self.runs[0])

    @property
    def edited(self) -> list[Matrix]:
        """The matrices that any of the runs changed, in the order of the model."""
        changed = frozenset[str]().union(*(run.edited for run in self.runs))
        return [matrix for matrix in self.record.model.matrices if matrix.name in changed]

    def verdicts(self, metric: str) -> list[Verdict]:
        """The verdicts on a metric."""
        return [verdict for verdict in self.judgement.verdicts if verdict.metric == metric]

    def thresholds(self, metric: str, relative_to: str | None) -> list[float]:
        """The ends of a suite's bounds on a metric, for checks with this comparison."""
        bounds = [verdict.bound for verdict in self.verdicts(metric) if verdict.relative_to == relative_to]
        return sorted({end for bound in bounds for end in bound_ends(bound)})


def bound_ends(bound: str) -> list[float]:
    """The finite ends of a bound in the suite's words: one for `<= 2.0`, two for `between 0.6 and 1.67`."""
    parsed = parse_bound(bound)
    return sorted({end for end in (parsed.low, parsed.high) if math.isfinite(end)})


def values(checkpoint: Checkpoint, metric: str) -> Mapping[str, float]:
    """A metric's values at a checkpoint; empty if it was not measured."""
    reading = checkpoint.readings.get(metric)
    return reading.values if reading else {}


def over_edits(run: Run, base: Checkpoint, metric: str, key: str) -> Points:
    """One value of a metric over the edits, with the unedited model's if it was measured."""
    points: Points = [(0, values(base, metric).get(key, math.nan))]
    points += [(point.edits, values(point, metric).get(key, math.nan)) for point in run.checkpoints]
    return points if math.isfinite(points[0][1]) else points[1:]


def ratios(points: Points, reference: float) -> Points:
    """The points divided by a reference; none if the reference is 0 or not finite."""
    if reference == 0 or not math.isfinite(reference):
        return []
    return [(edits, value / reference) for edits, value in points]


def by_layer(checkpoint: Checkpoint, base: Checkpoint, metric: str) -> Points:
    """A metric's ratio to the unedited model, layer by layer."""
    before = values(base, metric)
    return [
        (int(layer), value / before[layer])
        for layer, value in sorted(values(checkpoint, metric).items(), key=lambda item: int(item[0]))
        if before.get(layer)
    ]
