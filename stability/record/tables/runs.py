"""One row for each editor and seed: its settings, its outcome, and its times."""

from __future__ import annotations

import json

from stability.record.schema import RecordFields
from stability.record.tables.columns import RUN, Kind, Table, labelled, names_in, numbers, of_rows

RUNS: dict[str, Kind] = {
    **RUN,
    "status": "text",
    "edits": "count",
    "failed_at": "integer",
    "error": "text",
    "name": "text",
    "source": "text",
    "version": "text",
    "fingerprint": "text",
    "settings": "text",
    "model_fingerprint": "text",
    "measured_fingerprint": "text",
    "harness_version": "text",
    "started": "text",
}


def runs(record: RecordFields) -> Table:
    """`seconds.STAGE` is the run's own time, `shared_seconds.STAGE` that of all runs; `settings` is JSON."""
    found = list(labelled(record))
    stages, shared = names_in(run.timing for _, run in found), list(record.timing)
    rows = [
        (
            *of_run,
            run.status,
            len(run.edits),
            run.failed_at,
            None if run.error is None else run.error.message,
            run.editor.name,
            run.editor.source,
            run.editor.version,
            run.editor.fingerprint,
            json.dumps(run.editor.settings, sort_keys=True, default=str, ensure_ascii=False),
            record.model.fingerprint,
            record.measured_fingerprint,
            record.harness_version,
            record.started,
            *(run.timing.get(stage) for stage in stages),
            *record.timing.values(),
        )
        for of_run, run in found
    ]
    return of_rows(RUNS | numbers("seconds", stages) | numbers("shared_seconds", shared), rows)
