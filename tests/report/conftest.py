from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from stability.judge import Judgement, judge
from stability.record import Checkpoint, Record

MakeGate = Callable[..., tuple[Record, Judgement]]


@pytest.fixture(scope="session")
def gate(records: ModuleType) -> MakeGate:
    """A record of whole runs and its judgement by a gate suite; further keys are the record's."""

    def make(*runs: Any, **more: Any) -> tuple[Record, Judgement]:
        base, memit = records.whole_run()
        record = records.record(
            more.pop("base", base),
            runs or [memit],
            **{
                "suite_text": f"schema: 1\nname: norm-growth\nchecks:{records.GATE}",
                "versions": {"torch": "2.9", "transformers": "5.0"},
                "started": "2026-01-02T03:04:05+00:00",
                **more,
            },
        )
        suite = records.suite(records.GATE, may_change="{layers: [1, 2, 3], matrices: [mlp_out]}")
        return record, judge(suite, record)

    return make


HOSTILE = "<script>alert(1)</script>|`*_[x](javascript:1)\x1b[2J\x00\u202e@all &amp;"


def strange(records: ModuleType, point: Checkpoint) -> Checkpoint:
    """A checkpoint with strange reasons, and a strange task."""
    probes, tasks = point.readings["probe_accuracy"], point.readings["task_score"]
    result = tasks.tasks["choice"].model_copy(update={"metric": HOSTILE})
    readings = {
        **point.readings,
        "probe_accuracy": probes.model_copy(update={"left_out": {"0-7": records.poor(HOSTILE)}}),
        "task_score": records.tasks({**tasks.tasks, HOSTILE: result}),
    }
    readings.pop("kl_divergence")
    return point.model_copy(update={"readings": readings, "errors": {"kl_divergence": records.poor(HOSTILE)}})


@pytest.fixture(scope="session")
def hostile(records: ModuleType, gate: MakeGate) -> tuple[Record, Judgement]:
    """The same, with markup and control characters in every name that a stranger can choose."""
    base, run = records.whole_run(at=(20, 40))
    points = [strange(records, point) for point in (base, *run.checkpoints)]
    names = {
        "checkpoints": tuple(points[1:]),
        "editor": run.editor.model_copy(
            update={"name": HOSTILE, "settings": {HOSTILE: HOSTILE}, "source": HOSTILE}
        ),
        "error": records.poor(HOSTILE),
        "status": "failed",
        "failed_at": 20,
        "timing": {HOSTILE: 3.0},
        "edits": tuple(
            edit.model_copy(update={"id": HOSTILE, "subject": HOSTILE, "prompt": HOSTILE, "target": HOSTILE})
            for edit in run.edits
        ),
    }
    run = run.model_copy(update=names)
    model = records.model().model_copy(update={"name": HOSTILE, "architecture": HOSTILE})
    return gate(
        run,
        base=points[0],
        model=model,
        command=f"stability run {HOSTILE}",
        suite_text=HOSTILE,
        versions={HOSTILE: HOSTILE},
    )
