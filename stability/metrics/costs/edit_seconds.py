"""How long an edit takes."""

from __future__ import annotations

from stability.parts import MetricHead


class EditSeconds:
    """Seconds inside of the editor, over the edits made so far."""

    head = MetricHead(
        "edit_seconds",
        "seconds that an edit took, on average",
        over="scalar",
        unit="s",
        measured="clock",
        about="editing",
    )
