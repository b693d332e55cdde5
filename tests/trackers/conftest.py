from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from stability.judge import Judgement, judge
from stability.record import Record
from stability.trackers import TrackedRun, tracked_runs

HOSTILE = "../a/<b>\x1b[2J\x00\u202e%:?#=\n" + "x" * 300


@pytest.fixture(scope="session")
def judged(records: ModuleType) -> Callable[..., tuple[Record, Judgement]]:
    """A record of whole runs and its judgement by a gate suite; further keys are the record's."""

    def make(*runs: Any, **more: Any) -> tuple[Record, Judgement]:
        base, memit = records.whole_run()
        record = records.record(
            more.pop("base", base),
            runs or [memit],
            **{"versions": {"torch": "2.9"}, "started": "2026-01-02T03:04:05+00:00", **more},
        )
        suite = records.suite(records.GATE, may_change="{layers: [1, 2, 3], matrices: [mlp_out]}")
        return record, judge(suite, record)

    return make


@pytest.fixture(scope="session")
def two_runs(records: ModuleType, judged: Callable[..., tuple[Record, Judgement]]) -> list[TrackedRun]:
    """Two seeds of an editor, of which the first fails checks."""
    _, first = records.whole_run()
    _, second = records.whole_run(seed=1, growth=0.001)
    return tracked_runs(*judged(first, second))


@pytest.fixture(scope="session")
def hostile(records: ModuleType, judged: Callable[..., tuple[Record, Judgement]]) -> TrackedRun:
    """A run with a path, markup and control characters in every name that a stranger can choose."""
    base, run = records.whole_run(at=(20, 40))
    points = []
    for point in (base, *run.checkpoints):
        score = point.readings["task_score"]
        tasks = {**score.tasks, HOSTILE: score.tasks["choice"], HOSTILE.upper(): score.tasks["choice"]}
        readings = {**point.readings, "task_score": records.tasks(tasks), HOSTILE: records.scalar(1.0)}
        readings |= {"": records.scalar(2.0), "..": records.scalar(float("inf"))}
        points.append(
            point.model_copy(update={"readings": readings, "costs": {HOSTILE: records.scalar(1.0)}})
        )
    names = {
        "editor": run.editor.model_copy(
            update={
                "name": HOSTILE,
                "settings": {
                    HOSTILE: {HOSTILE: [HOSTILE]},
                    "": float("nan"),
                    ".": None,
                    "a" * 9000: "b" * 9000,
                },
                "source": HOSTILE,
            }
        ),
        "checkpoints": tuple(points[1:]),
        "error": records.poor(HOSTILE),
        "status": "failed",
        "failed_at": 20,
        "timing": {HOSTILE: float("inf")},
    }
    (tracked,) = tracked_runs(
        *judged(
            run.model_copy(update=names),
            base=points[0],
            suite_name=HOSTILE,
            versions={HOSTILE: HOSTILE},
            command=HOSTILE,
            started=HOSTILE,
        )
    )
    return tracked
