"""Figures and verdicts in words, for all renderers."""

from __future__ import annotations

import math
from collections.abc import Iterable

from stability.judge import EditorJudgement, Judgement, Status, Verdict
from stability.printable import clean as clean
from stability.printable import clean_lines as clean_lines
from stability.printable import shortened as shortened
from stability.record import Record
from stability.suite import Bound, parse_bound

CALLED: dict[Status, str] = {
    "fail": "failed",
    "error": "could not be measured",
    "pass": "passed",
    "warn": "warned",
    "inconclusive": "inconclusive",
    "skip": "skipped",
}
DIGITS = 3


def number(value: float, bound: Bound | None = None, digits: int = DIGITS, scale: float = 0.0) -> str:
    """A number with that many significant digits, or more if needed to see on which side of a bound it is.

    `scale` is the size of the numbers that it is a difference of, see `Bound.holds`.
    """
    if not math.isfinite(value):
        return "not finite" if math.isnan(value) else f"{value:+}"
    if value == int(value) and abs(value) < 1e6:
        return f"{value + 0.0:.0f}"  # no negative zero
    whole = len(str(int(abs(value)))) if abs(value) < 1e6 else 0  # no exponent below a million
    for shown in range(digits, 18):
        text = f"{value:.{max(shown, whole)}g}"
        if bound is None or bound.holds(float(text), scale) == bound.holds(value, scale):
            return text
    return repr(value)


def percent(share: float) -> str:
    """`+63 %`."""
    return f"{100 * share:+,.0f} %" if abs(share) < 1000 else f"{100 * share:+.1e} %"


def assertion(verdict: Verdict) -> str:
    """`2.96 <= 2.0`, or only the bound if there is no value."""
    return verdict.bound if verdict.value is None else f"{value(verdict)} {verdict.bound}"


def value(verdict: Verdict) -> str:
    """The worst value, with enough digits to see on which side of the bound it is."""
    if verdict.value is None:
        return ""
    scale = 1.0 if verdict.change in ("absolute", "relative") else 0.0
    return number(verdict.value, parse_bound(verdict.bound), scale=scale)


def interval(verdict: Verdict) -> str:
    """`[-0.15, -0.09]`."""
    if verdict.interval is None:
        return ""
    return span(*verdict.interval, parse_bound(verdict.bound))


def span(low: float, high: float, bound: Bound | None = None) -> str:
    """Both ends with the same decimals: two digits of the larger one, or more to keep both on their side."""
    ends = (low, high)
    if not all(map(math.isfinite, ends)):
        return f"[{number(low)}, {number(high)}]"
    largest = max(map(abs, ends))
    decimals = max(0, 1 - math.floor(math.log10(largest))) if largest else 0
    while (
        decimals < 17 and bound and any(bound.holds(round(end, decimals)) != bound.holds(end) for end in ends)
    ):
        decimals += 1
    shown = [f"{round(end, decimals) + 0.0:.{decimals}f}" for end in ends]
    return f"[{shown[0]}, {shown[1]}]"


def bracket(verdict: Verdict) -> str:
    """`held to 20, failed at 60`; `warned at 60` for a check that only warns."""
    if verdict.failed_at is not None:
        first = f"{'warned' if verdict.severity == 'warn' else 'failed'} at {verdict.failed_at}"
        return first if verdict.held_to is None else f"held to {verdict.held_to}, {first}"
    if verdict.status == "inconclusive" and verdict.checkpoint is not None:
        return f"at {verdict.checkpoint}"
    return ""


def reach(verdict: Verdict) -> str:
    """`margin -48 %`, or for a noisy metric `detects 0.08`."""
    if verdict.detects is not None:
        return f"detects {number(verdict.detects, digits=2)}"
    return f"margin {percent(verdict.margin)}" if verdict.margin is not None else ""


def place(verdict: Verdict) -> str:
    """Where the worst value is, and at which seed if there are several and not all held."""
    words = [verdict.where] if verdict.where else []
    if len(verdict.seeds) > 1 and verdict.seed is not None and verdict.status != "pass":
        words.append(f"seed {verdict.seed}")
    return ", ".join(words)


def duration(seconds: float) -> str:
    """`38 s`, `12 min` or `3.4 h`."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 180:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def headline(judgement: Judgement, editor: EditorJudgement) -> str:
    """`norm-growth · memit on world · 120 edits (N/d_k 0.12) · seed 0 · 38 s`."""
    edits = sorted({run.edits for run in editor.runs})
    count = f"{edits[0]}" if len(edits) == 1 else f"{edits[0]}-{edits[-1]}"
    count = count if all(run.edits_known for run in editor.runs) else "unknown"
    noun = "edit" if count == "1" else "edits"
    shares = [run.edits_per_key_dimension for run in editor.runs if run.edits_per_key_dimension is not None]
    relative = f" (N/d_k {number(max(shares), digits=2)})" if shares else ""
    seeds = ", ".join(str(run.seed) for run in editor.runs)
    words = [
        judgement.suite,
        f"{editor.editor} on {judgement.model}",
        f"{count} {noun}{relative}",
        f"{'seed' if len(editor.runs) == 1 else 'seeds'} {seeds}",
        duration(sum(run.seconds for run in editor.runs)),
    ]
    return clean(" · ".join(words))


def again(record: Record, judgement: Judgement) -> str:
    """The command that leads to these verdicts again; empty if there is none."""
    return record.command if judgement.other is None else judgement.other.command


def tally(judgement: Judgement | EditorJudgement) -> str:
    """`2 failed, 3 passed, 1 skipped (task_drop[rte])`; statuses that do not occur are left out.

    The tasks that were skipped are named.
    """
    counts = judgement.counts
    tasks = dict.fromkeys(
        verdict.check for verdict in judgement.verdicts if verdict.status == "skip" and verdict.task
    )
    words = [f"{counts[status]} {called}" for status, called in CALLED.items() if counts[status]]
    named = f" ({clean(', '.join(tasks))})" if tasks else ""
    return (", ".join(words) or "nothing was judged") + named


def details(verdict: Verdict) -> list[str]:
    """Details besides value and bound, the most important first; empty parts are left out."""
    parts: Iterable[str] = (
        place(verdict),
        interval(verdict),
        bracket(verdict),
        reach(verdict),
        verdict.coverage,
        f"{100 * verdict.flip_rate:.0f} % of answers changed" if verdict.flip_rate else "",
        verdict.message,
    )
    return [clean(part) for part in parts if part]


def edits_source(record: Record) -> str:
    """Where the edits came from and, of facts that the model had to know, how many it did not."""
    if not record.passed_over:
        return record.edits_source
    return f"{record.edits_source}, facts that the unedited model knows (passed over: {passed_over(record)})"


def passed_over(record: Record) -> str:
    """How many facts the unedited model did not know, seed by seed; empty where it was not asked."""
    return ", ".join(f"{count} at seed {seed}" for seed, count in sorted(record.passed_over.items()))
