"""Building a suite's tasks by lm-eval: found, their documents loaded, their requests made and planned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lm_eval.api.group import Group
from torch import nn

from stability.errors import MeasurementError
from stability.metrics.tasks.steps.answers import plan_answers
from stability.metrics.tasks.steps.battery import Battery, split_name
from stability.metrics.tasks.steps.catalogue import Catalogue, DataAbsentError
from stability.metrics.tasks.steps.exam import Exam, build_exam
from stability.metrics.tasks.steps.quiet import quiet
from stability.models.modes import random_state
from stability.models.tokens import Tokenizer
from stability.record import Problem
from stability.suite import TasksSpec

SEED = 1234


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
    return Battery(names, exams, groups, tags, left_out, sheet, quiet)
