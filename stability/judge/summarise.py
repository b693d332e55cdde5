"""From the trials of a check, over checkpoints and seeds, to its verdict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from stability.judge.reduce import distance
from stability.judge.trial import Case, Question, Trial
from stability.judge.verdict import Point, SeedVerdict, Status, Verdict
from stability.record import Run


def summarise(
    question: Question, cases: Sequence[Case], trials: Sequence[Sequence[Trial]], problem: str | None
) -> Verdict:
    """One verdict; `trials` holds those of each case, `problem` says why no trial can count.

    A measured failure is a failure, whatever else could not be measured. Short of one, anything that could
    not be measured is an error; then comes what is within noise, what held, and what looked at nothing.
    """
    settled = [settle(question, case, of_case) for case, of_case in zip(cases, trials, strict=True)]
    everything = [trial for of_case in settled for trial in of_case]
    status, message = _status(question, everything, problem)
    seeds = tuple(seed_verdict(question, case, of_case) for case, of_case in zip(cases, settled, strict=True))
    verdict = Verdict(
        editor=cases[0].run.editor.name,
        check=question.id,
        name=question.name,
        metric=question.check.metric,
        status=status,
        bound=question.check.bound.text,
        severity=question.check.severity,
        relative_to=question.check.relative_to,
        change=question.check.change if question.check.relative_to else None,
        message=message,
        seeds=seeds,
    )
    if problem is None:
        verdict = _with_bracket(verdict)
    shown = _shown(question, everything, status)
    return verdict if shown is None else _with_value(verdict, question, shown, everything)


def settle(question: Question, case: Case, trials: Sequence[Trial]) -> list[Trial]:
    """The trials of one run in order, with what the run itself makes of them.

    A run that failed adds its error. Where a check looks at nothing at one checkpoint and at something at
    another, the former was not measured.
    """
    ordered = sorted(trials, key=lambda trial: trial.edits)
    must = question.check.require or any(trial.value is not None for trial in ordered)
    settled = [
        replace(trial, outcome="error", reason=_required(question, trial))
        if must and trial.outcome == "nothing"
        else trial
        for trial in ordered
    ]
    if case.run.status == "failed":
        settled.insert(0, Trial(case.run.seed, case.run.failed_at or 0, "error", reason=why_failed(case.run)))
    return settled


def why_failed(run: Run) -> str:
    """`run failed after 7 edits: ...`; the last of them may be what broke the model."""
    made = run.failed_at or 0
    return f"run failed after {made} edit{'' if made == 1 else 's'}: {run.error or 'no reason was recorded'}"


def _required(question: Question, trial: Trial) -> str:
    if question.check.require:
        return f"{trial.reason}, and the check says 'require: true'"
    return f"not measured at {trial.edits} edits: {trial.reason}"


def is_failure(question: Question, trial: Trial) -> bool:
    """Whether the trial counts as failed; one within noise does under `on_inconclusive: fail`."""
    noise = question.check.noise
    return trial.outcome == "failed" or (
        trial.outcome == "inconclusive" and noise is not None and noise.on_inconclusive == "fail"
    )


def seed_verdict(question: Question, case: Case, trials: Sequence[Trial]) -> SeedVerdict:
    """The bracket of one run, and its points."""
    status, message = _status(question, trials, None)
    failures = [trial.edits for trial in trials if is_failure(question, trial)]
    failed_at = min(failures, default=None)
    held = [trial.edits for trial in trials if trial.outcome == "held"]
    if failed_at is None:
        held_to = max(held, default=None)
    else:  # the unedited model is known to hold, unless it is what failed
        held_to = max([edits for edits in held if edits < failed_at], default=0 if failed_at else None)
    points = tuple(
        Point(
            trial.edits,
            trial.value,
            trial.where,
            trial.outcome,
            trial.finding.low if trial.finding else None,
            trial.finding.high if trial.finding else None,
        )
        for trial in trials
        if trial.value is not None and trial.outcome in ("held", "failed", "inconclusive")
    )
    return SeedVerdict(case.run.seed, status, held_to, failed_at, points, message)


def _status(question: Question, trials: Sequence[Trial], problem: str | None) -> tuple[Status, str]:
    """The status, and what there is to say about it."""
    if problem is not None:
        return "error", problem
    failures = [trial for trial in trials if is_failure(question, trial)]
    if failures:
        status: Status = "warn" if question.check.severity == "warn" else "fail"
        return status, _about_failures(failures, trials)
    errors = [trial for trial in trials if trial.outcome == "error"]
    if errors:
        return "error", _said(errors[0], trials)
    if (blind := _undetectable(question, trials)) is not None:
        return "error", blind
    if any(trial.outcome == "inconclusive" for trial in trials):
        return "inconclusive", "past the bound, but within noise"
    if any(trial.outcome == "held" for trial in trials):
        nothing = [trial for trial in trials if trial.outcome == "nothing"]
        return "pass", _said(nothing[0], trials) if nothing else ""
    return "skip", trials[0].reason if trials else "there is no run"


def _about_failures(failures: Sequence[Trial], trials: Sequence[Trial]) -> str:
    words = []
    if all(trial.outcome == "inconclusive" for trial in failures):
        words.append("past the bound, but within noise (on_inconclusive: fail)")
    first = {trial.seed: trial.edits for trial in reversed(failures)}
    again = [
        trial.edits
        for trial in trials
        if trial.outcome == "held" and trial.edits > first.get(trial.seed, trial.edits)
    ]
    if again:
        words.append(f"held again at {min(again)}")
    errors = [trial for trial in trials if trial.outcome == "error"]
    if errors:
        words.append(_said(errors[0], trials))
    return "; ".join(words)


def _undetectable(question: Question, trials: Sequence[Trial]) -> str | None:
    """Why too few documents were measured to count on: a drop that should be seen would not be."""
    limit = question.check.noise.max_detectable if question.check.noise else None
    detects = max((trial.detects for trial in trials if trial.detects is not None), default=None)
    if limit is None or detects is None or detects <= limit:
        return None
    documents = max(trial.finding.n for trial in trials if trial.finding)
    return (
        f"{documents} documents show no drop below {detects:.2f}, and max_detectable is {limit:g}: "
        "measure more of them"
    )


def _said(trial: Trial, trials: Sequence[Trial]) -> str:
    """The trial's reason, with its seed where there are several."""
    several = len({each.seed for each in trials}) > 1
    return f"seed {trial.seed}: {trial.reason}" if several else trial.reason


def _with_bracket(verdict: Verdict) -> Verdict:
    """The bracket of the seed that failed first; of those that did not, what all held to."""
    failed = [seed for seed in verdict.seeds if seed.failed_at is not None]
    if failed:
        first = min(failed, key=lambda seed: (seed.failed_at or 0, seed.held_to or 0))
        return replace(verdict, held_to=first.held_to, failed_at=first.failed_at)
    held = [seed.held_to for seed in verdict.seeds if seed.held_to is not None]
    return replace(verdict, held_to=min(held, default=None))


def _shown(question: Question, trials: Sequence[Trial], status: Status) -> Trial | None:
    """The trial whose value the verdict shows: the worst of those that decided it."""
    measured = [trial for trial in trials if trial.value is not None]
    deciding = [trial for trial in measured if trial.outcome == "failed"]
    deciding = deciding or [trial for trial in measured if trial.outcome == "inconclusive"] or measured
    bound = question.check.bound
    return min(deciding, key=lambda trial: distance(bound, trial.value or 0.0), default=None)


def _with_value(verdict: Verdict, question: Question, shown: Trial, trials: Sequence[Trial]) -> Verdict:
    value = shown.value
    assert value is not None
    found = shown.finding
    failed = verdict.status in ("fail", "warn")
    detects = [trial.detects for trial in trials if trial.detects is not None]
    return replace(
        verdict,
        value=value,
        where=shown.where,
        key=shown.key,
        checkpoint=shown.edits,
        seed=shown.seed,
        margin=question.check.bound.margin(value),
        coverage=shown.coverage,
        interval=(found.low, found.high) if found else None,
        p_value=found.p_value if found else None,
        flip_rate=found.flip_rate if found else None,
        detects=(found.detects if failed and found else max(detects, default=None)),
    )
