"""Documents as questions: what is asked of each, how an answer is taken from what the model says."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from torch import nn

from stability.metrics.scoring import Plan, score
from stability.record.guess import Constants

NORMALISED = ("acc_norm", "acc_bytes")  # by the choice's characters, by its bytes
BY_CHOICE = ("acc", *NORMALISED)
ROLLING = "loglikelihood_rolling"


class AskedRequest(Protocol):
    """A request of lm-eval's, as far as its answer goes: `resps` has it as often as it is repeated."""

    resps: list[Any]
    repeats: int
    request_type: str


@dataclass(frozen=True)
class Question:
    """A document with its requests; of a multiple-choice one also the choices, and which is right."""

    doc_id: int
    document: Any = field(repr=False)
    instances: tuple[Any, ...] = field(repr=False)  # each an `AskedRequest`
    choices: tuple[str, ...] = ()
    gold: int | None = None

    def predicted(self, metric: str) -> int | None:
        """The choice that the answers make likeliest, by the metric's way of weighing them."""
        if self.gold is None or metric not in BY_CHOICE:
            return None
        log_probs = np.array([one.resps[0][0] for one in self.instances[: len(self.choices)]])
        if metric in NORMALISED:
            texts = [one.encode("utf-8") if metric == "acc_bytes" else one for one in self.choices]
            log_probs = log_probs / np.array([float(len(text)) for text in texts])
        return int(np.argmax(log_probs))


class Paper(Protocol):
    """A leaf task with its questions, and how answers become results."""

    @property
    def name(self) -> str:
        """The task's."""

    @property
    def questions(self) -> tuple[Question, ...]:
        """In the order of the documents."""

    @property
    def constants(self) -> Constants | None:
        """Of all the task's documents, of which the questions may be the first few."""

    @property
    def clusters(self) -> Mapping[str, tuple[int, ...]]:
        """By field, a number for each question."""

    @property
    def listed(self) -> Sequence[str]:
        """The task's own list of its metrics."""

    def results(self) -> dict[tuple[str, str], list[Any]]:
        """What the answers give: a list over documents, by metric and filter."""

    def aggregate(self, metric: str, values: Sequence[Any]) -> float:
        """The score of the documents' results by one of its metrics."""


def fill(plan: Plan, scored: Iterable[tuple[AskedRequest, int]], model: nn.Module, head: nn.Module) -> None:
    """Answer the requests of a plan, in the form in which lm-eval's own models do.

    `scored` has each request, and how many of the plan's it is.

    Raises:
        MeasurementError: the model's logits are not finite.
    """
    scores = score(plan, model, head)
    log_probs, greedy = scores.log_probs.tolist(), scores.greedy.tolist()
    first = 0
    for instance, count in scored:
        total = sum(log_probs[first : first + count])
        answer: Any = total if instance.request_type == ROLLING else (total, greedy[first])
        instance.resps = [answer] * (instance.repeats or 1)
        first += count


@contextmanager
def undefined_as_zero() -> Iterator[None]:
    """A model that always gives one answer has no F1 or MCC; scikit-learn says so, and scores 0."""
    import warnings

    from sklearn.exceptions import UndefinedMetricWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UndefinedMetricWarning)
        warnings.filterwarnings("ignore", message="A single label was found", category=UserWarning)
        yield
