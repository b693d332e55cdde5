"""All tasks of a suite, built once; scored on the model as it is at each checkpoint."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from torch import nn

from stability.metrics.tasks.steps.outcome import (
    Marks,
    Outcome,
    group_metric,
    group_outcome,
    leaf_outcome,
    mark,
    mean_outcome,
)
from stability.metrics.tasks.steps.questions import Paper
from stability.record import Problem

if TYPE_CHECKING:
    from lm_eval.api.group import Group

    from stability.metrics.tasks.steps.answers import AnswerSheet
    from stability.metrics.tasks.steps.kept import KeptGroup, KeptSheet

METRIC_MARK = "@"


@dataclass(frozen=True)
class Battery:
    """Every exam that the suite's names stand for. `left_out` says which names cannot be scored, and why.

    A name is a task, a group or a tag; `mrpc@acc` is one by a metric that is not its headline.
    """

    names: tuple[str, ...]
    exams: Mapping[str, Paper] = field(repr=False)
    groups: Mapping[str, Group | KeptGroup] = field(repr=False)
    tags: Mapping[str, tuple[str, ...]]
    left_out: Mapping[str, Problem]
    sheet: AnswerSheet | KeptSheet = field(repr=False)
    hushed: Callable[[], AbstractContextManager[Any]] = nullcontext  # in which lm-eval's code says nothing

    def score(self, model: nn.Module, head: nn.Module) -> dict[str, Outcome]:
        """The outcome of every name, and of the members of groups and tags, on the model as it is.

        Raises:
            MeasurementError: the model's logits are not finite, or a task has no such metric.
        """
        self.sheet.fill(model, head)
        with self.hushed():
            marks = {name: mark(exam) for name, exam in self.exams.items()}
            outcomes: dict[str, Outcome] = {}
            for name in self.names:
                if name not in self.left_out:
                    outcomes[name] = self._outcome(name, marks, outcomes)
            for members in self.tags.values():  # of a tag that is left out, those that are there
                for member in members:
                    if member not in self.left_out:
                        self._leaf(member, None, marks, outcomes)
        return outcomes

    def _outcome(self, name: str, marks: Mapping[str, Marks], outcomes: dict[str, Outcome]) -> Outcome:
        base, metric = split_name(name)
        if base in self.tags:
            members = {one: self._leaf(one, metric, marks, outcomes) for one in self.tags[base]}
            return mean_outcome(members)
        if base in self.groups:
            return self._group(self.groups[base], metric, marks, outcomes)
        return leaf_outcome(marks[base], metric, self.sheet.truncated[base])

    def _leaf(
        self, name: str, metric: str | None, marks: Mapping[str, Marks], outcomes: dict[str, Outcome]
    ) -> Outcome:
        """A member's outcome, kept under its own name."""
        found = leaf_outcome(marks[name], metric, self.sheet.truncated[name])
        outcomes.setdefault(name, found)
        return found

    def _group(
        self,
        group: Group | KeptGroup,
        metric: str | None,
        marks: Mapping[str, Marks],
        outcomes: dict[str, Outcome],
    ) -> Outcome:
        metric = group_metric(group, metric)
        children: Iterable[Any] = group
        for child in children:
            if hasattr(child, "get_all_tasks"):
                outcomes.setdefault(child.name, self._group(child, metric, marks, outcomes))
        leaves = {
            task.task_name: self._leaf(task.task_name, metric, marks, outcomes)
            for task in group.get_all_tasks()
        }
        return group_outcome(group, metric, marks, leaves)


def split_name(name: str) -> tuple[str, str | None]:
    """A suite's name for a task as the name that lm-eval knows, and the metric if one is marked."""
    base, _, metric = name.partition(METRIC_MARK)
    return base, metric or None
