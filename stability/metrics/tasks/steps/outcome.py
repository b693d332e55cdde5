"""From documents' results to scores: tasks as lm-eval aggregates them, then groups and tags."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from stability.errors import MeasurementError
from stability.metrics.tasks.steps.questions import BY_CHOICE, Paper
from stability.record.guess import Constants, best_constant, pooled
from stability.record.schema import MEAN, TaskResult

if TYPE_CHECKING:
    from lm_eval.api.group import Group

    from stability.metrics.tasks.steps.kept import KeptGroup

# Of the metrics that a task lists, the first is its score; GLUE gives F1 before accuracy for these two.
HEADLINE = {"mrpc": "f1", "qqp": "f1"}


@dataclass(frozen=True)
class Marks:
    """A leaf task's results at one checkpoint, by metric and filter: document by document, and aggregated."""

    exam: Paper
    by_document: Mapping[tuple[str, str], Sequence[Any]]
    scores: Mapping[tuple[str, str], float]

    def pick(self, metric: str | None) -> tuple[str, str]:
        """The metric that was asked for, or the task's headline, with its first filter.

        Raises:
            MeasurementError: the task has no such metric.
        """
        names = list(dict.fromkeys(name for name, _ in self.scores))
        wanted = metric or HEADLINE.get(self.exam.name) or _first_listed(self.exam, names)
        key = next((key for key in self.scores if key[0] == wanted), None)
        if key is None:
            raise MeasurementError(
                f"task {self.exam.name} has no metric {wanted!r}; it has {', '.join(names)}",
                kind="does_not_fit",
                task=self.exam.name,
            )
        return key

    @property
    def as_lm_eval(self) -> dict[str, Any]:
        """The scores in the form in which lm-eval's groups read their members'."""
        named = {f"{metric},{key}": value for (metric, key), value in self.scores.items()}
        return {**named, "sample_len": len(self.exam.questions)}


@dataclass(frozen=True)
class Outcome:
    """A score, what stands behind it, and how well single answers do on the task's choices, if it has any."""

    value: float
    result: TaskResult
    constants: Constants | None = None


def mark(exam: Paper) -> Marks:
    """Aggregate what the answers give, by the task's own aggregations."""
    results = exam.results()
    scores = {key: exam.aggregate(key[0], values) for key, values in results.items()}
    return Marks(exam, results, scores)


def leaf_outcome(marks: Marks, metric: str | None, truncated: int) -> Outcome:
    """A leaf task's score by one metric, with each document's right and predicted choice, or its value."""
    key = marks.pick(metric)
    name, values = key[0], marks.by_document[key]
    gold, predicted = _choices(marks.exam, name, values)
    numbers = not gold and all(isinstance(value, (int, float)) for value in values)
    constants = marks.exam.constants
    return Outcome(
        marks.scores[key],
        TaskResult(
            metric=name,
            n=len(values),
            chance=chance(name, gold),
            guess=guess_of(name, constants) if gold else None,
            doc_ids=tuple(question.doc_id for question in marks.exam.questions),
            gold=gold,
            predicted=predicted,
            values=tuple(float(value) for value in values) if numbers else (),
            clusters=dict(marks.exam.clusters),
            truncated=truncated,
        ),
        constants,
    )


def group_outcome(
    group: Group | KeptGroup, metric: str | None, marks: Mapping[str, Marks], leaves: Mapping[str, Outcome]
) -> Outcome:
    """A group's score: lm-eval's mean over its leaves, by size where the group says so.

    `leaves` are the outcomes of its leaves by the group's metric, in order.

    Raises:
        MeasurementError: the group aggregates no such metric.
    """
    aggregated = list(group.aggregate_metric_list or ())
    chosen = next((one for one in aggregated if metric in (None, one.metric)), None)
    if chosen is None:
        if metric is None:
            return mean_outcome(leaves)
        names = ", ".join(one.metric for one in aggregated) or "none of its own"
        raise MeasurementError(
            f"group {group.name} has no metric {metric!r}; it has {names}",
            kind="does_not_fit",
            task=group.name,
        )
    scores = group.aggregate({name: marks[name].as_lm_eval for name in leaves})
    value = next((scores[key] for key in scores if key.startswith(f"{chosen.metric},")), None)
    if value is None:
        raise MeasurementError(
            f"group {group.name}: none of its tasks has the metric {chosen.metric!r}",
            kind="does_not_fit",
            task=group.name,
        )
    return _over(float(value), leaves, chosen.metric, by_size=bool(chosen.weight_by_size))


def group_metric(group: Group | KeptGroup, metric: str | None) -> str | None:
    """The metric that a group's leaves are taken by."""
    aggregated = list(group.aggregate_metric_list or ())
    return metric or (aggregated[0].metric if aggregated else None)


def mean_outcome(leaves: Mapping[str, Outcome]) -> Outcome:
    """The plain mean of tasks' scores, each by its own metric, as GLUE is summed up."""
    value = sum(leaf.value for leaf in leaves.values()) / len(leaves)
    return _over(value, leaves, MEAN, by_size=False)


def _over(value: float, leaves: Mapping[str, Outcome], metric: str, *, by_size: bool) -> Outcome:
    results = [leaf.result for leaf in leaves.values()]
    weights = [result.n if by_size else 1 for result in results]
    constants = [leaf.constants for leaf in leaves.values() if leaf.constants is not None]
    is_choice = metric in BY_CHOICE and all(result.gold for result in results)
    whole = pooled(constants, weights) if is_choice and len(constants) == len(results) else None
    result = TaskResult(
        metric=metric,
        n=sum(result.n for result in results),
        chance=best_constant([result.gold for result in results], weights)
        if is_choice
        else _mean([result.chance for result in results], weights),
        guess=whole.guess if whole else _mean([result.guess for result in results], weights),
        members=tuple(leaves),
        truncated=sum(result.truncated for result in results),
    )
    return Outcome(value, result, whole)


def _mean(values: Sequence[float | None], weights: Sequence[float]) -> float | None:
    known = [value for value in values if value is not None]
    if len(known) < len(values):
        return None
    return sum(weight * one for weight, one in zip(weights, known, strict=True)) / sum(weights)


def guess_of(metric: str, constants: Constants | None) -> float | None:
    """What a guess scores over all of a task's documents; None where that is not known."""
    if metric == "mcc":
        return 0.0
    if constants is None:
        return None
    if metric == "f1":
        return 2 * constants.shares[1] / (1 + constants.shares[1]) if len(constants.shares) == 2 else None
    return constants.guess if metric in BY_CHOICE else None


def chance(metric: str, gold: Sequence[int]) -> float | None:
    """The score of the best constant answer over these documents; None where it is not known.

    An accuracy's is the majority's rate; F1's that of always giving class 1, 2p / (1 + p); MCC's is 0.
    """
    if not gold:
        return None
    if metric in BY_CHOICE:
        return best_constant([gold], [1])
    if metric == "f1" and set(gold) <= {0, 1}:
        positive = sum(gold) / len(gold)
        return 2 * positive / (1 + positive)
    return 0.0 if metric == "mcc" else None


def _choices(exam: Paper, metric: str, values: Sequence[Any]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The right and the predicted choices; empty where they do not account for every document's value."""
    pairs = [
        (question.gold, question.predicted(metric)) if metric in BY_CHOICE else value
        for question, value in zip(exam.questions, values, strict=True)
    ]
    if not all(_is_pair(pair) for pair in pairs):
        return (), ()
    gold, predicted = (tuple(int(choice) for choice in side) for side in zip(*pairs, strict=True))
    if metric in BY_CHOICE and [float(a == b) for a, b in pairs] != [float(value) for value in values]:
        return (), ()  # the task scores its documents in a way of its own
    return gold, predicted


def _is_pair(value: Any) -> bool:
    return isinstance(value, tuple) and len(value) == 2 and all(hasattr(one, "__index__") for one in value)


def _first_listed(exam: Paper, measured: Sequence[str]) -> str:
    """The first metric of the task's own list, which is not the order in which results come."""
    return next((name for name in exam.listed if name in measured), measured[0])
