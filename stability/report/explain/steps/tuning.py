"""Remedies that change the method or its settings, or how edits and measurements are made."""

from __future__ import annotations

from stability.report.explain.evidence import Evidence, is_number, rounded
from stability.report.explain.suggestion import Suggestion, by_editor, by_setting, by_suite

HALVES = ("float16", "bfloat16")


def alphaedit(e: Evidence) -> Suggestion | None:
    """Null-space projection."""
    if e.method.core.name == "nas":  # which is a kind of AlphaEdit
        return None
    return by_editor(e, "alphaedit", "use alphaedit, which leaves alone what the layer does on ordinary text")


def encore(e: Evidence) -> Suggestion | None:
    """ENCORE, for an editor of its kind; others have closer alternatives."""
    if e.method.family != "closed form":
        return None
    return by_editor(
        e, "encore", "use encore, which stops its search early and restrains the norm of the change"
    )


def nas(e: Evidence) -> Suggestion | None:
    """NAS."""
    return by_editor(e, "nas", "use nas, which writes values of the norm usual in the unedited model")


def closed_form(e: Evidence) -> Suggestion | None:
    """MEMIT, for an editor that trains."""
    if e.method.family != "trained":
        return None
    return by_editor(e, "memit", "use memit, which solves for the change in place of training it in")


def ft_l(e: Evidence) -> Suggestion | None:
    """FT-L, or a smaller box for it."""
    reach = e.setting("norm_constraint")
    if e.method.core.name == "ft_l" and is_number(reach):
        smaller = rounded(reach / 2)
        words = f"hold weights nearer to where they were: norm_constraint {smaller:g} in place of {reach:g}"
        return by_setting(e, "norm_constraint", smaller, words)
    if e.method.core.name != "ft":
        return None
    return by_editor(e, "ft_l", "use ft_l, which holds every weight near where it was")


def mended_key(e: Evidence) -> Suggestion | None:
    """R-ROME."""
    if e.method.core.name != "rome" or e.setting("key") != "original":
        return None
    return by_setting(e, "key", "mended", "use one key throughout, as R-ROME does: key: mended")


def learning_rate(e: Evidence) -> Suggestion | None:
    """A smaller learning rate, for an editor whose edits have one."""
    rate = e.setting("lr")
    if "lr" in e.method.core.head.not_of_an_edit or not is_number(rate):
        return None
    gentle = rounded(rate / 4)
    return by_setting(
        e, "lr", gentle, f"train more gently: lr {gentle:g} in place of {rate:g}; see that edits still take"
    )


def clamp(e: Evidence) -> Suggestion | None:
    """A tighter limit on the value that is written."""
    factor = e.setting("clamp_norm_factor")
    if not is_number(factor):
        return None
    shorter = rounded(factor / 2)
    words = (
        f"let a fact move the state less: clamp_norm_factor {shorter:g} in place of {factor:g}; see that "
        "edits take"
    )
    return by_setting(e, "clamp_norm_factor", shorter, words)


def more_steps(e: Evidence) -> Suggestion | None:
    """A longer search or training."""
    key = _steps(e)
    if key is None:
        return None
    steps = e.setting(key)
    return by_setting(e, key, 2 * steps, f"give each edit more steps: {key} {2 * steps} in place of {steps}")


def _steps(e: Evidence) -> str | None:
    """The setting with the number of steps for an edit."""
    other = e.method.core.head.not_of_an_edit
    keys = (key for key in ("v_num_grad_steps", "num_steps") if key not in other)
    return next((key for key in keys if is_number(e.setting(key))), None)


def fewer_steps(e: Evidence) -> Suggestion | None:
    """A shorter search or training, if it takes too long."""
    key = _steps(e)
    if key is None or e.setting(key) < 2:
        return None
    steps = e.setting(key)
    words = f"give each edit fewer steps: {key} {steps // 2} in place of {steps}; see that edits still take"
    return by_setting(e, key, steps // 2, words)


def one_at_a_time(e: Evidence) -> Suggestion | None:
    """No batches."""
    if e.batch == 1 or e.is_on_disk:
        return None
    return by_suite(e, "run.edits.batch=1", f"make edits one at a time, not {e.batch} in a batch")


def in_batches(e: Evidence) -> Suggestion | None:
    """Batches, for the methods that solve many edits at once."""
    if not e.method.core.head.solves_batches or e.batch > 1:
        return None
    return by_suite(e, "run.edits.batch=10", "make ten edits in one batch: they are solved together")


def float32(e: Evidence) -> Suggestion | None:
    """Higher precision."""
    if not any(name in e.record.model.dtype for name in HALVES) or e.is_on_disk:
        return None
    return by_suite(
        e, "model.dtype=float32", f"edit in float32, not in {e.record.model.dtype}, which holds fewer digits"
    )


def half(e: Evidence) -> Suggestion | None:
    """Lower precision, to save memory."""
    if "float32" not in e.record.model.dtype or e.is_on_disk:
        return None
    return by_suite(e, "model.dtype=bfloat16", "load the model in bfloat16, which takes half the memory")


def less_text(e: Evidence) -> Suggestion | None:
    """Shorter measurements."""
    tokens = e.suite("text", "tokens")
    words = "measure less: fewer checkpoints, tasks.limit, or fewer tokens of text"
    if not is_number(tokens) or tokens < 2 or e.is_on_disk:
        return Suggestion(words)
    return by_suite(e, f"text.tokens={tokens // 2}", f"{words} ({tokens // 2} in place of {tokens})")


def keep_to_layers(e: Evidence) -> Suggestion | None:
    """Restricting the editor to the allowed layers, if it has such a setting."""
    allowed, layers = _allowed_layers(e), e.setting("layers")
    if allowed is None or not isinstance(layers, (list, tuple)):
        return None
    kept = [layer for layer in layers if isinstance(layer, int) and layer in allowed]
    if not kept or len(kept) == len(layers):
        return None
    return by_setting(
        e, "layers", kept, f"keep the editor to the allowed layers: layers {kept} in place of {list(layers)}"
    )


def _allowed_layers(e: Evidence) -> frozenset[int] | None:
    """The layers that the suite's `may_change` allows, if it lists them."""
    spec = e.rerun.spec() if e.rerun else None
    if spec is None or spec.may_change is None or not isinstance(spec.may_change.layers, tuple):
        return None
    return frozenset(spec.may_change.layers)
