"""What a hostile editor does, and what is to come of its run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from torch import nn

from stability.data.edits import Edit

Outcome = Literal[
    "held",  # the run is complete, and so are its checks
    "failed",  # a check was measured, and failed
    "not measured",  # the run is complete, and something of it could not be measured
    "editor_raised",
    "process_ended",
    "out_of_memory",
    "over_budget",
    "model_unusable",
    "not_finite",
    "interrupted",  # the command was told to end, and did
    "unwritable",  # the place of the record was taken away: the command says so and ends
]
Moment = Literal["prepare", "edit", "report", "measure"]
Does = Callable[[nn.Module, Any, Sequence[Edit]], Any]
DONE: tuple[Outcome, ...] = ("held", "failed", "not measured")


@dataclass(frozen=True)
class Act:
    """Something that an editor does at its second edit, or when it is prepared or asked for its report.

    What is returned at an edit is what the editor returns. `outcomes` are those that are right.
    """

    name: str
    does: Does
    outcomes: tuple[Outcome, ...]
    moment: Moment = "edit"


class Family:
    """Acts that have something in common, by name."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.acts: dict[str, Act] = {}

    def add(self, name: str, does: Does, *outcomes: Outcome, moment: Moment = "edit") -> None:
        """Another act."""
        assert name not in self.acts
        self.acts[name] = Act(name, does, outcomes, moment)

    def act(self, *outcomes: Outcome, moment: Moment = "edit") -> Callable[[Does], Does]:
        """The same, of a function by its name."""

        def added(does: Does) -> Does:
            self.add(does.__name__, does, *outcomes, moment=moment)
            return does

        return added
