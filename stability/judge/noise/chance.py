"""Who is judged: a task whose score on the unedited model is surely above that of a guess."""

from __future__ import annotations

import math
from collections import Counter

from stability.judge import words
from stability.judge.noise.paired import CLASS_SCORES
from stability.judge.noise.tasks import change_of, leaves
from stability.judge.problems import CannotJudge
from stability.record import MEAN, Problem, Reading, TaskResult
from stability.record.guess import best_constant
from stability.suite import CheckSpec

DEFAULT_CONFIDENCE = 0.95  # that a score is above chance, if the check has no `noise`


def chance(task: str, reading: Reading) -> float | None:
    """What a guess scores: as recorded of all the documents that the task has; None if unknown.

    Of a record that does not say, from the documents that were taken: the majority rate for an accuracy, 0
    for MCC, all-positive answers for F1. For a group of accuracies, the accuracy of the best single answer to
    all of them; for any other group the one in its result, else the mean of its members', by documents.
    """
    result = reading.tasks.get(task)
    if result is None or result.guess is not None:
        return result.guess if result else None
    if not result.members:
        return _chance_of_leaf(result)
    members = [reading.tasks[name] for name in leaves(task, reading)]
    if result.metric != MEAN and all(one.gold and one.metric not in CLASS_SCORES for one in members):
        return best_constant([one.gold for one in members], [one.n for one in members])
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
        return max(Counter(result.gold).values()) / len(result.gold)
    return None


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

    Above chance means that the score's one-sided lower limit at `confidence` is. So a guess is judged with a
    probability of 1 - confidence at most, and the problem says which score is skipped with that probability.
    """
    try:
        guess = chance(task, reading)
        if guess is None or task not in reading.values:
            return None
        drop = change_of(task, reading, reading, "unedited", cluster=cluster)
    except CannotJudge:  # no results by document: a check that needs them reports that itself
        return None
    if drop.lowest_before(confidence) > guess:
        return None
    return words.at_chance(task, drop.before, drop.n, guess, drop.told_from(guess, confidence), confidence)
