"""Schema 1, in which problems were bare messages, and the command line was stored only as text.

The kind of a problem is inferred from the rest of the record: its metric, what the reading is over, whether
the weights are finite. Messages are not read, except `interrupted`, which was a fixed word. If the kind
cannot be inferred, it is `unknown`.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from typing import Any

Content = dict[str, Any]

ASKED_OF_EDITS = (
    "edit_accuracy",
    "edit_retention",
    "edit_success",
    "neighborhood_success",
    "paraphrase_success",
    "retention",
    "retention_accuracy",
)
TOLD_BY_EDITOR = ("training_loss", "value_norm")
BY_OLD_ANSWER = ("edit_success", "neighborhood_success", "paraphrase_success")
BY_PROMPTS = ("neighborhood_success", "paraphrase_success")
OF_WEIGHTS = ("matrix", "parameter")
LEFT_OUT = {"pair": "probe_unreliable", "edit": "superseded", "task": "no_data"}


def to_schema_2(content: Content) -> Content:
    """Turn messages into problems, and the command line into its replaced values or a gate's arguments.

    Raises:
        KeyError, TypeError, ValueError: it is not a record of schema 1.
    """
    replaced, gate = _called(content["command"])
    runs = [_run(run) for run in content.get("runs", [])]
    return {
        **content,
        "schema_version": 2,
        "base": _checkpoint(content["base"], [], _settings(content["runs"][0]) if gate else {}),
        "runs": runs,
        "not_asked": _problems(content.get("not_asked", {}), lambda name: _beyond(name, gate)),
        "replaced": replaced,
        "gate": gate,
    }


def _problems(messages: Mapping[str, str], about: Callable[[str], Content]) -> dict[str, Content]:
    return {key: {"message": message, **about(key)} for key, message in messages.items()}


def _run(run: Content) -> Content:
    edits = run.get("edits", [])
    points = [_checkpoint(point, edits, _settings(run)) for point in run.get("checkpoints", [])]
    error = run.get("error")
    if error is not None:
        error = {"message": error, "kind": _why_it_ended(run)}
    return {**run, "checkpoints": points, "error": error}


def _settings(run: Content) -> Content:
    """An editor's settings; for a gated checkpoint, what was compared and how the two differ."""
    settings: Content = run["editor"].get("settings", {})
    return settings


def _why_it_ended(run: Content) -> str:
    if run["error"] == "interrupted":
        return "interrupted"
    last = run["checkpoints"][-1] if run.get("checkpoints") else None
    is_broken = last is not None and last["edits"] == run.get("failed_at") and _is_broken(last)
    return "not_finite" if is_broken else "unknown"


def _is_broken(point: Content) -> bool:
    """Whether a weight or a logit is not finite."""
    return any(point.get("readings", {}).get("nonfinite", {}).get("values", {}).values())


def _checkpoint(point: Content, edits: list[Content], settings: Content) -> Content:
    readings = {
        name: _reading(name, reading, settings) for name, reading in point.get("readings", {}).items()
    }
    without_old_answer = any(edit.get("target_true") is None for edit in edits)

    def failed(metric: str) -> Content:
        if _is_broken(point):
            return {"kind": "not_finite"}
        by_answer = metric in BY_OLD_ANSWER and without_old_answer
        return {"kind": "no_target_true" if by_answer else "unknown"}

    def skipped(metric: str) -> Content:
        if metric in (*ASKED_OF_EDITS, *TOLD_BY_EDITOR) and point["edits"] == 0:
            return {"kind": "no_edits"}
        return {"kind": "no_such_prompts" if metric in BY_PROMPTS else "nothing_to_measure"}

    return {
        **point,
        "readings": readings,
        "errors": _problems(point.get("errors", {}), failed),
        "skipped": _problems(point.get("skipped", {}), skipped),
    }


def _reading(metric: str, reading: Content, settings: Content) -> Content:
    """A reading; a left-out matrix has changed in structure or, in a gate, did not need to be read."""
    differences = settings.get("differences", {})
    gone = {*differences.get("missing", ()), *differences.get("reshaped", ())}

    def left_out(key: str) -> Content:
        if reading["over"] not in OF_WEIGHTS:
            return {"kind": LEFT_OUT.get(reading["over"], "unknown")}
        is_gated = "level" in settings and "base" in settings
        if key in gone or not is_gated:
            return {"kind": "structure_changed"}
        return {"kind": "nothing_to_measure" if metric == "weight_norm" else "unknown"}

    return {**reading, "left_out": _problems(reading.get("left_out", {}), left_out)}


def _beyond(metric: str, gate: Content | None) -> Content:
    """Why a metric was not measured; only a gate leaves any out."""
    if gate is None:
        return {"kind": "unknown"}
    if metric == "edit_seconds":
        return {"kind": "nothing_to_measure"}
    if metric in ASKED_OF_EDITS:
        return {"kind": "edits_not_verified"}
    if metric in TOLD_BY_EDITOR and gate["level"] != "weights":
        return {"kind": "no_edits"}
    return {"kind": "needs_level", "level": "tasks" if metric == "task_score" else "activations"}


def _called(command: str) -> tuple[Content, Content | None]:
    """What the command line replaced in the suite, and the gate's arguments if it was one."""
    try:
        words = shlex.split(command)
    except ValueError:
        words = []
    if words[:2] == ["stability", "run"] and len(words) > 2:
        return _replaced(_options(words[3:])), None
    if words[:2] == ["stability", "gate"] and len(words) > 3:
        found = _options(words[4:])
        named = {key: _last(found, f"--{key}") for key in ("suite", "edits")}
        level = _last(found, "--level") or "weights"
        gate = {"base": words[2], "edited": words[3], "level": level, **named}
        return _replaced({**found, "--edits": []}), gate
    return {}, None


def _options(words: list[str]) -> dict[str, list[str]]:
    """The values of each option, in order; every option had exactly one."""
    found: dict[str, list[str]] = {}
    for option, value in zip(words[::2], words[1::2], strict=False):
        found.setdefault(option, []).append(value)
    return found


def _last(options: Mapping[str, list[str]], name: str) -> str | None:
    return next(reversed(options.get(name, [])), None)


def _replaced(options: Mapping[str, list[str]]) -> Content:
    return {
        "model": _last(options, "--model"),
        "editors": options.get("--editor", []),
        "edits": _last(options, "--edits"),
        "seeds": options.get("--seed", []),
        "checkpoints": options.get("--checkpoint", []),
        "settings": options.get("--set", []),
        "baselines": _last(options, "--baselines"),
    }
