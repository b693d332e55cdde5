"""One leaf task, built: its documents, lm-eval's requests for each, and how answers become results."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from lm_eval.api.instance import Instance
from lm_eval.api.task import Task

from stability.errors import DataError, MeasurementError, with_type
from stability.metrics.tasks.steps.questions import Question, undefined_as_zero
from stability.metrics.tasks.steps.quiet import no_bar
from stability.record.guess import Constants

REQUESTS = ("loglikelihood", "loglikelihood_rolling", "generate_until")


@dataclass(frozen=True)
class Exam:
    """A leaf task with its questions, in the order of the documents.

    `constants` are of all the task's documents, of which the questions may be the first few; None if it has
    no choices, or a document does not say which is right. `clusters` has a number for each question, by the
    fields that the suite names: dependent documents have the same.
    """

    name: str
    task: Task
    questions: tuple[Question, ...] = field(repr=False)
    constants: Constants | None = None
    clusters: Mapping[str, tuple[int, ...]] = field(default_factory=dict)

    def clustered_by(self, name: str) -> Exam:
        """The same with a number for each document, the same for those that have the same value of a field.

        Raises:
            MeasurementError: a document does not have the field.
        """
        numbers: dict[str, int] = {}
        for question in self.questions:
            if name not in question.document:
                there = ", ".join(sorted(question.document))
                raise MeasurementError(
                    f"task {self.name}: noise.cluster names {name!r}, and its documents have {there}",
                    kind="does_not_fit",
                    task=self.name,
                )
        values = [repr(question.document[name]) for question in self.questions]
        found = tuple(numbers.setdefault(value, len(numbers)) for value in values)
        return replace(self, clusters={**self.clusters, name: found})

    @property
    def instances(self) -> Iterable[Instance]:
        """The requests of all questions, in order."""
        return (instance for question in self.questions for instance in question.instances)

    def results(self) -> dict[tuple[str, str], list[Any]]:
        """What lm-eval makes of the answers in the requests: a list over documents, by metric and filter."""
        self.task.apply_filters()
        results: dict[tuple[str, str], list[Any]] = defaultdict(list)
        for question in self.questions:
            for key in question.instances[0].filtered_resps:
                answers = [instance.filtered_resps[key] for instance in question.instances]
                for metric, value in self.task.process_results(question.document, answers).items():
                    results[metric, key].append(value)
        return results

    def aggregate(self, metric: str, values: Sequence[Any]) -> float:
        """The score of the documents' results, by the task's own aggregation."""
        with undefined_as_zero():
            return float(self.task.aggregation()[metric](values))

    @property
    def listed(self) -> tuple[str, ...]:
        """The task's own list of its metrics."""
        return tuple(str(entry.get("metric")) for entry in self.task.get_config("metric_list") or ())


def build_exam(name: str, task: Task, limit: int | None) -> Exam:
    """Let lm-eval build the requests of the first `limit` documents, or of all.

    Raises:
        DataError: there are no documents, or a document lacks what the task asks of it.
        MeasurementError: the task needs images or sound, or runs code that a model wrote.
    """
    for flag, what in (("MULTIMODAL", "needs images or sound"), ("UNSAFE_CODE", "runs generated code")):
        if getattr(task, flag, False):
            raise MeasurementError(
                f"task {name} {what}, which the harness does not do; leave it out",
                kind="does_not_fit",
                task=name,
            )
    try:
        with no_bar():
            task.build_all_requests(limit=limit, rank=0, world_size=1)
        by_document: dict[int, list[Instance]] = defaultdict(list)
        for instance in task.instances:
            by_document[instance.doc_id].append(instance)
        questions = tuple(_question(task, doc_id, asked) for doc_id, asked in by_document.items())
        constants = _constants(task, questions, limit) if questions and questions[0].choices else None
    except (ValueError, LookupError, TypeError, AttributeError, AssertionError) as error:
        raise DataError(f"task {name}: cannot make requests of its documents: {with_type(error)}") from error
    if not questions:
        raise DataError(f"task {name}: has no documents")
    kinds = {instance.request_type for instance in task.instances}
    if not kinds <= set(REQUESTS):
        raise MeasurementError(
            f"task {name}: requests of type {', '.join(kinds)} are not supported",
            kind="does_not_fit",
            task=name,
        )
    return Exam(name, task, questions, constants)


def _question(task: Task, doc_id: int, instances: list[Instance]) -> Question:
    ordered = tuple(sorted(instances, key=lambda instance: instance.idx))
    document = ordered[0].doc
    return Question(doc_id, document, ordered, *_choices(task, document))


def _choices(task: Task, document: Any) -> tuple[tuple[str, ...], int | None]:
    """A document's choices, and which of them is right; none where it has none."""
    if task.OUTPUT_TYPE != "multiple_choice" or not hasattr(task, "doc_to_choice"):
        return (), None
    choices = tuple(task.doc_to_choice(document))
    gold = task.doc_to_text(document) if task.multiple_input else task.doc_to_target(document)
    if isinstance(gold, str):
        gold = choices.index(gold) if gold in choices else None
    known = isinstance(gold, int) and 0 <= gold < len(choices)
    return choices, int(gold) if known else None


def _constants(task: Task, questions: Sequence[Question], limit: int | None) -> Constants | None:
    """How well single answers do over all of the task's documents, of which the questions may be a part."""
    found = [(question.choices, question.gold) for question in questions]
    if limit is not None:
        found = [_choices(task, document) for document in task.eval_docs]
    golds = [gold for _, gold in found if gold is not None]
    return Constants.of(golds, [choices for choices, _ in found]) if len(golds) == len(found) else None
