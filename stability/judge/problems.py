"""Why a check has no verdict of its own: it cannot be judged, or there is nothing for it to look at."""

from __future__ import annotations


class CannotJudge(Exception):  # noqa: N818
    """The check cannot be judged; the message says why. Becomes an `error`."""


class NothingSelected(Exception):  # noqa: N818
    """The check looks at nothing here, and that is no fault; the message says why. Becomes a `skip`."""
