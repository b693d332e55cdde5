"""From two readings of a task to its drop: pair documents, combine groups, check that the scores agree."""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence

from stability.judge import words
from stability.judge.noise.drops import Drop, ProportionDrop, ResampledDrop
from stability.judge.noise.enough import check_enough
from stability.judge.noise.paired import Paired, PairedAnswers, pair
from stability.judge.problems import CannotJudge
from stability.judge.words import documents_differ
from stability.record import Reading

AGREEMENT = 1e-6  # of the documents' results: how far rounding sets apart the recorded score and our own


def drop_of(
    task: str,
    before: Reading,
    now: Reading,
    when: str,
    seed: tuple[int, ...] = (),
    *,
    reference: str = "the unedited model",
    cluster: str | None = None,
) -> Drop:
    """The change of a task's score, or of a group's, of enough documents to test it.

    Raises:
        CannotJudge: documents are missing or differ, the score computed from them is not the recorded one, or
            they are too few to be resampled.
    """
    drop = change_of(task, before, now, when, seed, reference=reference, cluster=cluster)
    if isinstance(drop, ResampledDrop):
        check_enough(task, drop)
    return drop


def change_of(
    task: str,
    before: Reading,
    now: Reading,
    when: str,
    seed: tuple[int, ...] = (),
    *,
    reference: str = "the unedited model",
    cluster: str | None = None,
) -> Drop:
    """The change of a task's score, or of a group's, however few the documents are.

    If a group's score is the mean over all of its members' documents, these are treated as one set. Otherwise
    it is the mean of the members' scores, and documents are resampled within each member. `seed` (with the
    task's name added) makes the resampling repeatable. `when` and `reference` name the two readings in
    messages. `cluster` names the field by whose value documents are resampled together.

    Raises:
        CannotJudge: documents are missing or differ, or the score computed from them is not the recorded one.
    """
    reported = [score_in(reading, task, time) for reading, time in ((before, f"of {reference}"), (now, when))]
    names = leaves(task, before)
    if names != leaves(task, now):
        raise CannotJudge(documents_differ(task, f"its members {when} are not those of {reference}"))
    paired = [pair(name, before.tasks[name], now.tasks[name], when, reference, cluster) for name in names]
    seed = (zlib.crc32(task.encode()), *seed)
    slack = AGREEMENT * max(member.size for member in paired)
    for drop in candidates(paired, seed):
        if all(
            math.isclose(ours, theirs, rel_tol=0, abs_tol=slack)
            for ours, theirs in zip((drop.before, drop.now), reported, strict=True)
        ):
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
