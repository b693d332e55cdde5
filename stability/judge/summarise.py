"""The fifth step: from the results of an assertion, over checkpoints and seeds, to its verdict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, replace

from stability.judge import words
from stability.judge.inputs import Assertion, RecordedRun
from stability.judge.reduce import PointResult
from stability.judge.verdict import Bracket, NoiseFigures, Point, SeedVerdict, Status, Verdict, WorstValue
from stability.record import Problem


def summarise(
    assertions: Sequence[Assertion],
    runs: Sequence[RecordedRun],
    results: Sequence[PointResult],
    unedited: Sequence[PointResult],
) -> list[Verdict]:
    """A verdict for each assertion of one check, from the `results` of all of them in all runs.

    `unedited` are the results of the assertions on the unedited model.
    """
    verdicts = []
    for assertion in assertions:
        mine = [result for result in results if result.assertion is assertion]
        past = base_past_bound([result for result in unedited if result.assertion is assertion])
        by_run = [settle(assertion, run, [result for result in mine if result.run is run]) for run in runs]
        verdicts.append(verdict_of(assertion, runs, by_run, past))
    return _none_unjudged(verdicts) if _may_not_be_skipped(assertions[0], runs[0]) else verdicts


def _may_not_be_skipped(assertion: Assertion, run: RecordedRun) -> bool:
    """Whether the check names tasks, so that skipping all of them has to be an error."""
    metric = assertion.check.metric
    reading = run.record.base.readings.get(metric)
    is_by_task = assertion.task is not None or (reading is not None and reading.over == "task")
    return is_by_task and metric not in run.record.not_asked


def _none_unjudged(verdicts: list[Verdict]) -> list[Verdict]:
    """If all tasks of a check are skipped, it could not have failed; the verdicts become errors."""
    if any(verdict.status != "skip" for verdict in verdicts):
        return verdicts
    return [
        as_error(verdict, words.all_skipped(verdict.problem)) if verdict.problem else verdict
        for verdict in verdicts
    ]


def as_error(verdict: Verdict, problem: Problem) -> Verdict:
    """The verdict as an error."""
    return replace(verdict, status="error", message=problem.message, problem=problem)


def base_past_bound(unedited: Sequence[PointResult]) -> Problem | None:
    """The problem that the unedited model itself is past the bound, so that the check says nothing."""
    for result in unedited:
        check = result.assertion.check
        if check.at is not None and 0 in check.at:
            return None  # the check looks at the unedited model too, and then it simply fails there
        if result.outcome == "failed" and result.value is not None:
            return words.base_past_bound(result.value, result.where, check.bound.text)
    return None


def settle(assertion: Assertion, run: RecordedRun, results: Sequence[PointResult]) -> list[PointResult]:
    """The results of one run in order, completed by what is known of the run.

    A failed run adds its error. If a check finds nothing to look at in some checkpoints only, these were not
    measured, which is an error.
    """
    ordered = sorted(results, key=lambda result: result.edits)
    if not ordered and assertion.check.metric not in run.record.not_asked:
        ordered = [PointResult.error(assertion, run, 0, words.never_measured())]
    must = assertion.check.require or any(result.value is not None for result in ordered)
    settled = [
        result.as_error(_must_be_there(assertion, result, result.problem))
        if must and result.outcome == "nothing" and result.problem is not None
        else result
        for result in ordered
    ]
    if run.run.status == "failed":
        failed = PointResult.error(assertion, run, run.run.failed_at or 0, words.why_failed(run.run))
        settled.insert(0, failed)
    return settled


def _must_be_there(assertion: Assertion, result: PointResult, problem: Problem) -> Problem:
    if assertion.check.require:
        return words.required(problem)
    return words.not_measured(problem, result.edits)


def verdict_of(
    assertion: Assertion,
    runs: Sequence[RecordedRun],
    by_run: Sequence[Sequence[PointResult]],
    past: Problem | None,
) -> Verdict:
    """One verdict from the results of each run; with `past`, it is an error for that reason."""
    everything = [result for results in by_run for result in results]
    check = assertion.check
    verdict = Verdict(
        editor=runs[0].run.editor.name,
        check=assertion.id,
        name=assertion.name,
        metric=check.metric,
        status="skip",
        bound=check.bound.text,
        severity=check.severity,
        relative_to=check.relative_to,
        change=check.change if check.relative_to else None,
        task=assertion.task,
    )
    seeds = tuple(
        seed_verdict(decided(verdict, assertion, results, None), run, results)
        for run, results in zip(runs, by_run, strict=True)
    )
    verdict = replace(decided(verdict, assertion, everything, past), seeds=seeds)
    if past is None:
        verdict = replace(verdict, bracket=bracket_of(seeds))
    shown = _shown(assertion, everything)
    return verdict if shown is None else _with_value(verdict, assertion, shown, everything)


def decided(
    verdict: Verdict, assertion: Assertion, results: Sequence[PointResult], past: Problem | None
) -> Verdict:
    """The verdict with its status, and with a message about it.

    A measured failure is a failure, whatever else could not be measured. Without one, anything that could not
    be measured makes it an error. Then come inconclusive results, those that held, and those that had nothing
    to look at.
    """
    if past is not None:
        return as_error(verdict, past)
    failures = [result for result in results if is_failure(result)]
    errors = [result for result in results if result.outcome == "error"]
    said = _said(errors[0], results) if errors else None
    if failures:
        return _failed(verdict, failures, results, said)
    if said is not None:
        return as_error(verdict, said)
    if (blind := _undetectable(assertion, results)) is not None:
        return as_error(verdict, blind)
    if (refused := _may_be_chance(assertion, results)) is not None:
        return as_error(verdict, refused)
    if any(result.outcome == "inconclusive" for result in results):
        problem = words.within_noise()
        return replace(verdict, status="inconclusive", message=problem.message, problem=problem)
    nothing = [result for result in results if result.outcome == "nothing"]
    if any(result.outcome == "held" for result in results):
        aside = _said(nothing[0], results) if nothing else None
        return replace(verdict, status="pass", message=aside.message if aside else "")
    reason = nothing[0].problem if nothing else None
    return replace(
        verdict, status="skip", message=reason.message if reason else "there is no run", problem=reason
    )


def is_failure(result: PointResult) -> bool:
    """Whether the result counts as a failure; one within noise may do with `on_inconclusive: fail`."""
    return result.outcome == "failed" or (
        result.outcome == "inconclusive" and result.drop is not None and result.drop.fails_inconclusive
    )


def _failed(
    verdict: Verdict, failures: Sequence[PointResult], results: Sequence[PointResult], besides: Problem | None
) -> Verdict:
    within_noise = all(result.outcome == "inconclusive" for result in failures)
    first = {result.run.run.seed: result.edits for result in reversed(failures)}
    again = [
        result.edits
        for result in results
        if result.outcome == "held" and result.edits > first.get(result.run.run.seed, result.edits)
    ]
    chances = [
        result.drop.by_chance for result in failures if result.drop and result.drop.by_chance is not None
    ]
    untested = _worst(failures).untested
    message = words.about_failures(
        by_chance=min(chances) if within_noise and chances else None,
        held_again=min(again, default=None),
        besides=besides,
        untested=words.not_tested(*astuple(untested)) if untested else "",
    )
    status: Status = "warn" if verdict.severity == "warn" else "fail"
    problem = words.within_noise() if within_noise else None
    return replace(verdict, status=status, message=message, problem=problem)


def _may_be_chance(assertion: Assertion, results: Sequence[PointResult]) -> Problem | None:
    """The problem that `on_inconclusive: fail` would fail too many models that dropped nothing; else None."""
    noise = assertion.check.noise
    if noise is None or noise.on_inconclusive != "fail":
        return None
    unsure = [result for result in results if result.outcome == "inconclusive"]
    chances = [
        result.drop.by_chance for result in unsure if result.drop and result.drop.by_chance is not None
    ]
    return words.may_be_chance(min(chances), noise.confidence) if chances else None


def _undetectable(assertion: Assertion, results: Sequence[PointResult]) -> Problem | None:
    """The problem if too few documents were measured to detect a drop of `max_detectable`; else None."""
    noise = assertion.check.noise
    limit = noise.max_detectable if noise else None
    detects = max((result.detects for result in results if result.detects is not None), default=None)
    if limit is None or detects is None or detects <= limit:
        return None
    documents = max(result.drop.n for result in results if result.drop)
    return words.too_few_documents(documents, detects, limit)


def _said(result: PointResult, results: Sequence[PointResult]) -> Problem | None:
    """The result's problem, with its seed if there are several."""
    several = len({each.run.run.seed for each in results}) > 1
    if result.problem is None or not several:
        return result.problem
    return words.of_seed(result.problem, result.run.run.seed)


def seed_verdict(verdict: Verdict, run: RecordedRun, results: Sequence[PointResult]) -> SeedVerdict:
    """The verdict of one run: its bracket, and its points."""
    failed_at = min((result.edits for result in results if is_failure(result)), default=None)
    held = [result.edits for result in results if result.outcome == "held"]
    if failed_at is None:
        held_to = max(held, default=None)
    else:  # the unedited model held, unless it is what failed
        held_to = max([edits for edits in held if edits < failed_at], default=0 if failed_at else None)
    points = tuple(
        Point(
            result.edits,
            result.value,
            result.where,
            result.outcome,
            result.drop.low if result.drop else None,
            result.drop.high if result.drop else None,
        )
        for result in results
        if result.value is not None and result.outcome in ("held", "failed", "inconclusive")
    )
    return SeedVerdict(run.run.seed, verdict.status, held_to, failed_at, points, verdict.message)


def bracket_of(seeds: Sequence[SeedVerdict]) -> Bracket:
    """The bracket of the seed that failed first; if none failed, the edits to which all of them held."""
    failed = [seed for seed in seeds if seed.failed_at is not None]
    if failed:
        first = min(failed, key=lambda seed: (seed.failed_at or 0, seed.held_to or 0))
        return Bracket(first.held_to, first.failed_at)
    held = [seed.held_to for seed in seeds if seed.held_to is not None]
    return Bracket(min(held, default=None))


def _shown(assertion: Assertion, results: Sequence[PointResult]) -> PointResult | None:
    """The result whose value is shown: the worst of those that decided the verdict."""
    measured = [result for result in results if result.value is not None]
    deciding = [result for result in measured if result.outcome == "failed"]
    unsure = [result for result in measured if result.outcome == "inconclusive"]
    deciding = deciding or [result for result in unsure if is_failure(result)] or unsure or measured
    return _worst(deciding) if deciding else None


def _worst(results: Sequence[PointResult]) -> PointResult:
    """The one that is farthest outside the bound."""
    return min(results, key=lambda result: result.assertion.check.bound.reach(result.value or 0.0))


def _with_value(
    verdict: Verdict, assertion: Assertion, shown: PointResult, results: Sequence[PointResult]
) -> Verdict:
    value, drop = shown.value, shown.drop
    assert value is not None
    failed = verdict.status in ("fail", "warn")
    detects = [result.detects for result in results if result.detects is not None]
    measured = [result for result in results if result.value is not None]
    needed = [result.drop.documents_to_detect for result in measured if result.drop is not None]
    enough = [documents for documents in needed if documents is not None]
    margin = assertion.check.bound.margin(value)
    return replace(
        verdict,
        worst=WorstValue(value, shown.where, shown.key, shown.edits, shown.run.run.seed, margin),
        noise=NoiseFigures(
            interval=(drop.low, drop.high) if drop else None,
            p_value=drop.p_value if drop else None,
            flip_rate=drop.flip_rate if drop else None,
            detects=drop.detects if failed and drop else max(detects, default=None),
            shown_to_hold=all(result.shown_to_hold for result in measured) if drop else None,
            level=drop.level if drop else None,
            by_chance=shown.untested.by_chance if shown.untested else drop.by_chance if drop else None,
            false_failures=drop.false_failures if drop else None,
            documents_to_detect=max(enough, default=None),
        ),
        coverage=shown.coverage,
    )
