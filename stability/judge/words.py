"""The messages of all problems that the judge finds.

All of these sentences are written here. They are for people: programs use a problem's kind and fields.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Unpack

from stability.errors import Details, ProblemKind
from stability.record import Problem, Record, Run

NOT_VERIFIED = "stability only: edits not verified"
WITHIN_NOISE = "past the bound, but within noise"


def problem(kind: ProblemKind, message: str, **details: Unpack[Details]) -> Problem:
    """A problem with its message."""
    return Problem(kind=kind, message=message, **details)


def reworded(inner: Problem, message: str, **details: Unpack[Details]) -> Problem:
    """The same problem with a longer message."""
    return inner.model_copy(update={"message": message, **details})


# -- missing values --


def not_measured(inner: Problem, edits: int) -> Problem:
    """A metric that could not be measured at a checkpoint, for the reason in the record."""
    return reworded(inner, f"not measured at {edits} edits: {inner.message}", edits=edits)


def not_in_record(metric: str, edits: int) -> Problem:
    """A metric that is not in the record, since the suite that ran did not ask for it."""
    message = f"not measured: the record has no {metric} at {edits} edits"
    return problem("not_in_record", message, metric=metric, edits=edits)


def no_task(metric: str, task: str) -> Problem:
    """A task that is not in the record, since the suite that ran did not ask for it."""
    return problem(
        "not_in_record", f"not measured: the record has no task {task!r}", metric=metric, task=task
    )


def no_checkpoint(run: Run, edits: int, known: Sequence[int]) -> Problem:
    """`at` names a number of edits after which nothing was measured; `known` are the checkpoints."""
    last = known[-1]
    if run.status != "complete" and edits > last:
        message = f"the run stopped at {last} edits, before {edits}"
        return problem("run_truncated", message, edits=edits)
    there = ", ".join(str(count) for count in known)
    message = f"'at: {edits}' is no checkpoint of this run ({there})"
    return problem("no_such_checkpoint", message, edits=edits)


def never_measured() -> Problem:
    """A run without a checkpoint."""
    return problem("not_measured", "no checkpoint after the first edit was measured")


def nothing_left(left_out: Mapping[str, Problem], *, is_one_task: bool) -> Problem:
    """Every value is left out; the message has the first reason."""
    key, inner = next(iter(left_out.items()))
    if is_one_task:
        return inner
    more = f" and {len(left_out) - 1} more" if len(left_out) > 1 else ""
    return reworded(inner, f"{key}: {inner.message}{more}")


def data_required(inner: Problem) -> Problem:
    """A task without a value, where the suite requires one."""
    return reworded(inner, f"{inner.message}, and the suite says 'require_data'")


def required(inner: Problem) -> Problem:
    """A check that has nothing to look at, although it is required."""
    return reworded(inner, f"{inner.message}, and the check says 'require: true'")


def all_skipped(inner: Problem) -> Problem:
    """A check whose tasks are all skipped, so that it could not have failed."""
    return reworded(inner, f"every task of this check was skipped: {inner.message}")


def no_score(task: str, when: str, reason: Problem | None) -> Problem:
    """A task without a score at one time."""
    inner = reason or problem("not_in_record", "the record has no score")
    return reworded(inner, f"{task}: not measured {when}: {inner.message}", task=task)


def documents_differ(task: str, words: str) -> Problem:
    """A task's documents at two times do not allow a test; `words` say why."""
    return problem("not_comparable", f"{task}: {words}", task=task)


def too_few_to_resample(
    task: str,
    found: int,
    unit: str,
    least: int,
    *,
    of_each: bool = False,
    at_equal_weights: bool = False,
    tests: int = 1,
) -> Problem:
    """A task, or a member of a group, with fewer documents or clusters than a bootstrap needs.

    `at_equal_weights`: a group has more, but those of its smallest tasks weigh more than others. `tests`: it
    is one of so many that are tested together, and would do if they were fewer.
    """
    whose = "each of its tasks" if of_each else "the task"
    which = "a task of the group has" if of_each else "it has"
    if at_equal_weights:
        whose, which = "its smallest tasks", "it tells as much as a task of"
    together, fewer = "", ""
    if tests > 1:
        together = f" where {tests} drops are tested together"
        fewer = ", or fewer checkpoints, seeds or tasks in the check"
    message = (
        f"{task}: {which} {found} {unit}{'' if found == 1 else 's'}, and noise can be told from {least} "
        f"on{together}: measure more of {whose}{fewer}"
    )
    return problem("too_few_to_resample", message, task=task, count=found)


def too_few_of_a_class(task: str, metric: str, documents: int, least: int) -> Problem:
    """A task by F1 or Matthews' correlation whose rarer class has too few documents."""
    which = "positive documents" if metric == "f1" else "documents outside the most frequent class"
    message = (
        f"{task}: {documents} {which}, and the noise of {metric} can be told from {least} on: "
        "measure more of them, or take the accuracy"
    )
    return problem("too_few_to_resample", message, task=task, count=documents)


def no_deviation(task: str, change: float, documents: int) -> Problem:
    """Every document changed by the same amount, so that there is no deviation to tell noise by."""
    message = (
        f"{task}: all {documents} documents changed by the same {change:+.4g}, "
        "so that they have no deviation to tell noise by"
    )
    return problem("too_few_to_resample", message, task=task, count=documents)


def no_cluster(task: str, name: str, known: Sequence[str]) -> Problem:
    """The record does not say which documents share a field; `known` are the fields that it has."""
    there = f"; it has {', '.join(known)}" if known else ""
    message = (
        f"{task}: the record does not have the documents' {name!r} (noise.cluster){there}: "
        "measure them again by this suite"
    )
    return problem("not_in_record", message, task=task)


def at_chance(
    task: str, score: float, documents: int, guess: float, told_from: float, confidence: float
) -> Problem:
    """A task that cannot show a drop, because the unedited model only guesses.

    Of models that truly score `told_from` the share 1 - `confidence` is skipped; if that is above 1, of any.
    """
    few = "too few documents to tell any score from that"
    rates = (
        f"{100 * confidence:.3g} % of guesses are skipped, "
        f"and {100 * (1 - confidence):.3g} % of models that score {told_from:.2f}"
    )
    message = (
        f"base at chance ({score:.2f} of {documents} documents, a guess scores {guess:.2f}; "
        f"{few if told_from > 1 else rates})"
    )
    return problem("at_chance", message, task=task, count=documents)


def of_baseline(inner: Problem) -> Problem:
    """The problem that documents cannot be paired, if the reference is a baseline: then it is stale."""
    if inner.kind != "not_comparable":
        return inner
    return inner.model_copy(update={"kind": "baseline_stale"})


# -- checks that cannot be answered --


def no_block(layer: int, model: str, blocks: int) -> Problem:
    """`where.layers` names a block that the model does not have."""
    message = f"where.layers names block {layer}, but {model} has blocks 0-{blocks - 1}"
    return problem("does_not_fit", message, layer=layer)


def has_no_tasks(word: str, metric: str) -> Problem:
    """A key of the suite that applies only to metrics with tasks."""
    message = f"'{word}' does not fit {metric}, which has no tasks"
    return problem("does_not_fit", message, metric=metric)


def noise_has_no_aggregate() -> Problem:
    """`noise` and `aggregate` in one check."""
    return problem("does_not_fit", "noise is told task by task; leave 'aggregate' out")


def does_not_fit(metric: str, message: str) -> Problem:
    """A check that does not fit its metric, in the words used when a suite is refused."""
    return problem("does_not_fit", message, metric=metric)


def circular(key: str, word: str) -> Problem:
    """`may_change` is defined by what was edited, so that nothing could violate it."""
    message = f"may_change.{key}: {word} allows whatever the editor did; name the {key} instead"
    return problem("does_not_fit", message)


def nothing_edited() -> Problem:
    """The check refers to edited matrices, but none was edited."""
    return problem("nothing_edited", "no matrix was edited")


def no_layer_left(wanted: str, blocks: int) -> Problem:
    """A word for layers that selects none."""
    message = {
        "before_edited": "no block lies before the first edited one (block 0)",
        "after_edited": f"no block lies after the last edited one (block {blocks - 1})",
        "unedited": f"every block (0-{blocks - 1}) holds an edited matrix",
    }.get(wanted, "where.layers selects no block")
    return problem("nothing_selected", message)


def selects_nothing() -> Problem:
    """`where` selects nothing that was measured."""
    return problem("nothing_selected", "'where' selects nothing that was measured")


# -- references --


def no_reference(called: str, label: str) -> Problem:
    """The reference has no value of the same key; `label` names the key."""
    return problem("not_comparable", f"{called} has no value{label} to compare with")


def reference_not_finite(called: str, label: str, reference: float) -> Problem:
    """A reference that is NaN or infinite."""
    message = f"{called} is {reference}{label}: nothing can be compared with it"
    return problem("does_not_fit", message)


def reference_zero(called: str, label: str, change: str) -> Problem:
    """A reference of 0, which cannot be divided by."""
    message = f"{called} is 0{label}, so no {change} can be taken; use 'change: absolute'"
    return problem("does_not_fit", message)


def not_above_zero(called: str, task: str, score: float, change: str) -> Problem:
    """A score of which no share can be taken, so that noise in a ratio cannot be told."""
    message = (
        f"{task}: {called} scores {score:.4g}, of which no {change} can be taken; use 'change: absolute'"
    )
    return problem("does_not_fit", message, task=task)


def no_matrices(over: str) -> Problem:
    """`relative_to: unedited` for a metric that is not over matrices."""
    message = f"'relative_to: unedited' compares matrices, and this metric has a value for each {over}"
    return problem("does_not_fit", message)


def all_edited() -> Problem:
    """`relative_to: unedited`, but every layer is edited."""
    message = "every layer holds an edited matrix: none is left to compare with"
    return problem("nothing_selected", message)


def none_of_its_kind() -> Problem:
    """`relative_to: unedited`, but every matrix of this kind is edited."""
    return problem("nothing_selected", "no matrix of its kind is unedited")


def no_baseline(why: str, save: str) -> Problem:
    """There is no baseline; `save` is the command that makes this record the baseline."""
    message = f"{why}; make it: {save}" if save else why
    return Problem(kind="baseline_missing", message=message, command=save or None)


def stale_baseline(why: str, update: str = "") -> Problem:
    """A baseline that was measured on other things; `update` is the command that replaces it."""
    message = f"{why}; update it: {update}" if update else why
    return Problem(kind="baseline_stale", message=message, command=update or None)


# -- problems of the run --

UNFINISHED = "the run did not finish: what it did not come to is not judged"


def unfinished(record: Record) -> str:
    """That a record is of a run that did not finish, and after which edit it was interrupted."""
    for run in record.runs:
        if run.error is not None and run.error.kind == "interrupted":
            made = f"{len(run.edits)} edit{'' if len(run.edits) == 1 else 's'}"
            by = f"interrupted after {made} of {run.editor.name} at seed {run.seed}"
            return f"the run did not finish, {by}: what it did not come to is not judged"
    return UNFINISHED


def failed_after(edits: int) -> str:
    """`run failed after 7 edits`."""
    return f"run failed after {edits} edit{'' if edits == 1 else 's'}"


def why_failed(run: Run) -> Problem:
    """`run failed after 7 edits: ...`; the last of these edits may be what broke the model."""
    edits = run.failed_at or 0
    message = f"{failed_after(edits)}: {run.error or 'no reason was recorded'}"
    return problem("run_failed", message, edits=edits, seed=run.seed)


def of_seed(inner: Problem, seed: int) -> Problem:
    """The problem with its seed, if there are several seeds."""
    return reworded(inner, f"seed {seed}: {inner.message}", seed=seed)


def truncated(edits: int) -> Problem:
    """A run that was stopped at its first failure, judged by another suite that does not fail there."""
    message = f"the run was stopped at {edits} edits, and what came after was not measured"
    return problem("run_truncated", message, edits=edits)


# -- problems with the bound --


def base_past_bound(value: float, where: str, bound: str) -> Problem:
    """The unedited model itself is past the bound."""
    place = f" at {where}" if where else ""
    message = f"base is past this bound ({value:.4g}{place}, bound {bound})"
    return problem("base_past_bound", message, expected=bound, got=f"{value:.4g}")


def too_few_documents(documents: int, detects: float, limit: float) -> Problem:
    """Too few documents to detect a drop of `max_detectable`."""
    message = (
        f"{documents} documents show no drop below {detects:.2f}, and max_detectable is {limit:g}: "
        "measure more of them"
    )
    return problem("too_few_documents", message, count=documents)


def within_noise() -> Problem:
    """Past the bound, but by no more than chance may explain."""
    return problem("within_noise", WITHIN_NOISE)


def may_be_chance(by_chance: float, confidence: float) -> Problem:
    """A value within noise that `on_inconclusive: fail` cannot fail, since it may be chance."""
    message = (
        f"{WITHIN_NOISE}: {share(by_chance)} of models that dropped nothing look like this, and "
        f"'on_inconclusive: fail' fails {share(1 - confidence)} of them at most; measure more documents, "
        "allow a larger drop, or write 'on_inconclusive: warn'"
    )
    return problem("too_few_documents", message)


def not_tested(documents: int, low: float, high: float, by_chance: float) -> str:
    """What chance has to do with a drop that failed a check without `noise`."""
    return (
        f"not tested for noise: {documents:,} documents, 95 % limits [{low:.2g}, {high:.2g}], and "
        f"{share(by_chance)} of models that dropped nothing look like this"
    )


def share(probability: float) -> str:
    """`12 %`, `0.4 %` or `less than 0.1 %`."""
    percent = 100 * probability
    return f"{percent:.2g} %" if percent >= 0.1 else "less than 0.1 %"


def about_failures(
    *,
    by_chance: float | None,
    held_again: int | None,
    besides: Problem | None,
    untested: str = "",
) -> str:
    """The message of a check that failed, shown next to its value.

    `by_chance` is set if all failures are within noise: the share of models without a drop that look so.
    """
    within = f"{WITHIN_NOISE} (on_inconclusive: fail)"
    words = []
    if by_chance is not None:
        words.append(f"{within}; {share(by_chance)} of models that dropped nothing look like this")
    words += [untested] if untested else []
    words += [] if held_again is None else [f"held again at {held_again}"]
    words += [] if besides is None else [besides.message]
    return "; ".join(words)
