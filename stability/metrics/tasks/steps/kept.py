"""Tasks of choices without lm-eval: scored by its rules from tokens, choices, and which of them is right."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import nn

from stability.metrics.scoring import Plan
from stability.metrics.tasks.steps.questions import Question, fill, undefined_as_zero
from stability.record.guess import Constants

FILTER = "none"  # lm-eval's, where a task names none
PAIRS = ("f1", "mcc")  # metrics that are of all documents' right and predicted choices


@dataclass
class KeptAnswer:
    """A choice's request; `resps` is filled in at each checkpoint."""

    resps: list[Any] = field(default_factory=list)
    repeats: int = 1
    request_type: str = "loglikelihood"


@dataclass(frozen=True)
class KeptExam:
    """A leaf task of choices."""

    name: str
    questions: tuple[Question, ...] = field(repr=False)
    metrics: tuple[str, ...]
    listed: tuple[str, ...]
    constants: Constants | None = None
    clusters: Mapping[str, tuple[int, ...]] = field(default_factory=dict)

    def results(self) -> dict[tuple[str, str], list[Any]]:
        """As lm-eval's `process_results` for multiple choice gives them."""
        return {(metric, FILTER): [_result(one, metric) for one in self.questions] for metric in self.metrics}

    def aggregate(self, metric: str, values: Sequence[Any]) -> float:
        """As lm-eval's `mean`, `f1` and `matthews_corrcoef` do."""
        if metric not in PAIRS:
            return float(sum(values) / len(values))
        from sklearn.metrics import f1_score, matthews_corrcoef

        golds, predicted = zip(*values, strict=True)
        with undefined_as_zero():
            return float((f1_score if metric == "f1" else matthews_corrcoef)(golds, predicted))


@dataclass(frozen=True)
class KeptLeaf:
    """A task in a group."""

    task_name: str


@dataclass(frozen=True)
class KeptAggregate:
    """One of a group's metrics."""

    metric: str
    weight_by_size: bool


@dataclass(frozen=True)
class KeptGroup:
    """A group of tasks, whose score is the mean of its leaves'."""

    name: str
    children: tuple[KeptGroup | KeptLeaf, ...]
    aggregate_metric_list: tuple[KeptAggregate, ...]

    def __iter__(self) -> Iterator[KeptGroup | KeptLeaf]:
        return iter(self.children)

    def get_all_tasks(self) -> list[KeptLeaf]:
        """The leaves, in order."""
        inside = (
            child.get_all_tasks() if isinstance(child, KeptGroup) else [child] for child in self.children
        )
        return [leaf for leaves in inside for leaf in leaves]

    def aggregate(self, scores: Mapping[str, Mapping[str, Any]]) -> dict[str, float]:
        """As lm-eval's groups do: by size, or not."""
        found = {}
        for one in self.aggregate_metric_list:
            key = f"{one.metric},{FILTER}"
            leaves = [scores[leaf.task_name] for leaf in self.get_all_tasks()]
            leaves = [leaf for leaf in leaves if key in leaf]
            sizes = [leaf["sample_len"] if one.weight_by_size else 1 for leaf in leaves]
            if leaves:
                weighted = [leaf[key] * size for leaf, size in zip(leaves, sizes, strict=True)]
                found[key] = sum(weighted) / sum(sizes)
        return found


@dataclass(frozen=True)
class KeptSheet:
    """The requests of all tasks, to be answered at every checkpoint."""

    plan: Plan
    scored: Sequence[tuple[KeptAnswer, int]] = field(repr=False)
    truncated: Mapping[str, int]

    def fill(self, model: nn.Module, head: nn.Module) -> None:
        """Answer every request; `MeasurementError` if the model's logits are not finite."""
        fill(self.plan, self.scored, model, head)


def _result(question: Question, metric: str) -> Any:
    if metric in PAIRS:
        return question.gold, question.predicted("acc")
    return 1.0 if question.predicted(metric) == question.gold else 0.0
