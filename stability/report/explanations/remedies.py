"""What can be tried, one function a remedy: its words, the editors that it fits, and how it is run.

A remedy that does not fit the editor or the run is None. `REMEDIES` holds them by name; which ones a metric
has, and in which order, stands in `texts`.
"""

from __future__ import annotations

import math
import shlex
from collections.abc import Callable, Mapping
from typing import Any

from stability.judge.change import unedited_medians
from stability.judge.reasons import CannotJudge, NothingSelected
from stability.judge.select import Scene
from stability.report import wording
from stability.report.explanations.attempt import (
    Attempt,
    by_editor,
    by_setting,
    by_suite,
    by_wrapping,
    command,
)
from stability.report.explanations.situation import Situation
from stability.suite import parse_bound
from stability.vocabulary import COSTS, GATE

USUAL_RATIO = 1.5  # the wrapper's own default
ROOM = 0.95  # of the bound that a constraint leaves unused
USUAL_EVERY = 10
TAKING = ("edit_success", "edit_accuracy", "paraphrase_success")
HALVES = ("float16", "bfloat16")
ROOMIER: Mapping[str, tuple[str, Callable[[float], float]]] = {
    "frobenius": ("max_ratio", lambda now: 1 + 2 * max(now - 1, 0.1)),
    "rect": ("kept", lambda now: min(1.0, 1.5 * now)),
    "reset": ("every", lambda now: 2 * now),
    "revive": ("tau", lambda now: now / 2),
    "sphere": ("alpha", lambda now: now / 2),
}
"""The setting by which each wrapper holds back, and a value at which it does so less."""
IN_BATCHES = ("memit", "pmet", "emmet", "alphaedit", "encore")


def frobenius(s: Situation) -> Attempt | None:
    """A bound on the norm, below that of the check where it is about the norm."""
    ratio = _ratio(s)
    if ratio is None:
        return None

    def words(settings: Mapping[str, Any]) -> str:
        most = settings.get("max_ratio", USUAL_RATIO)
        return (
            f"bound the norm: frobenius({s.called}) scales each edited matrix back to {most:g} times its "
            "first norm; a bound alone mends nothing, so see that edits take and tasks hold"
        )

    given = {} if ratio == USUAL_RATIO else {"max_ratio": ratio}
    return by_wrapping(s, "frobenius", words, **given)


def tighter(s: Situation) -> Attempt | None:
    """A smaller bound, where the editor has one already."""
    ratio = _ratio(s)
    if s.method.name != "frobenius" or ratio is None or ratio >= s.method.settings["max_ratio"]:
        return None
    now = s.method.settings["max_ratio"]
    return _of_wrapper(s, "max_ratio", ratio, f"tighten the bound: max_ratio {ratio:g} in place of {now:g}")


def reset(s: Situation) -> Attempt | None:
    """The first norm restored every so often, before the check failed."""

    def words(settings: Mapping[str, Any]) -> str:
        every = settings.get("every", USUAL_EVERY)
        return (
            f"reset the norm: reset({s.called}) scales edited matrices to their first norm every {every} "
            "edits"
        )

    every = min(USUAL_EVERY, s.verdict.held_to or USUAL_EVERY)
    return by_wrapping(s, "reset", words, **({} if every == USUAL_EVERY else {"every": every}))


def sphere(s: Situation) -> Attempt | None:
    """SPHERE."""
    return by_wrapping(
        s, ("sphere"), lambda _: f"keep changes out of the matrix's main directions: sphere({s.called})"
    )


def revive(s: Situation) -> Attempt | None:
    """REVIVE."""
    return by_wrapping(s, "revive", lambda _: f"spare the matrix's strongest directions: revive({s.called})")


def rect(s: Situation) -> Attempt | None:
    """RECT."""
    words = f"change less: rect({s.called}) makes only the relatively largest part of each change"
    return by_wrapping(s, "rect", lambda _: words)


def prune(s: Situation) -> Attempt | None:
    """PRUNE."""
    words = f"hold down the strongest directions of the change: prune({s.called})"
    return by_wrapping(s, "prune", lambda _: words)


def alphaedit(s: Situation) -> Attempt | None:
    """Null-space projection."""
    if s.method.core.name == "nas":  # is one
        return None
    return by_editor(s, "alphaedit", "use alphaedit, which leaves alone what the layer does on ordinary text")


def encore(s: Situation) -> Attempt | None:
    """ENCORE, for an editor of its kind; others have nearer things to try."""
    if s.method.family != "closed form":
        return None
    return by_editor(
        s, ("encore"), "use encore, which stops its search early and restrains the norm of the change"
    )


def nas(s: Situation) -> Attempt | None:
    """NAS."""
    return by_editor(s, "nas", "use nas, which writes values of the norm usual in the unedited model")


def closed_form(s: Situation) -> Attempt | None:
    """MEMIT, for an editor that trains."""
    if s.method.family != "trained":
        return None
    return by_editor(s, "memit", "use memit, which solves for the change in place of training it in")


def mended_key(s: Situation) -> Attempt | None:
    """R-ROME."""
    if s.method.core.name != "rome" or s.setting("key") != "original":
        return None
    return by_setting(s, "key", "mended", "use one key throughout, as R-ROME does: key: mended")


def learning_rate(s: Situation) -> Attempt | None:
    """A smaller learning rate, for an editor that has one; MEND's is that of its training."""
    rate = s.setting("lr")
    if s.method.core.name == "mend" or not _is_number(rate):
        return None
    gentle = _rounded(rate / 4)
    return by_setting(
        s, "lr", gentle, f"train more gently: lr {gentle:g} in place of {rate:g}; see that edits still take"
    )


def ft_l(s: Situation) -> Attempt | None:
    """FT-L, or a smaller box for it."""
    reach = s.setting("norm_constraint")
    if s.method.core.name == "ft_l" and _is_number(reach):
        smaller = _rounded(reach / 2)
        words = f"hold weights nearer to where they were: norm_constraint {smaller:g} in place of {reach:g}"
        return by_setting(s, "norm_constraint", smaller, words)
    if s.method.core.name != "ft":
        return None
    return by_editor(s, "ft_l", "use ft_l, which holds every weight near where it was")


def clamp(s: Situation) -> Attempt | None:
    """A shorter way for the value that is written."""
    factor = s.setting("clamp_norm_factor")
    if not _is_number(factor):
        return None
    shorter = _rounded(factor / 2)
    words = (
        f"let a fact move the state less: clamp_norm_factor {shorter:g} in place of {factor:g}; see that "
        "edits take"
    )
    return by_setting(s, "clamp_norm_factor", shorter, words)


def fewer(s: Situation) -> Attempt | None:
    """As many edits as held; the exact number where it is not known."""
    v = s.verdict
    if s.is_on_disk or v.failed_at is None or not _is_about_edits(s):
        return None
    held = v.held_to or 0
    if not held and v.metric in TAKING:  # no number of edits takes
        return None
    shown = _course(s, held, v.failed_at)
    if held and v.failed_at - held <= (s.suite("run", "edits", "batch") or 1):
        return Attempt(f"edit at most {held} facts into one model{s.share(held)}", effect=shown)
    found = command(s, lambda again, entry: again.run(entry.called, verb="horizon"))
    words = (
        f"edit at most {held} facts into one model{s.share(held)}; how many more hold, short of "
        f"{v.failed_at}, is its stability horizon"
        if held
        else (
            f"edit fewer facts than {v.failed_at}{s.share(v.failed_at)}, at which it failed when it was "
            "first looked at; how many hold is its stability horizon"
        )
    )
    return Attempt(words, found, effect=shown)


def _course(s: Situation, held: int, failed: int) -> str:
    """The values at both ends of the bracket, at the seed that it is of."""
    for seed in s.verdict.seeds:
        values = {point.edits: point.value for point in seed.points}
        if (seed.held_to or 0, seed.failed_at) == (held, failed) and {held, failed} <= values.keys():
            return (
                f"{wording.number(values[held])} at {held} edits, {wording.number(values[failed])} at "
                f"{failed}"
            )
    return ""


def guard(s: Situation) -> Attempt | None:
    """Transactions, where edits are made while a service runs."""
    if s.is_on_disk or s.method.family == "control" or not _is_about_edits(s):
        return None
    return Attempt(
        "in a service, let stability.Guard roll back the batch that breaks this check (docs/guard.md)"
    )


def relax(s: Situation) -> Attempt | None:
    """More room, where a wrapper may be what keeps edits from taking."""
    if s.method.inside is None or s.method.name not in ROOMIER:
        return None
    key, wider = ROOMIER[s.method.name]
    now = s.method.settings[key]
    then = wider(now) if isinstance(now, int) else _rounded(wider(now))
    words = f"give edits more room: {s.method.name}'s {key} {then:g} in place of {now:g}"
    return _of_wrapper(s, key, then, words)


def more_steps(s: Situation) -> Attempt | None:
    """A longer search or training; MEND's and continual pre-training's steps mean something else."""
    key = next((key for key in ("v_num_grad_steps", "num_steps") if _is_number(s.setting(key))), None)
    if key is None or s.method.core.name in ("mend", "cpt"):
        return None
    steps = s.setting(key)
    return by_setting(s, key, 2 * steps, f"give each edit more steps: {key} {2 * steps} in place of {steps}")


def fewer_steps(s: Situation) -> Attempt | None:
    """A shorter search or training, where it takes too long."""
    key = next((key for key in ("v_num_grad_steps", "num_steps") if _is_number(s.setting(key))), None)
    if key is None or s.method.core.name in ("mend", "cpt") or s.setting(key) < 2:
        return None
    steps = s.setting(key)
    words = f"give each edit fewer steps: {key} {steps // 2} in place of {steps}; see that edits still take"
    return by_setting(s, key, steps // 2, words)


def one_at_a_time(s: Situation) -> Attempt | None:
    """No batches."""
    batch = s.suite("run", "edits", "batch")
    if not _is_number(batch) or batch <= 1 or s.is_on_disk:
        return None
    return by_suite(s, "run.edits.batch=1", f"make edits one at a time, not {batch} in a batch")


def in_batches(s: Situation) -> Attempt | None:
    """Batches, for the methods that solve many edits at once."""
    if s.method.core.name not in IN_BATCHES or (s.suite("run", "edits", "batch") or 1) > 1:
        return None
    return by_suite(s, "run.edits.batch=10", "make ten edits in one batch: they are solved together")


def control(s: Situation) -> Attempt | None:
    """Nothing was to be edited."""
    if s.method.family != "control":
        return None
    return Attempt(
        "none is the control and edits nothing; leave it out of this check: `except: none` in the suite"
    )


def float32(s: Situation) -> Attempt | None:
    """More digits."""
    if not any(name in s.record.model.dtype for name in HALVES) or s.is_on_disk:
        return None
    return by_suite(
        s, "model.dtype=float32", f"edit in float32: {s.record.model.dtype} has little room for large numbers"
    )


def half(s: Situation) -> Attempt | None:
    """Fewer bytes."""
    if "float32" not in s.record.model.dtype or s.is_on_disk:
        return None
    return by_suite(s, "model.dtype=bfloat16", "load the model in bfloat16, which takes half the memory")


def less_text(s: Situation) -> Attempt | None:
    """Shorter measurements."""
    tokens = s.suite("text", "tokens")
    words = "measure less: fewer checkpoints, tasks.limit, or fewer tokens of text"
    if not _is_number(tokens) or tokens < 2 or s.is_on_disk:
        return Attempt(words)
    return by_suite(s, f"text.tokens={tokens // 2}", f"{words} ({tokens // 2} in place of {tokens})")


def examine(s: Situation) -> Attempt | None:
    """The conformance kit, which tries what a run takes for granted."""
    if s.is_on_disk:
        return None
    entry = s.entry
    if entry is None:
        return Attempt("look the editor over: `stability check-editor` tries what a run takes for granted")
    words = ["stability", "check-editor", entry.name]
    words += ["--model", s.record.model.name] if s.record.model.name != "world" else []
    if entry.settings:  # which a name alone does not bring along
        return Attempt(f"look the editor over with its settings: {shlex.join(words)} --set …")
    return Attempt("look the editor over: it is tried on what a run takes for granted", shlex.join(words))


def keep_to_layers(s: Situation) -> Attempt | None:
    """The layers that may change, where the editor can be told."""
    allowed, layers = _allowed_layers(s), s.setting("layers")
    if allowed is None or not isinstance(layers, (list, tuple)):
        return None
    kept = [layer for layer in layers if layer in allowed]
    if not kept or len(kept) == len(layers):
        return None
    return by_setting(
        s, "layers", kept, f"keep the editor to the allowed layers: layers {kept} in place of {list(layers)}"
    )


def allow(s: Situation) -> Attempt | None:
    """The suite, where the change is meant."""
    return Attempt(
        "if the change is meant, widen `may_change` in the suite; if not, find what in the editor touches "
        "it: stability check-editor has a check for that"
    )


def versions(s: Situation) -> Attempt | None:
    """The earlier version, where that is what is compared with."""
    if s.verdict.relative_to != "previous":
        return None
    return Attempt(
        "see what else differs from the earlier version: `stability compare BASELINE RUN`; if the change is "
        "meant, `stability baseline update RUN` makes this run the baseline"
    )


def saved_alike(s: Situation) -> Attempt | None:
    """Checkpoints written the same way."""
    return Attempt("save the edited model as the base was: same class, dtype and head, with save_pretrained")


def same_files(s: Situation) -> Attempt | None:
    """Files that editing has no business with."""
    return Attempt("copy config.json and the tokenizer's files from the base, unless their change is meant")


def look_at_table(s: Situation) -> Attempt | None:
    """What a gate prints above its verdicts."""
    return Attempt(
        "see rank and changed elements of each tensor in the table that `stability gate` prints first"
    )


def remake(s: Situation) -> Attempt | None:
    """For a checkpoint: whoever made it has to make it again."""
    if not s.is_on_disk:
        return None
    return Attempt("make the checkpoint again, from the base, with fewer edits")


REMEDIES: Mapping[str, Callable[[Situation], Attempt | None]] = {
    make.__name__: make
    for make in (
        allow,
        alphaedit,
        clamp,
        closed_form,
        control,
        encore,
        examine,
        fewer,
        fewer_steps,
        float32,
        frobenius,
        ft_l,
        guard,
        half,
        in_batches,
        keep_to_layers,
        learning_rate,
        less_text,
        look_at_table,
        mended_key,
        more_steps,
        nas,
        one_at_a_time,
        prune,
        rect,
        relax,
        remake,
        reset,
        revive,
        same_files,
        saved_alike,
        sphere,
        tighter,
        versions,
    )
}


def _of_wrapper(s: Situation, key: str, value: float, words: str) -> Attempt:
    """A setting of the outermost wrapper changed."""
    outer = s.method.name
    made = command(s, lambda again, entry: again.run(entry.called, f"{entry.label or outer}.{key}={value:g}"))
    return Attempt(words, made)


def _ratio(s: Situation) -> float | None:
    """The bound for `frobenius`: the usual one, or less if the check asks for less; None: it cannot help."""
    v = s.verdict
    high = parse_bound(v.bound).high
    if (
        v.metric != "weight_norm"
        or v.change != "ratio"
        or not math.isfinite(high)
        or v.relative_to == "previous"
    ):
        return USUAL_RATIO
    start = _first_imbalance(s) if v.relative_to == "unedited" else 1.0
    ratio = math.floor(100 * ROOM * high / start) / 100
    return min(USUAL_RATIO, ratio) if ratio > 1 else None


def _first_imbalance(s: Situation) -> float:
    """How much larger than the unedited layers' the matrix was before any edit."""
    reading = s.record.base.readings.get(s.verdict.metric)
    if reading is None or s.verdict.key not in reading.values:
        return 1.0
    try:
        median = unedited_medians(reading, Scene.of(s.record.model, s.runs[0])).get(s.verdict.key)
    except (CannotJudge, NothingSelected):
        return 1.0
    return reading.values[s.verdict.key] / median if median else 1.0


def _allowed_layers(s: Situation) -> frozenset[int] | None:
    """The layers that the suite lets an editor change, where it names them."""
    spec = s.again.spec() if s.again else None
    if spec is None or spec.may_change is None or not isinstance(spec.may_change.layers, tuple):
        return None
    return frozenset(spec.may_change.layers)


def _is_about_edits(s: Situation) -> bool:
    """Whether it is the number of edits that a check depends on, and nothing but this run."""
    return s.verdict.metric not in {*COSTS, *GATE} and s.verdict.relative_to != "previous"


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _rounded(value: float) -> float:
    """Three digits, as a person would write it."""
    short = float(wording.number(value))
    return int(short) if short.is_integer() else short
