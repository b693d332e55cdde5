"""Remedies that change the method or its settings, or how edits and measurements are made."""

from __future__ import annotations

from stability.report.explain.evidence import Situation, is_number, rounded
from stability.report.explain.suggestion import Attempt, by_editor, by_setting, by_suite

HALVES = ("float16", "bfloat16")


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
        s, "encore", "use encore, which stops its search early and restrains the norm of the change"
    )


def nas(s: Situation) -> Attempt | None:
    """NAS."""
    return by_editor(s, "nas", "use nas, which writes values of the norm usual in the unedited model")


def closed_form(s: Situation) -> Attempt | None:
    """MEMIT, for an editor that trains."""
    if s.method.family != "trained":
        return None
    return by_editor(s, "memit", "use memit, which solves for the change in place of training it in")


def ft_l(s: Situation) -> Attempt | None:
    """FT-L, or a smaller box for it."""
    reach = s.setting("norm_constraint")
    if s.method.core.name == "ft_l" and is_number(reach):
        smaller = rounded(reach / 2)
        words = f"hold weights nearer to where they were: norm_constraint {smaller:g} in place of {reach:g}"
        return by_setting(s, "norm_constraint", smaller, words)
    if s.method.core.name != "ft":
        return None
    return by_editor(s, "ft_l", "use ft_l, which holds every weight near where it was")


def mended_key(s: Situation) -> Attempt | None:
    """R-ROME."""
    if s.method.core.name != "rome" or s.setting("key") != "original":
        return None
    return by_setting(s, "key", "mended", "use one key throughout, as R-ROME does: key: mended")


def learning_rate(s: Situation) -> Attempt | None:
    """A smaller learning rate, for an editor whose edits have one."""
    rate = s.setting("lr")
    if "lr" in s.method.core.head.not_of_an_edit or not is_number(rate):
        return None
    gentle = rounded(rate / 4)
    return by_setting(
        s, "lr", gentle, f"train more gently: lr {gentle:g} in place of {rate:g}; see that edits still take"
    )


def clamp(s: Situation) -> Attempt | None:
    """A shorter way for the value that is written."""
    factor = s.setting("clamp_norm_factor")
    if not is_number(factor):
        return None
    shorter = rounded(factor / 2)
    words = (
        f"let a fact move the state less: clamp_norm_factor {shorter:g} in place of {factor:g}; see that "
        "edits take"
    )
    return by_setting(s, "clamp_norm_factor", shorter, words)


def more_steps(s: Situation) -> Attempt | None:
    """A longer search or training."""
    key = _steps(s)
    if key is None:
        return None
    steps = s.setting(key)
    return by_setting(s, key, 2 * steps, f"give each edit more steps: {key} {2 * steps} in place of {steps}")


def _steps(s: Situation) -> str | None:
    """The setting that says how many steps are taken for an edit."""
    other = s.method.core.head.not_of_an_edit
    keys = (key for key in ("v_num_grad_steps", "num_steps") if key not in other)
    return next((key for key in keys if is_number(s.setting(key))), None)


def fewer_steps(s: Situation) -> Attempt | None:
    """A shorter search or training, where it takes too long."""
    key = _steps(s)
    if key is None or s.setting(key) < 2:
        return None
    steps = s.setting(key)
    words = f"give each edit fewer steps: {key} {steps // 2} in place of {steps}; see that edits still take"
    return by_setting(s, key, steps // 2, words)


def one_at_a_time(s: Situation) -> Attempt | None:
    """No batches."""
    if s.batch == 1 or s.is_on_disk:
        return None
    return by_suite(s, "run.edits.batch=1", f"make edits one at a time, not {s.batch} in a batch")


def in_batches(s: Situation) -> Attempt | None:
    """Batches, for the methods that solve many edits at once."""
    if not s.method.core.head.solves_batches or s.batch > 1:
        return None
    return by_suite(s, "run.edits.batch=10", "make ten edits in one batch: they are solved together")


def float32(s: Situation) -> Attempt | None:
    """More digits."""
    if not any(name in s.record.model.dtype for name in HALVES) or s.is_on_disk:
        return None
    return by_suite(
        s, "model.dtype=float32", f"edit in float32, not in {s.record.model.dtype}, which holds fewer digits"
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
    if not is_number(tokens) or tokens < 2 or s.is_on_disk:
        return Attempt(words)
    return by_suite(s, f"text.tokens={tokens // 2}", f"{words} ({tokens // 2} in place of {tokens})")


def keep_to_layers(s: Situation) -> Attempt | None:
    """The layers that may change, where the editor can be told."""
    allowed, layers = _allowed_layers(s), s.setting("layers")
    if allowed is None or not isinstance(layers, (list, tuple)):
        return None
    kept = [layer for layer in layers if isinstance(layer, int) and layer in allowed]
    if not kept or len(kept) == len(layers):
        return None
    return by_setting(
        s, "layers", kept, f"keep the editor to the allowed layers: layers {kept} in place of {list(layers)}"
    )


def _allowed_layers(s: Situation) -> frozenset[int] | None:
    """The layers that the suite lets an editor change, where it names them."""
    spec = s.again.spec() if s.again else None
    if spec is None or spec.may_change is None or not isinstance(spec.may_change.layers, tuple):
        return None
    return frozenset(spec.may_change.layers)
