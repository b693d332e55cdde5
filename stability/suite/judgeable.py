"""Checks that could never be judged, or never fail: found when a suite is read, before anything is edited."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from stability.parts import MetricHead, Over
from stability.suite.bounds import Bound
from stability.suite.schema import CheckSpec, MayChange, Where

Location = tuple[str | int, ...]
Mistake = tuple[Location, str]

WHERE_KEYS: Mapping[Over, tuple[str, ...]] = {
    "matrix": ("layers", "matrices"),
    "layer": ("layers",),
    "pair": ("pairs",),
    "task": ("task",),
}
_CHANGES = {"ratio": "ratio", "relative": "relative change"}
FROZEN = "frozen_weights"
WITHOUT_EDITED = ("unedited", "before_edited", "after_edited")  # layers that hold no edited matrix


@dataclass(frozen=True)
class Around:
    """What of the rest of a suite decides whether its checks can be judged.

    `editors` are called so; `is_run` says that one is to be run, whether the suite names it or not.
    """

    editors: Collection[str] = ()
    is_run: bool = False
    may_change: MayChange | None = None


def mistakes(
    checks: Mapping[str, CheckSpec], heads: Mapping[str, MetricHead], around: Around
) -> Iterator[Mistake]:
    """Why checks could never be judged, or never fail, each with the key of the suite that is to blame.

    A check whose metric has no entry in `heads` is taken as it is: nothing is known of it yet.
    """
    tasks = {task for check in checks.values() for task in tasks_of(check)}
    for name, check in checks.items():
        head = heads.get(check.metric)
        if head is None:
            continue
        for location, message in _of_check(check, head, around, tasks):
            yield ("checks", name, *location), message
    if around.may_change is not None and any(check.metric == FROZEN for check in checks.values()):
        yield from _of_may_change(around.may_change)


def warnings(checks: Mapping[str, CheckSpec], heads: Mapping[str, MetricHead]) -> Iterator[Mistake]:
    """What a check can be judged by, but should not be, each with the key of the suite that it is about."""
    for name, check in checks.items():
        head = heads.get(check.metric)
        if head is not None and head.over == "task" and is_untested(check):
            yield (
                ("checks", name),
                "a drop that is chance fails this check; write 'noise: {confidence: 0.95}' to test for that",
            )


def is_untested(check: CheckSpec) -> bool:
    """Whether the check is about a drop that `noise` could be told of, and does not ask for it."""
    is_drop = check.relative_to in ("base", "previous") and math.isfinite(check.bound.low)
    return is_drop and check.noise is None and check.aggregate is None


def tasks_of(check: CheckSpec) -> tuple[str, ...]:
    """The tasks that a check names."""
    return (*check.for_each.get("task", ()), *([check.where.task] if check.where.task else []))


def misfits(metric: str, over: str, where: Where) -> Iterator[tuple[str, str]]:
    """The keys of `where` that select nothing of such a metric, each with what would."""
    known = next((keys for kind, keys in WHERE_KEYS.items() if kind == over), ())
    for key in ("layers", "matrices", "pairs", "task"):
        if getattr(where, key) is None or key in known:
            continue
        if over == "scalar":
            yield key, f"'where.{key}' does not fit {metric}, which is a single value; leave 'where' out"
        else:
            fitting = " and ".join(f"'where.{name}'" for name in known) or "no 'where' at all"
            yield (
                key,
                f"'where.{key}' does not fit {metric}, which has a value for each {over}; it takes {fitting}",
            )


def _of_check(
    check: CheckSpec, head: MetricHead, around: Around, tasks: Collection[str]
) -> Iterator[Mistake]:
    yield from _of_form(check, head)
    if head.about == "model":
        yield from _against_the_unedited_model(check, head)
    else:
        yield from _before_any_edit(check)
    yield from _of_bound(check, head)
    yield from _of_selection(check, head)
    yield from _of_noise(check)
    yield from _of_the_rest(check, head, around, tasks)


def _of_form(check: CheckSpec, head: MetricHead) -> Iterator[Mistake]:
    """What the check asks for does not fit what the metric has a value for."""
    metric, over = check.metric, head.over
    for where, message in misfits(metric, over, check.where):
        yield ("where", where), message
    if check.relative_to == "unedited" and over != "matrix":
        what = "is a single value" if over == "scalar" else f"has a value for each {over}"
        yield (
            ("relative_to",),
            f"'relative_to: unedited' compares matrices, and {metric} {what}; write 'base' or 'previous'",
        )
    if over != "task":
        for key, word in (("for_each", "for_each: task"), ("noise", "noise")):
            if getattr(check, key):
                yield (key,), f"'{word}' does not fit {metric}, which has no tasks; leave it out"
    if check.aggregate and over == "scalar":
        yield (
            ("aggregate",),
            f"'aggregate' does not fit {metric}, which is a single value; leave it out",
        )


def _before_any_edit(check: CheckSpec) -> Iterator[Mistake]:
    """The unedited model has no such value."""
    if check.relative_to == "base":
        yield (
            ("relative_to",),
            f"the unedited model has no {check.metric} to compare with, since no edit was made; "
            "leave it out, or write 'previous'",
        )
    if check.at is not None and 0 in check.at:
        yield ("at",), f"there is no {check.metric} at 0 edits, since no edit was made; leave the 0 out"


def _against_the_unedited_model(check: CheckSpec, head: MetricHead) -> Iterator[Mistake]:
    """What the metric's definition and the comparison say of the unedited model decides the check."""
    metric = check.metric
    if head.unedited == 0 and check.change != "absolute" and _reference(check, head) is not None:
        of = "the unedited model" if check.relative_to == "base" else "what no edit has changed"
        yield (
            ("relative_to",),
            f"the {metric} of {of} is 0, so no {_CHANGES[check.change]} can be taken; "
            "leave 'relative_to' out, since the metric itself compares with the unedited model",
        )
        return
    value = _on_the_unedited_model(check, head)
    if value is None:
        return
    if not check.bound.holds(value):
        yield ("assert",), f"the unedited model itself is past this bound: of it, this is always {value:g}"
    elif check.at == (0,):
        yield ("at",), f"of the unedited model, this is always {value:g}, so that the check cannot fail"


def _reference(check: CheckSpec, head: MetricHead) -> float | None:
    """What values are divided by, where the metric's definition says it."""
    if check.relative_to == "base" or (check.relative_to == "unedited" and head.over == "matrix"):
        return head.unedited
    return None


def _on_the_unedited_model(check: CheckSpec, head: MetricHead) -> float | None:
    """What the check looks at on the unedited model, where definitions alone say it."""
    if check.relative_to is None:
        return head.unedited
    if check.relative_to == "base" or (_reference(check, head) is not None):
        return 1.0 if check.change == "ratio" else 0.0
    return None


def _of_bound(check: CheckSpec, head: MetricHead) -> Iterator[Mistake]:
    """A bound that every number is inside of, or none, or that the metric's largest value cannot tell."""
    if is_boundless(check.bound):
        yield ("assert",), f"{check.assertion!r} holds for every number, so that the check cannot fail"
    elif is_empty(check.bound):
        yield ("assert",), f"{check.assertion!r} holds for no number, so that the check cannot hold"
    elif head.largest is not None and check.relative_to is None and _passes_more(check.bound, head.largest):
        yield (
            ("assert",),
            f"a {check.metric} of {head.largest:g} stands for any larger one, so that {check.assertion!r} "
            f"cannot be told; write '< {head.largest:g}' or less",
        )


def _passes_more(bound: Bound, largest: float) -> bool:
    """Whether a value that stands for larger ones is inside, though some of those are not."""
    return bound.high < math.inf and bound.holds(largest)


def is_boundless(bound: Bound) -> bool:
    """Whether every finite number is inside."""
    return bound.low == -math.inf and bound.high == math.inf


def is_empty(bound: Bound) -> bool:
    """Whether no finite number is inside: an end is infinite on its own side, or no number at all."""
    return math.isnan(bound.low) or math.isnan(bound.high) or bound.low == math.inf or bound.high == -math.inf


def _of_selection(check: CheckSpec, head: MetricHead) -> Iterator[Mistake]:
    """Words of `where` that select nothing together, or only what no edit has changed."""
    layers, matrices = check.where.layers, check.where.matrices
    if head.over != "matrix" or layers not in WITHOUT_EDITED:
        return
    if matrices is not None and set(matrices) == {"edited"}:
        yield (
            ("where",),
            f"no edited matrix lies in layers that are {layers}: the two words select nothing; leave one out",
        )
    elif check.relative_to != "previous":
        yield (
            ("where", "layers"),
            f"matrices in layers that are {layers} are by definition those of the unedited model, so that "
            "the check cannot fail; frozen_weights checks what should not change",
        )


def _of_noise(check: CheckSpec) -> Iterator[Mistake]:
    """Noise that is not told task by task, or that no number of documents would be enough for."""
    noise = check.noise
    if noise is None:
        return
    if check.aggregate:
        yield ("aggregate",), "noise is told task by task; leave 'aggregate' out"
    tolerance = 1 - check.bound.low if check.change == "ratio" else -check.bound.low
    if noise.max_detectable is not None and tolerance > 0 and noise.max_detectable <= tolerance:
        yield (
            ("noise", "max_detectable"),
            f"no number of documents shows a drop of {noise.max_detectable:g} where {tolerance:g} is "
            f"tolerated; write more than {tolerance:g}",
        )


def _of_the_rest(
    check: CheckSpec, head: MetricHead, around: Around, tasks: Collection[str]
) -> Iterator[Mistake]:
    """What the rest of the suite makes of the check."""
    if head.measured == "gate" and (around.editors or around.is_run):
        yield (
            ("metric",),
            f"{check.metric} is measured by `stability gate` only, on two checkpoints on disk, and not where "
            "an editor is run; put it into a suite without editors",
        )
    if "task" in check.for_each and not check.for_each["task"]:
        yield ("for_each", "task"), "the list of tasks is empty; name at least one"
    elif head.over == "task" and not tasks and (around.editors or around.is_run):
        yield (
            ("metric",),
            f"no check names a task for {check.metric} to score; write 'for_each: {{task: [...]}}'",
        )
    if check.excluded and around.editors and not any(check.concerns(one) for one in around.editors):
        yield ("except",), "every editor of this suite is left out, so that the check is put to none"


def _of_may_change(allowed: MayChange) -> Iterator[Mistake]:
    """What it allows must not depend on what was done."""
    for key, words in (("layers", (allowed.layers,)), ("matrices", allowed.matrices)):
        for word in words:
            if isinstance(word, str) and "edited" in word:
                yield (
                    ("may_change", key),
                    f"{word} allows whatever the editor did, so that {FROZEN} cannot fail; "
                    f"name the {key} instead",
                )
