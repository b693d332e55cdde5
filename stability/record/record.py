"""The record itself: the content of run.json, and its figures as data frames."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from stability.record.frame import data_frame
from stability.record.schema import Checkpoint, RecordFields
from stability.record.tables import TableName
from stability.record.tables import table as table_of

if TYPE_CHECKING:
    import pandas


class Record(RecordFields):
    """One suite on one model: the content of run.json."""

    @property
    def is_unfinished(self) -> bool:
        """Whether its process ended, or still has to, before the last run: killed, interrupted, under way."""
        asked = self.measured.get("run")
        stops = not isinstance(asked, dict) or asked.get("stop_on", "first_failure") == "first_failure"
        return self.under_way or any(
            (run.status == "truncated" and not stops)
            or (run.error is not None and run.error.kind == "interrupted")
            for run in self.runs
        )

    def without_times(self) -> Record:
        """The record without times, memory, and where it was gone on with: equal for runs of the same."""
        runs = tuple(
            run.model_copy(
                update={
                    "timing": {},
                    "resumed_at": (),
                    "checkpoints": tuple(_without_costs(checkpoint) for checkpoint in run.checkpoints),
                }
            )
            for run in self.runs
        )
        blank: dict[str, Any] = {"timing": {}, "started": "", "runs": runs, "base": _without_costs(self.base)}
        return self.model_copy(update=blank)

    def frame(
        self, table: Literal["readings", "edits", "documents", "runs"] = "readings"
    ) -> pandas.DataFrame:
        """One of the record's tables, in long form; `stability.record.tables` describes them.

        Raises:
            ValueError: there is no such table.
            RecordError: a number in it does not fit into 64 bits.
        """
        return data_frame(table_of(self, TableName(table)))


def _without_costs(checkpoint: Checkpoint) -> Checkpoint:
    return checkpoint.model_copy(update={"costs": {}})
