"""All tasks of a suite, built once; scored on the model as it is at each checkpoint."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from lm_eval.api.group import Group
from torch import nn

from stability.errors import MeasurementError
from stability.metrics.tasks.steps.answers import AnswerSheet, plan_answers
from stability.metrics.tasks.steps.catalogue import Catalogue, DataAbsentError
from stability.metrics.tasks.steps.exam import Exam, build_exam
from stability.metrics.tasks.steps.outcome import (
    Marks,
    Outcome,
    group_metric,
    group_outcome,
    leaf_outcome,
    mark,
    mean_outcome,
)
from stability.metrics.tasks.steps.quiet import quiet
from stability.models.modes import random_state
from stability.models.tokens import Tokenizer
from stability.record import Problem
from stability.suite import TasksSpec

METRIC_MARK = "@"
SEED = 1234


@dataclass(frozen=True)
class Battery:
    """Every exam that the suite's names stand for. `left_out` says which names cannot be scored, and why.

    A name is a task, a group or a tag; `mrpc@acc` is one by a metric that is not its headline.
    """

    names: tuple[str, ...]
    exams: Mapping[str, Exam] = field(repr=False)
    groups: Mapping[str, Group] = field(repr=False)
    tags: Mapping[str, tuple[str, ...]]
    left_out: Mapping[str, Problem]
    sheet: AnswerSheet = field(repr=False)

    def score(self, model: nn.Module, head: nn.Module) -> dict[str, Outcome]:
        """The outcome of every name, and of the members of groups and tags, on the model as it is.

        Raises:
            MeasurementError: the model's logits are not finite, or a task has no such metric.
        """
        self.sheet.fill(model, head)
        with quiet():
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
        self, group: Group, metric: str | None, marks: Mapping[str, Marks], outcomes: dict[str, Outcome]
    ) -> Outcome:
        metric = group_metric(group, metric)
        for child in group:
            if isinstance(child, Group):
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


def build_battery(
    spec: TasksSpec,
    names: tuple[str, ...],
    model: nn.Module,
    head: nn.Module,
    tokenizer: Tokenizer,
    clusters: Mapping[str, Sequence[str]] | None = None,
) -> Battery:
    """Find the tasks and build their requests. The model is run, but not altered.

    `clusters` has, by name, the fields of documents that are recorded as what dependent ones share.

    Raises:
        DataError: documents are missing from a folder that has others of the kind, empty or malformed.
        MeasurementError: a task is unknown or of a kind that is not supported, or `require_data` is set and
            documents are absent; or a document does not have a field of `clusters`.
    """
    exams: dict[str, Exam] = {}
    groups: dict[str, Group] = {}
    tags: dict[str, tuple[str, ...]] = {}
    left_out: dict[str, Problem] = {}
    bases = tuple(dict.fromkeys(split_name(name)[0] for name in names))
    fields: dict[str, dict[str, None]] = {}
    for name, named in (clusters or {}).items():
        fields.setdefault(split_name(name)[0], {}).update(dict.fromkeys(named))
    with Catalogue(spec, bases) as catalogue:
        for base in bases:
            members = catalogue.tag_members(base)
            if members:
                tags[base] = members
            for wanted in members or (base,):
                try:
                    found = catalogue.find(wanted)
                except DataAbsentError as absence:
                    left_out[wanted] = Problem(kind="no_data", message=str(absence), task=wanted)
                    continue
                groups.update(found.groups)
                for name, task in found.tasks.items():
                    if name not in exams:
                        with quiet(), random_state(SEED):
                            exams[name] = build_exam(name, task, spec.limit)
                    for one in fields.get(base, ()):
                        exams[name] = exams[name].clustered_by(one)
    for tag, members in tags.items():
        absent = [one for one in members if one in left_out]
        if absent:
            message = f"not all of its tasks have documents ({', '.join(absent)}): {left_out[absent[0]]}"
            left_out[tag] = Problem(kind="no_data", message=message, task=tag)
    left_out |= {name: left_out[base] for name in names if (base := split_name(name)[0]) in left_out}
    if left_out and spec.require_data:
        name, reason = next(iter(left_out.items()))
        raise MeasurementError(
            f"task {name}: {reason}; the suite says require_data", kind="no_data", task=name
        )
    sheet = plan_answers(exams, model, head, tokenizer, spec.batch_size)
    return Battery(names, exams, groups, tags, left_out, sheet)
