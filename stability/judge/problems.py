"""Everything that the judge says of what it could not judge, in words; what it is, the problem's kind says.

Nothing else in the judge makes such sentences, and nothing at all reads them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Unpack

from stability.errors import Details, ProblemKind
from stability.record import Problem, Run

NOT_VERIFIED = "stability only: edits not verified"
WITHIN_NOISE = "past the bound, but within noise"


class Unjudged(Exception):  # noqa: N818
    """There is no value to hold against the bound; `problem` says why."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem


class CannotJudge(Unjudged):
    """The check cannot be judged. Becomes an `error`."""


class NothingSelected(Unjudged):
    """The check looks at nothing here, and that is no fault. Becomes a `skip`."""


def problem(kind: ProblemKind, message: str, **details: Unpack[Details]) -> Problem:
    """A problem of the judge's."""
    return Problem(kind=kind, message=message, **details)


def cannot(kind: ProblemKind, message: str, **details: Unpack[Details]) -> CannotJudge:
    """The same as an exception: an `error`."""
    return CannotJudge(problem(kind, message, **details))


def nothing(kind: ProblemKind, message: str, **details: Unpack[Details]) -> NothingSelected:
    """The same as an exception: a `skip`."""
    return NothingSelected(problem(kind, message, **details))


def reworded(inner: Problem, message: str, **details: Unpack[Details]) -> Problem:
    """A problem of the same kind, with more words round its message."""
    return inner.model_copy(update={"message": message, **details})


# -- what is not there --


def not_measured(inner: Problem, edits: int) -> Problem:
    """A metric that could not be measured at a checkpoint, for the reason that the record holds."""
    return reworded(inner, f"not measured at {edits} edits: {inner.message}", edits=edits)


def not_in_record(metric: str, edits: int) -> Problem:
    """A metric that nobody asked to be measured."""
    message = f"not measured: the record has no {metric} at {edits} edits"
    return problem("not_in_record", message, metric=metric, edits=edits)


def no_task(metric: str, task: str) -> Problem:
    """A task that nobody asked to be measured."""
    return problem(
        "not_in_record", f"not measured: the record has no task {task!r}", metric=metric, task=task
    )


def no_checkpoint(run: Run, edits: int, known: Sequence[int]) -> Problem:
    """`at` names a number of edits after which nothing was measured; `known` are those there are."""
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
    """Every value is left out; the first reason stands for all."""
    key, inner = next(iter(left_out.items()))
    if is_one_task:
        return inner
    more = f" and {len(left_out) - 1} more" if len(left_out) > 1 else ""
    return reworded(inner, f"{key}: {inner.message}{more}")


def data_required(inner: Problem) -> Problem:
    """A task without a value, where the suite insists on one."""
    return reworded(inner, f"{inner.message}, and the suite says 'require_data'")


def required(inner: Problem) -> Problem:
    """A check that looks at nothing, and must not."""
    return reworded(inner, f"{inner.message}, and the check says 'require: true'")


def all_skipped(inner: Problem) -> Problem:
    """A check whose tasks are all skipped could not have failed."""
    return reworded(inner, f"every task of this check was skipped: {inner.message}")


def not_comparable(task: str, words: str) -> CannotJudge:
    """A task's documents at two times do not allow a test."""
    return cannot("not_comparable", f"{task}: {words}", task=task)


def of_baseline(inner: Problem) -> Problem:
    """Documents that cannot be paired, where it is the baseline's that do not fit."""
    is_fit = inner.kind == "not_comparable"
    return inner.model_copy(update={"kind": "baseline_stale"}) if is_fit else inner


# -- what the run was --


def failed_after(edits: int) -> str:
    """`run failed after 7 edits`."""
    return f"run failed after {edits} edit{'' if edits == 1 else 's'}"


def why_failed(run: Run) -> Problem:
    """`run failed after 7 edits: ...`; the last of them may be what broke the model."""
    edits = run.failed_at or 0
    message = f"{failed_after(edits)}: {run.error or 'no reason was recorded'}"
    return problem("run_failed", message, edits=edits, seed=run.seed)


def of_seed(inner: Problem, seed: int) -> Problem:
    """With the seed, where there are several."""
    return reworded(inner, f"seed {seed}: {inner.message}", seed=seed)


def truncated(edits: int) -> Problem:
    """A run that was stopped at its first failure, judged by a suite that it does not fail."""
    message = f"the run was stopped at {edits} edits, and what came after was not measured"
    return problem("run_truncated", message, edits=edits)


# -- what the bound can tell --


def base_past_bound(value: float, where: str, bound: str) -> Problem:
    """The unedited model itself is past the bound."""
    place = f" at {where}" if where else ""
    message = f"base is past this bound ({value:.4g}{place}, bound {bound})"
    return problem("base_past_bound", message, expected=bound, got=f"{value:.4g}")


def too_few_documents(documents: int, detects: float, limit: float) -> Problem:
    """A drop that should be seen would not be."""
    message = (
        f"{documents} documents show no drop below {detects:.2f}, and max_detectable is {limit:g}: "
        "measure more of them"
    )
    return problem("too_few_documents", message, count=documents)


def within_noise() -> Problem:
    """Past the bound, but by no more than chance explains."""
    return problem("within_noise", WITHIN_NOISE)


def about_failures(*, all_within_noise: bool, held_again: int | None, besides: Problem | None) -> str:
    """What there is to say of a check that failed, beside its value."""
    words = [f"{WITHIN_NOISE} (on_inconclusive: fail)"] if all_within_noise else []
    words += [] if held_again is None else [f"held again at {held_again}"]
    words += [] if besides is None else [besides.message]
    return "; ".join(words)
