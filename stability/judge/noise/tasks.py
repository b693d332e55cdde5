"""From two readings of a task to its drop: pair documents, combine groups, check that the scores agree."""

from __future__ import annotations

import math
import zlib
from collections import Counter
from collections.abc import Sequence

from stability.judge import words
from stability.judge.noise.drops import Drop, ProportionDrop, ResampledDrop
from stability.judge.noise.enough import check_enough
from stability.judge.noise.paired import CLASS_SCORES, Paired, PairedAnswers, pair
from stability.judge.problems import CannotJudge
from stability.judge.words import documents_differ
from stability.record import MEAN, Problem, Reading, TaskResult
from stability.record.guess import best_constant
from stability.suite import CheckSpec

DEFAULT_CONFIDENCE = 0.95  # that a score is above chance, if the check has no `noise`
AGREEMENT = 1e-6  # tolerance between the recorded score and the one computed from the documents


def drop_of(
    task: str,
    before: Reading,
    now: Reading,
    when: str,
    seed: tuple[int, ...] = (),
    *,
    reference: str = "the unedited model",
) -> Drop:
    """The change of a task's score, or of a group's.

    If a group's score is the mean over all of its members' documents, these are treated as one set. Otherwise
    it is the mean of the members' scores, and documents are resampled within each member. `seed` (with the
    task's name added) makes the resampling repeatable. `when` and `reference` name the two readings in
    messages.

    Raises:
        CannotJudge: documents are missing or differ, the score computed from them is not the recorded one, or
            they are too few to be resampled.
    """
    reported = [score_in(reading, task, time) for reading, time in ((before, f"of {reference}"), (now, when))]
    names = leaves(task, before)
    if names != leaves(task, now):
        raise CannotJudge(documents_differ(task, f"its members {when} are not those of {reference}"))
    paired = [pair(name, before.tasks[name], now.tasks[name], when, reference) for name in names]
    seed = (zlib.crc32(task.encode()), *seed)
    for drop in candidates(paired, seed):
        if all(
            math.isclose(ours, theirs, rel_tol=0, abs_tol=AGREEMENT)
            for ours, theirs in zip((drop.before, drop.now), reported, strict=True)
        ):
            if isinstance(drop, ResampledDrop):
                check_enough(task, drop)
            return drop
    ours = next(iter(candidates(paired, seed)))
    raise CannotJudge(
        documents_differ(
            task,
            f"the record says {reported[0]:.4f} before and {reported[1]:.4f} {when}, "
            f"but its documents give {ours.before:.4f} and {ours.now:.4f}",
        )
    )


def candidates(paired: Sequence[Paired], seed: tuple[int, ...]) -> list[Drop]:
    """The possible scores of a group: over all documents, and as the mean of the members' scores."""
    documents = sum(member.n for member in paired)
    answers = [member for member in paired if isinstance(member, PairedAnswers) and member.is_proportion]
    pooled: Drop
    if len(answers) == len(paired):
        pooled = ProportionDrop.of(answers)
    else:
        pooled = ResampledDrop(tuple((member.n / documents, member) for member in paired), seed)
    if len(paired) == 1:
        return [pooled]
    return [pooled, ResampledDrop(tuple((1 / len(paired), member) for member in paired), seed)]


def score_in(reading: Reading, task: str, when: str) -> float:
    """The task's score in a reading.

    Raises:
        CannotJudge: it has none.
    """
    if task in reading.values:
        return reading.values[task]
    reason = reading.left_out.get(task)
    raise CannotJudge(words.no_score(task, when, reason))


def leaves(task: str, reading: Reading) -> list[str]:
    """The task itself or, for a group, the tasks in it, each once.

    Raises:
        CannotJudge: one of them has no results by document.
    """
    found: dict[str, None] = {}
    waiting = [task]
    seen: set[str] = set()
    while waiting:
        name = waiting.pop(0)
        if name in seen:
            continue
        seen.add(name)
        result = reading.tasks.get(name)
        if result is None:
            raise CannotJudge(
                documents_differ(
                    task,
                    f"no results by document for {name}; noise cannot be told without them",
                )
            )
        if result.members:
            waiting.extend(result.members)
        else:
            found[name] = None
    return list(found)


def chance(task: str, reading: Reading) -> float | None:
    """The score of a guess: the majority rate for an accuracy, 0 for MCC, all-positive answers for F1.

    For a group of accuracies, the accuracy of the best single answer to all its documents; for any other
    group the one in its result, else the mean of its members', weighted by documents. None if unknown.
    """
    result = reading.tasks.get(task)
    if result is None:
        return None
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
    reasons = {task: at_chance(task, unedited, confidence) for task in check.for_each.get("task") or one}
    return {task: reason for task, reason in reasons.items() if reason}


def at_chance(task: str, reading: Reading, confidence: float) -> Problem | None:
    """The problem of a task that cannot show a drop, since the unedited model is not above chance; else None.

    Above chance means that the score's one-sided lower limit at `confidence` is.
    """
    try:
        guess = chance(task, reading)
        if guess is None or task not in reading.values:
            return None
        drop = drop_of(task, reading, reading, "unedited")
    except CannotJudge:  # no results by document: a check that needs them reports that itself
        return None
    if drop.lowest_before(confidence) > guess:
        return None
    return words.at_chance(task, drop.before, drop.n, guess)
