"""Explanations of checks that are errors, and what to do, by the kind of the problem."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from stability.errors import ProblemKind
from stability.record import Run
from stability.report.explain.documents import seeing_more
from stability.report.explain.evidence import Evidence
from stability.report.explain.rerun import gate_again
from stability.report.explain.steps.procedure import examine
from stability.report.explain.steps.tuning import (
    float32,
    ft_l,
    half,
    learning_rate,
    mended_key,
    one_at_a_time,
)
from stability.report.explain.steps.wrappers import frobenius
from stability.report.explain.suggestion import Suggestion, by_suite, command
from stability.report.steps import wording

Make = Callable[[Evidence], Suggestion | None]

SUITE_FILE = "in the suite file; a record need not be measured again: `stability judge RUN --suite FILE`"


@dataclass(frozen=True)
class ErrorAdvice:
    """What a kind of problem means, in a sentence, and its remedies, the most promising first."""

    means: str
    remedies: tuple[Make, ...] = ()


def advice_on(e: Evidence) -> ErrorAdvice:
    """The advice on the verdict's problem; for a failed run, by the kind of the run's error."""
    problem = e.verdict.problem
    if problem is None:
        return ANY_OTHER
    if problem.kind == "run_failed":
        errors = [run.error for run in e.runs if run.error and problem.seed in (None, run.seed)]
        return next((RUN_FAILED[error.kind] for error in errors if error.kind in RUN_FAILED), ANY_FAILURE)
    return BY_KIND.get(problem.kind, ANY_OTHER)


def read_message(e: Evidence) -> Suggestion | None:
    """For problems without an entry of their own."""
    again = e.rerun.again if e.rerun else ""
    return Suggestion(
        "the message says what is missing; put that right and run it again", wording.clean(again)
    )


def edits_before(e: Evidence) -> Suggestion | None:
    """A run that ends before the failure, at the last edit after which the model still worked."""
    ends = [_sound_until(run) for run in e.runs if run.status == "failed"]
    if not all(ends) or not ends:
        return None
    words = f"judge what came before: the first {min(ends)} edits"
    return Suggestion(words, command(e, lambda rerun, entry: rerun.run(entry.called, edits=min(ends))))


def _sound_until(run: Run) -> int:
    """The number of edits before the one that failed; a model with NaN was measured after that edit."""
    counts = {
        point.edits: point.readings["nonfinite"].values.get("", 0.0)
        for point in run.checkpoints
        if "nonfinite" in point.readings
    }
    failed = run.failed_at or 0
    if not counts.get(failed):
        return failed
    return max((edits for edits, count in counts.items() if not count), default=0)


def other_bound(e: Evidence) -> Suggestion | None:
    """A bound that the unedited model meets."""
    how = (
        "compare with the base (`relative_to: base`)" if e.verdict.relative_to is None else "widen the bound"
    )
    return Suggestion(f"{how}, {SUITE_FILE}")


def correct_suite(e: Evidence) -> Suggestion | None:
    """The check does not fit what was measured."""
    return Suggestion(f"correct the check as the message says, {SUITE_FILE}")


def other_task(e: Evidence) -> Suggestion | None:
    """A task that the unedited model can do."""
    return Suggestion("choose tasks that the unedited model does better than by guessing, or a larger model")


def task_data(e: Evidence) -> Suggestion | None:
    """The task's documents on disk."""
    return Suggestion("put the task's documents where STABILITY_DATA or `tasks: {data: DIR}` points")


def answer_accuracy(e: Evidence) -> Suggestion | None:
    """A metric for edits without an old answer."""
    return Suggestion("ask `edit_accuracy` in the suite: it needs no old answer to compare with")


def to_the_end(e: Evidence) -> Suggestion | None:
    """A run that does not stop at the first failure."""
    return by_suite(e, "run.stop_on=never", "measure to the end")


def measured_there(e: Evidence) -> Suggestion | None:
    """The checkpoint that a check asks for."""
    problem = e.verdict.problem
    spec = e.rerun.spec() if e.rerun else None
    if problem is None or problem.edits is None or spec is None:
        return correct_suite(e)
    wanted = tuple(sorted({*spec.run.checkpoints, problem.edits}))
    made = command(e, lambda rerun, entry: rerun.run(entry.called, checkpoints=wanted))
    return Suggestion(f"measure after {problem.edits} edits, too", made)


def asked_again(e: Evidence) -> Suggestion | None:
    """A run of a suite that asks for the metric: expensive ones are only measured then."""
    return Suggestion(
        f"run a suite that asks for {e.verdict.metric}, in a check or in `record`: "
        "costly figures are only measured if it does"
    )


def deeper_gate(e: Evidence) -> Suggestion | None:
    """The gate at the level that the message names."""
    level = e.verdict.problem.level if e.verdict.problem else None
    return Suggestion("run the gate at that level", gate_again(e.record, level) if level else "")


def name_edits(e: Evidence) -> Suggestion | None:
    """The edits with which the checkpoint was made."""
    return Suggestion("tell the gate what was edited: --edits FILE (docs/gate.md)")


def baseline(e: Evidence) -> Suggestion | None:
    """The command that creates or replaces the baseline."""
    words = "make this run the baseline, if it is one to measure others by"
    made = e.verdict.problem.command if e.verdict.problem else None
    return (
        Suggestion(words, wording.clean(made))
        if made
        else Suggestion(f"{words}: `stability baseline save RUN`")
    )


NO_BASELINE = ErrorAdvice("There is no earlier record that this one can be compared with.", (baseline,))
UNANSWERABLE = ErrorAdvice("The suite asks something that this run cannot answer.", (correct_suite,))
ANY_OTHER = ErrorAdvice("The message says what stood in the way.", (read_message,))

ANY_FAILURE = ErrorAdvice(
    "The editor's run ended at that edit, and what came after was not measured.", (examine, edits_before)
)

RUN_FAILED: Mapping[ProblemKind, ErrorAdvice] = {
    "not_finite": ErrorAdvice(
        "The edits left a model that gives NaN, and the run ended there.",
        (float32, mended_key, learning_rate, ft_l, frobenius, edits_before),
    ),
    "out_of_memory": ErrorAdvice(
        "The run ended for lack of memory, which says nothing of the editor.",
        (half, one_at_a_time, edits_before),
    ),
    "interrupted": ErrorAdvice("Somebody stopped the run, so the rest was not measured.", (read_message,)),
}
"""Advice by the kind of the error that ended the run."""

BY_KIND: Mapping[ProblemKind, ErrorAdvice] = {
    "base_past_bound": ErrorAdvice(
        "The unedited model itself is past the bound, so it says nothing of any editor.",
        (other_bound,),
    ),
    "too_few_documents": ErrorAdvice(
        "Too few documents were asked to see a drop of the size that the suite wants seen; nothing found "
        "is then no news.",
        (seeing_more,),
    ),
    "too_few_to_resample": ErrorAdvice(
        "A drop of this score is told from noise by resampling its documents, and these are too few, or too "
        "much alike, for that.",
        (seeing_more,),
    ),
    "no_data": ErrorAdvice("The task's documents are not there.", (task_data,)),
    "at_chance": ErrorAdvice(
        "None of its tasks can show a drop, so the check could not have failed.",
        (other_task,),
    ),
    "baseline_missing": NO_BASELINE,
    "baseline_stale": NO_BASELINE,
    "run_truncated": ErrorAdvice(
        "The run was ended early, at its first failure or by one, and what came after is unknown.",
        (to_the_end,),
    ),
    "no_such_checkpoint": ErrorAdvice(
        "The check asks about a number of edits after which nothing was measured.",
        (measured_there,),
    ),
    "needs_level": ErrorAdvice(
        "The gate did not look so deep, and the suite insists on it (`require: true`).",
        (deeper_gate,),
    ),
    "edits_not_verified": ErrorAdvice(
        "Nobody told the gate what was edited, and the suite insists on it (`require: true`).",
        (name_edits,),
    ),
    "no_target_true": ErrorAdvice(
        "These edits bring no old answer that the new one could be compared with.",
        (answer_accuracy,),
    ),
    "not_in_record": ErrorAdvice(
        "The record holds no such figure: the suite that was run did not ask for it.",
        (asked_again,),
    ),
    "does_not_fit": UNANSWERABLE,
    "nothing_edited": UNANSWERABLE,
    "nothing_selected": UNANSWERABLE,
}
"""Advice by the kind of the problem, for kinds about which more can be said than the message does."""
