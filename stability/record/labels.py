"""Labels of a record's editors: the name, with a number added if it ran with several settings."""

from __future__ import annotations

import json

from stability.record.schema import RecordFields, Run


def runs_by_editor(record: RecordFields) -> dict[str, list[Run]]:
    """The runs of each editor by its label; an editor with other settings counts as another editor."""
    groups: dict[tuple[str, str], list[Run]] = {}
    for run in record.runs:
        settings = json.dumps(run.editor.settings, sort_keys=True, default=str)
        groups.setdefault((run.editor.name, settings), []).append(run)
    labels: dict[str, list[Run]] = {}
    for (name, _), runs in groups.items():
        label, number = name, 1
        while label in labels:
            number += 1
            label = f"{name} ({number})"
        labels[label] = sorted(runs, key=lambda run: run.seed)
    return labels
