"""Who is judged: a task whose score on the unedited model is surely above that of a guess."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from stability.judge import words
from stability.judge.noise.drops import Drop, ResampledDrop
from stability.judge.noise.paired import CLASS_SCORES
from stability.judge.noise.tasks import change_of, leaves
from stability.judge.problems import CannotJudge
from stability.record import MEAN, Problem, Reading, TaskResult
from stability.record.guess import Constants, pooled
from stability.suite import CheckSpec

DEFAULT_CONFIDENCE = 0.95  # that a score is above chance, if the check has no `noise`


def chance(task: str, reading: Reading) -> float | None:
    """What a guess scores: as recorded of all the documents that the task has; None if unknown.

    Of a record that does not say, from the documents that were taken: 1/k for an accuracy, or the best single
    answer, which for a group is one to all of them; 0 for MCC, all-positive answers for F1; for any other
    group the one in its result, else the mean of its members', by documents.
    """
    result = reading.tasks.get(task)
    if result is None or result.guess is not None:
        return result.guess if result else None
    if not result.members:
        return _chance_of_leaf(result)
    members = [reading.tasks[name] for name in leaves(task, reading)]
    if result.metric != MEAN and all(one.gold and one.metric not in CLASS_SCORES for one in members):
        labels = max(map(_labels, members))
        return pooled(
            [Constants.of_labels(one.gold, labels) for one in members], [one.n for one in members]
        ).guess
    if result.chance is not None:
        return result.chance
    each = [_chance_of_leaf(member) for member in members]
    known = [value for value in each if value is not None]
    if len(known) < len(members):
        return None
    return sum(value * member.n for value, member in zip(known, members, strict=True)) / sum(
        member.n for member in members
    )


def _chance_of_leaf(result: TaskResult) -> float | None:
    if result.metric == "mcc":
        return 0.0
    if result.metric == "f1" and result.gold:
        positive = sum(gold == 1 for gold in result.gold) / len(result.gold)
        return 2 * positive / (1 + positive)
    if result.chance is not None:
        return result.chance
    if result.gold:
        return Constants.of_labels(result.gold, _labels(result)).guess
    return None


def _labels(result: TaskResult) -> int:
    """How many labels there are, by those that occur."""
    return max(*result.gold, *result.predicted, 1) + 1


def dealt_at_random(drop: Drop, members: Sequence[TaskResult]) -> float:
    """The accuracy that the model's own answers would have, dealt out at random over each task's documents.

    It is what a model scores that always gives the same answer, or guesses with preferences. 0 unless all are
    accuracies whose answers are in the record.
    """
    if not all(one.predicted and one.gold and one.metric not in CLASS_SCORES for one in members):
        return 0.0
    weights = [one.n / drop.n for one in members]
    if isinstance(drop, ResampledDrop):
        weights = [weight for weight, _ in drop.members]
    return sum(weight * _agreement(one) for weight, one in zip(weights, members, strict=True))


def _agreement(result: TaskResult) -> float:
    """Of right and given answers that have nothing to do with each other."""
    right, given = Counter(result.gold), Counter(result.predicted)
    return sum(count * given[label] for label, count in right.items()) / result.n**2


def tasks_at_chance(check: CheckSpec, unedited: Reading) -> dict[str, Problem]:
    """The tasks that cannot show a drop since the unedited model only guesses, with the reason for each."""
    is_drop = check.relative_to in ("base", "previous") and math.isfinite(check.bound.low)
    if not is_drop:
        return {}
    confidence = check.noise.confidence if check.noise else DEFAULT_CONFIDENCE
    one = (check.where.task,) if check.where.task else tuple(unedited.values)
    cluster = check.noise.cluster if check.noise else None
    reasons = {
        task: at_chance(task, unedited, confidence, cluster) for task in check.for_each.get("task") or one
    }
    return {task: reason for task, reason in reasons.items() if reason}


def at_chance(task: str, reading: Reading, confidence: float, cluster: str | None = None) -> Problem | None:
    """The problem of a task that cannot show a drop, since the unedited model is not above chance; else None.

    Above chance means that the score's one-sided lower limit at `confidence` is above what a guess scores,
    and above what the model's own answers do if dealt at random. So a guess is judged with a probability of
    1 - confidence at most, and the problem says which score is skipped with that probability.
    """
    try:
        guess = chance(task, reading)
        if guess is None or task not in reading.values:
            return None
        drop = change_of(task, reading, reading, "unedited", cluster=cluster)
        guess = max(guess, dealt_at_random(drop, [reading.tasks[name] for name in leaves(task, reading)]))
    except CannotJudge:  # no results by document: a check that needs them reports that itself
        return None
    if drop.lowest_before(confidence) > guess:
        return None
    return words.at_chance(task, drop.before, drop.n, guess, drop.told_from(guess, confidence), confidence)
