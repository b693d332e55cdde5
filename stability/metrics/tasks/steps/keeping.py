"""Writing down tasks as they were built, so that they are answered and scored again without lm-eval.

Loading lm-eval and building its requests takes longer than most checkpoints. Of a task whose documents come
with the harness or lie in a local folder, and which is scored by lm-eval's own rules for choices (accuracy,
normalised or not, F1, MCC), all that scoring needs is tokens, choices and which is right. Of any other
nothing is kept but a digest, by which a battery that is built again is known to be the same.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from stability.metrics.plugin.metric import Fitted
from stability.metrics.tasks.steps.battery import Battery
from stability.metrics.tasks.steps.kept import (
    FILTER,
    KeptAggregate,
    KeptAnswer,
    KeptExam,
    KeptGroup,
    KeptLeaf,
    KeptSheet,
)
from stability.metrics.tasks.steps.plans import pack_plan, unpack_plan
from stability.metrics.tasks.steps.questions import BY_CHOICE, Question
from stability.record.guess import Constants

REPRODUCIBLE = ("stability.world.datasets", "stability.metrics.tasks.steps.local_data")


def keep(battery: Battery) -> Fitted:
    """What `kept` makes the battery of again; the battery has been answered and scored once."""
    if not _can_be_kept(battery):
        return Fitted({"digest": digest(battery)})
    values = {
        "names": battery.names,
        "tags": battery.tags,
        "groups": {name: _of_group(group) for name, group in battery.groups.items()},
        "exams": [_of_exam(exam) for exam in battery.exams.values()],
        "truncated": battery.sheet.truncated,
        "shared": battery.sheet.plan.shared,
    }
    return Fitted(values, pack_plan(battery.sheet.plan))


def kept(fitted: Fitted) -> Battery | None:
    """The battery again, which scores any model as the one that was kept does; None if it was not kept."""
    values = fitted.values
    if "exams" not in values:
        return None
    exams = {one["name"]: _exam(one) for one in values["exams"]}
    scored = [(answer, 1) for exam in exams.values() for one in exam.questions for answer in one.instances]
    plan = unpack_plan(fitted.tensors, shared=values["shared"])
    return Battery(
        names=tuple(values["names"]),
        exams=exams,
        groups={name: _group(one) for name, one in values["groups"].items()},
        tags={tag: tuple(members) for tag, members in values["tags"].items()},
        left_out={},
        sheet=KeptSheet(plan, scored, values["truncated"]),
    )


def digest(battery: Battery) -> str:
    """SHA-256 of the requests and documents of all tasks."""
    found = hashlib.sha256()
    for request in battery.sheet.plan.requests:
        found.update(json.dumps([request.context, request.continuation]).encode())
    for name, exam in battery.exams.items():
        for question in exam.questions:
            asked = [repr(one.args) for one in question.instances]
            said = [name, question.doc_id, question.choices, question.gold, asked, question.document]
            found.update(json.dumps(said, default=repr, sort_keys=True).encode())
    left_out = {name: problem.kind for name, problem in battery.left_out.items()}
    found.update(json.dumps([battery.names, battery.tags, left_out], sort_keys=True).encode())
    return found.hexdigest()


def _can_be_kept(battery: Battery) -> bool:
    if battery.left_out or not all(_is_of_choices(exam) for exam in battery.exams.values()):
        return False
    for group in battery.groups.values():
        aggregates: Any = group.aggregate_metric_list or ()
        for one in aggregates:
            if one.aggregation != "mean" or one.filter_list not in (None, [FILTER]):
                return False
    return all(_gives_the_same(exam) for exam in battery.exams.values())


def _is_of_choices(exam: Any) -> bool:
    """Whether lm-eval's own rules for choices score a task, and its documents are at hand."""
    from lm_eval.api import metrics
    from lm_eval.api.task import ConfigurableTask

    task, config = exam.task, exam.task.config
    known = {**dict.fromkeys(BY_CHOICE, metrics.mean), "f1": metrics.f1_score}
    known["mcc"] = metrics.matthews_corrcoef
    return (
        type(task) is ConfigurableTask
        and task.OUTPUT_TYPE == "multiple_choice"
        and getattr(config.custom_dataset, "__module__", None) in REPRODUCIBLE
        and config.process_results is None
        and config.filter_list is None
        and not task.multiple_input
        and not task.multiple_target
        and all(_asks_for_choices(question) for question in exam.questions)
        and all(
            metric in known and task.aggregation().get(metric) is known[metric]
            for metric, _ in exam.results()
        )
    )


def _asks_for_choices(question: Question) -> bool:
    asked = question.instances
    return (
        question.gold is not None
        and len(asked) == len(question.choices)
        and all(one.repeats == 1 and one.request_type == "loglikelihood" for one in asked)
    )


def _gives_the_same(exam: Any) -> bool:
    """Whether a task's results, from the answers that it has, are those that it would have if it was kept."""
    again = _exam(_of_exam(exam))
    for question, answered in zip(again.questions, exam.questions, strict=True):
        for one, other in zip(question.instances, answered.instances, strict=True):
            one.resps = other.resps
    expected = exam.results()
    return again.results() == expected and all(
        again.aggregate(metric, values) == exam.aggregate(metric, values)
        for (metric, _), values in expected.items()
    )


def _of_exam(exam: Any) -> dict[str, Any]:
    return {
        "name": exam.name,
        "metrics": [metric for metric, _ in exam.results()],
        "listed": list(exam.listed),
        "constants": None if exam.constants is None else asdict(exam.constants),
        "clusters": {name: list(numbers) for name, numbers in exam.clusters.items()},
        "documents": [[one.doc_id, one.gold, list(one.choices)] for one in exam.questions],
    }


def _exam(values: Mapping[str, Any]) -> KeptExam:
    questions = tuple(
        Question(doc_id, None, tuple(KeptAnswer() for _ in choices), tuple(choices), gold)
        for doc_id, gold, choices in values["documents"]
    )
    constants = values["constants"]
    return KeptExam(
        name=values["name"],
        questions=questions,
        metrics=tuple(values["metrics"]),
        listed=tuple(values["listed"]),
        constants=constants and Constants(tuple(constants["shares"]), constants["blind"], constants["n"]),
        clusters={name: tuple(numbers) for name, numbers in values["clusters"].items()},
    )


def _of_group(group: Any) -> dict[str, Any]:
    return {
        "name": group.name,
        "children": [
            _of_group(child) if hasattr(child, "get_all_tasks") else child.task_name for child in group
        ],
        "aggregates": [[one.metric, bool(one.weight_by_size)] for one in group.aggregate_metric_list or ()],
    }


def _group(values: Mapping[str, Any]) -> KeptGroup:
    return KeptGroup(
        name=values["name"],
        children=tuple(
            KeptLeaf(child) if isinstance(child, str) else _group(child) for child in values["children"]
        ),
        aggregate_metric_list=tuple(KeptAggregate(*one) for one in values["aggregates"]),
    )
