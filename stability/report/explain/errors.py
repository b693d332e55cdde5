"""Why a check is an error, and what to do: told by the judge's message, the first kind that matches."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from stability.record import Run
from stability.report.explain.documents import seeing_more
from stability.report.explain.evidence import Situation
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
from stability.report.explain.suggestion import Attempt, by_suite, command
from stability.report.steps import wording

Make = Callable[[Situation], Attempt | None]

SUITE_FILE = "in the suite file; a record need not be measured again: `stability judge RUN --suite FILE`"
IN_COMMAND = re.compile(r"(?:make it|update it): (stability baseline .+)")
LEVEL = re.compile(r"needs --level (\w+)")
NO_CHECKPOINT = re.compile(r"'at: (\d+)' is no checkpoint")


@dataclass(frozen=True)
class Trouble:
    """A kind of message, what it means in a sentence, and what helps, most promising first."""

    pattern: str
    means: str
    remedies: tuple[Make, ...] = ()


def trouble_of(message: str) -> Trouble:
    """The kind that a message is of; the last one fits all."""
    return next(trouble for trouble in TROUBLES if re.search(trouble.pattern, message))


def read_message(s: Situation) -> Attempt | None:
    """For what nobody foresaw."""
    again = s.record.command if s.again else ""
    return Attempt("the message says what is missing; put that right and run it again", wording.clean(again))


def edits_before(s: Situation) -> Attempt | None:
    """A run that ends before what failed: at the last edit that left a sound model."""
    ends = [_sound_until(run) for run in s.runs if run.status == "failed"]
    if not all(ends) or not ends:
        return None
    words = f"judge what came before: the first {min(ends)} edits"
    return Attempt(words, command(s, lambda again, entry: again.run(entry.called, edits=min(ends))))


def _sound_until(run: Run) -> int:
    """The edits before the one that failed; a model with NaN in it was measured after it was made."""
    counts = {
        point.edits: point.readings["nonfinite"].values.get("", 0.0)
        for point in run.checkpoints
        if "nonfinite" in point.readings
    }
    failed = run.failed_at or 0
    if not counts.get(failed):
        return failed
    return max((edits for edits, count in counts.items() if not count), default=0)


def other_bound(s: Situation) -> Attempt | None:
    """A bound that a model as it comes can meet."""
    how = (
        "compare with the base (`relative_to: base`)" if s.verdict.relative_to is None else "widen the bound"
    )
    return Attempt(f"{how}, {SUITE_FILE}")


def correct_suite(s: Situation) -> Attempt | None:
    """The suite asks for something else than there is."""
    return Attempt(f"correct the check as the message says, {SUITE_FILE}")


def other_task(s: Situation) -> Attempt | None:
    """A task that the model can do."""
    return Attempt("choose tasks that the unedited model does better than by guessing, or a larger model")


def task_data(s: Situation) -> Attempt | None:
    """Documents on the disk."""
    return Attempt("put the task's documents where STABILITY_DATA or `tasks: {data: DIR}` points")


def answer_accuracy(s: Situation) -> Attempt | None:
    """For edits without an old answer."""
    return Attempt("ask `edit_accuracy` in the suite: it needs no old answer to compare with")


def to_the_end(s: Situation) -> Attempt | None:
    """A run that does not stop."""
    return by_suite(s, "run.stop_on=never", "measure to the end")


def measured_there(s: Situation) -> Attempt | None:
    """The checkpoint that a check asks for."""
    found = NO_CHECKPOINT.search(s.verdict.message)
    spec = s.again.spec() if s.again else None
    if found is None or spec is None:
        return correct_suite(s)
    wanted = tuple(sorted({*spec.run.checkpoints, int(found[1])}))
    made = command(s, lambda again, entry: again.run(entry.called, checkpoints=wanted))
    return Attempt(f"measure after {found[1]} edits, too", made)


def asked_again(s: Situation) -> Attempt | None:
    """A run whose suite asks for the figure: costly ones are only measured then."""
    return Attempt(
        f"run a suite that asks for {s.verdict.metric}: costly figures are only measured if a check asks"
    )


def deeper_gate(s: Situation) -> Attempt | None:
    """The gate at the level that the message names."""
    found = LEVEL.search(s.verdict.message)
    return Attempt("run the gate at that level", gate_again(s.record, found[1]) if found else "")


def name_edits(s: Situation) -> Attempt | None:
    """The edits that a checkpoint was made with."""
    return Attempt("tell the gate what was edited: --edits FILE (docs/gate.md)")


def baseline(s: Situation) -> Attempt | None:
    """The command that the message ends in."""
    found = IN_COMMAND.search(s.verdict.message)
    words = "make this run the baseline, if it is one to measure others by"
    return (
        Attempt(words, wording.clean(found[1]))
        if found
        else Attempt(f"{words}: `stability baseline save RUN`")
    )


TROUBLES = (
    Trouble(
        r"run failed after.*(NaN|nan|infinite|not finite)",
        "The edits left a model that gives NaN, and the run ended there.",
        (float32, mended_key, learning_rate, ft_l, frobenius, edits_before),
    ),
    Trouble(
        r"run failed after.*[Oo]ut ?[Oo]f ?[Mm]emory",
        "The run ended for lack of memory, which says nothing of the editor.",
        (half, one_at_a_time, edits_before),
    ),
    Trouble(
        r"run failed after.*interrupted",
        "Somebody stopped the run, so the rest was not measured.",
        (read_message,),
    ),
    Trouble(
        r"run failed after",
        "The editor's run ended at that edit, and what came after was not measured.",
        (examine, edits_before),
    ),
    Trouble(
        r"base is past this bound",
        "The unedited model itself is past the bound, so it says nothing of any editor.",
        (other_bound,),
    ),
    Trouble(
        r"max_detectable",
        "Too few documents were asked to see a drop of the size that the suite wants seen; nothing found "
        "is then no news.",
        (seeing_more,),
    ),
    Trouble(
        r"require_data|no data|STABILITY_DATA|is missing; copy it there|holds no documents",
        "The task's documents are not there.",
        (task_data,),
    ),
    Trouble(
        r"every task of this check was skipped",
        "None of its tasks can show a drop, so the check could not have failed.",
        (other_task,),
    ),
    Trouble(
        r"baseline",
        "There is no earlier record that this one can be compared with.",
        (baseline,),
    ),
    Trouble(
        r"the run was stopped at|the run stopped at",
        "The run was ended early, at its first failure or by one, and what came after is unknown.",
        (to_the_end,),
    ),
    Trouble(
        r"is no checkpoint of this run",
        "The check asks about a number of edits after which nothing was measured.",
        (measured_there,),
    ),
    Trouble(
        r"needs --level",
        "The gate did not look so deep, and the suite insists on it (`require: true`).",
        (deeper_gate,),
    ),
    Trouble(
        r"edits not verified",
        "Nobody told the gate what was edited, and the suite insists on it (`require: true`).",
        (name_edits,),
    ),
    Trouble(
        r"no target_true",
        "These edits bring no old answer that the new one could be compared with.",
        (answer_accuracy,),
    ),
    Trouble(
        r"not measured: the record has no",
        "The record holds no such figure: the suite that was run did not ask for it.",
        (asked_again,),
    ),
    Trouble(
        r"does not fit|leave '|names block|no matrix was edited|no block lies|holds an edited matrix"
        r"|selects nothing|use 'change: absolute'|nothing can be compared|allows whatever the editor did",
        "The suite asks something that this run cannot answer.",
        (correct_suite,),
    ),
    Trouble(r"", "The message says what stood in the way.", (read_message,)),
)
