"""One row for each edit that was made, with how the model answered right after it."""

from __future__ import annotations

from stability.record.schema import EditOutcome, RecordFields
from stability.record.tables.columns import RUN, Kind, Row, Table, labelled, names_in, numbers, of_rows

EDITS: dict[str, Kind] = {
    **RUN,
    "edit": "count",
    "id": "text",
    "prompt": "text",
    "subject": "text",
    "target": "text",
    "target_true": "text",
    "space": "truth",
    "success": "truth",
    "accurate": "truth",
    "paraphrase_success": "number",
    "neighborhood_success": "number",
}


def edits(record: RecordFields) -> Table:
    """`edit` counts from 1; figures that editors report of their own edits are in `reported.NAME`."""
    runs = list(labelled(record))
    reported = names_in(edit.reported for _, run in runs for edit in run.edits)
    rows = [
        (*of_run, number, *_outcome(edit), *(edit.reported.get(name) for name in reported))
        for of_run, run in runs
        for number, edit in enumerate(run.edits, start=1)
    ]
    return of_rows(EDITS | numbers("reported", reported), rows)


def _outcome(edit: EditOutcome) -> Row:
    return (
        edit.id,
        edit.prompt,
        edit.subject,
        edit.target,
        edit.target_true,
        edit.space,
        edit.success,
        edit.accurate,
        edit.paraphrase_success,
        edit.neighborhood_success,
    )
