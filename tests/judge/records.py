"""Synthetic records: an eight-block GPT-2 that nothing ever ran, with figures chosen by the test."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from stability.record import (
    Checkpoint,
    EditorInfo,
    EditOutcome,
    Matrix,
    ModelInfo,
    Problem,
    Reading,
    Record,
    Run,
    TaskResult,
)
from stability.suite import SuiteSpec, parse_suite

LAYERS = 8
WIDTH = 128
KINDS = {"attn.c_attn": "attn_qkv", "attn.c_proj": "attn_out", "mlp.c_fc": "mlp_in", "mlp.c_proj": "mlp_out"}


def name(layer: int, part: str = "mlp.c_proj") -> str:
    return f"transformer.h.{layer}.{part}.weight"


def model(layers: int = LAYERS) -> ModelInfo:
    matrices = tuple(
        Matrix(
            name=name(layer, part),
            layer=layer,
            kind=kind,
            d_out=WIDTH,
            d_in=4 * WIDTH if kind == "mlp_out" else WIDTH,
        )
        for layer in range(layers)
        for part, kind in KINDS.items()
    )
    return ModelInfo(
        name="world",
        architecture="GPT2LMHeadModel",
        fingerprint="a" * 64,
        tokenizer_fingerprint="b" * 64,
        dtype="float32",
        device="cpu",
        layers=layers,
        parameters=1_000_000,
        matrices=matrices,
    )


def norms(scale: Mapping[str, float] | None = None, layers: int = LAYERS) -> Reading:
    """Every matrix has norm 10, but for those that are scaled."""
    values = {matrix.name: 10.0 for matrix in model(layers).matrices}
    return Reading(
        over="matrix", values={key: value * (scale or {}).get(key, 1.0) for key, value in values.items()}
    )


def by_layer(values: Sequence[float]) -> Reading:
    return Reading(over="layer", values={str(layer): value for layer, value in enumerate(values)})


def by_pair(value: float = 0.99, layers: int = LAYERS, **changed: Any) -> Reading:
    pairs = {f"{i}-{j}": value for i in range(layers) for j in range(i + 1, layers)}
    special: dict[str, float] = changed.get("special", {})
    left_out = {key: poor(reason) for key, reason in changed.get("left_out", {}).items()}
    values = {key: special.get(key, number) for key, number in pairs.items() if key not in left_out}
    return Reading(over="pair", values=values, base=dict.fromkeys(values, 0.99), left_out=left_out)


def poor(reason: str) -> Problem:
    return Problem(kind="probe_unreliable", message=reason)


def scalar(value: float) -> Reading:
    return Reading(over="scalar", values={"": value})


def answers(gold: Iterable[int], predicted: Iterable[int], metric: str = "acc", **more: Any) -> TaskResult:
    gold, predicted = tuple(map(int, gold)), tuple(map(int, predicted))
    return TaskResult(
        metric=metric, n=len(gold), doc_ids=tuple(range(len(gold))), gold=gold, predicted=predicted, **more
    )


def graded(right: int, n: int, gains: int = 0, losses: int = 0) -> tuple[TaskResult, TaskResult]:
    """A four-choice task before and after: so many right, then so many of them lost and others gained."""
    gold = np.arange(n) % 4
    before = np.where(np.arange(n) < right, gold, (gold + 1) % 4)
    now = before.copy()
    now[:losses] = (gold[:losses] + 2) % 4
    now[right : right + gains] = gold[right : right + gains]
    return answers(gold, before, chance=0.25), answers(gold, now, chance=0.25)


def accuracy(result: TaskResult) -> float:
    if result.values:
        return float(np.mean(result.values))
    return float(np.mean(np.equal(result.gold, result.predicted)))


def tasks(results: Mapping[str, TaskResult], scores: Mapping[str, float] | None = None) -> Reading:
    values = {
        task: (scores or {}).get(task, accuracy(result) if not result.members else 0.0)
        for task, result in results.items()
    }
    return Reading(over="task", values=values, tasks=dict(results))


def checkpoint(edits: int, changed: Iterable[str] = (), **readings: Reading) -> Checkpoint:
    return Checkpoint(edits=edits, changed=tuple(changed), readings=readings)


def edit(index: int) -> EditOutcome:
    return EditOutcome(
        id=f"edit-{index}",
        prompt="{} lives in",
        subject=f"Person {index}",
        target="Oslo",
        target_true="Rome",
        success=True,
        accurate=True,
    )


def run(
    checkpoints: Sequence[Checkpoint],
    seed: int = 0,
    editor: str = "rome",
    edits: int | None = None,
    error: str | Problem | None = None,
    **more: Any,
) -> Run:
    if isinstance(error, str):
        error = Problem(kind="editor_raised", message=error)
    made = edits if edits is not None else max((point.edits for point in checkpoints), default=0)
    return Run(
        editor=EditorInfo(name=editor, source="built-in", settings={"layers": [1]}),
        seed=seed,
        checkpoints=tuple(checkpoints),
        edits=tuple(edit(index) for index in range(made)),
        timing={"edit": 10.0, "measure": 5.0},
        error=error,
        **more,
    )


def record(base: Checkpoint, runs: Sequence[Run], **more: Any) -> Record:
    layers = more.pop("layers", LAYERS)
    content: dict[str, Any] = {
        "harness_version": "0.1.0",
        "suite_name": "norm-growth",
        "suite_text": "schema: 1",
        "suite_path": "suites/norm-growth.stability.yaml",
        "measured_fingerprint": "c" * 64,
        "command": "stability run suites/norm-growth.stability.yaml --editor rome --seed 0",
        "model": model(layers),
        "edits_source": "world",
        "text_fingerprint": "d" * 64,
        "text_tokens": 10_000,
        "base": base,
        "runs": tuple(runs),
    }
    return Record(**(content | more))


def suite(checks: str, **more: Any) -> SuiteSpec:
    """A suite of these checks, written as in its file; further keys are YAML, too."""
    body = "".join(f"  {line}\n" for line in checks.strip().splitlines())
    extra = "".join(f"{key}: {value}\n" for key, value in more.items())
    return parse_suite(f"schema: 1\nname: norm-growth\n{extra}checks:\n{body}", is_recorded=True).spec


GATE = """
edited_weight_norm:
  {metric: weight_norm, where: {matrices: edited}, relative_to: base, assert: "<= 2.0"}
norm_imbalance:
  {metric: weight_norm, where: {matrices: edited}, relative_to: unedited, assert: "<= 2.0", severity: warn}
frozen: {metric: frozen_weights, assert: "== 0"}
activation_norm:
  {metric: activation_norm, where: {layers: late}, relative_to: base, assert: ">= 0.60"}
subspace_shift:
  {metric: probe_accuracy, where: {pairs: affected}, aggregate: mean, assert: ">= 0.70"}
task_drop:
  metric: task_score
  for_each: {task: [choice, sentiment, pair, wnli]}
  relative_to: base
  change: absolute
  assert: ">= -0.05"
  noise: {confidence: 0.95}
edits_took: {metric: edit_success, assert: ">= 0.90"}
quiet: {metric: kl_divergence, assert: "<= 0.5"}
"""


def damaged(base: Mapping[str, TaskResult], damage: float, rng: np.random.Generator) -> dict[str, TaskResult]:
    """The same tasks, with that share of the answers replaced by guesses."""
    results = {}
    for task, result in base.items():
        classes = max(result.gold) + 1
        guess = rng.integers(0, classes, result.n)
        lost = rng.random(result.n) < damage
        results[task] = answers(result.gold, np.where(lost, guess, result.predicted), chance=result.chance)
    return results


def whole_run(
    editor: str = "memit",
    seed: int = 0,
    growth: float = 0.016,
    at: Sequence[int] = (20, 40, 60, 80, 100, 120),
    layers: int = LAYERS,
    edited: Sequence[int] = (1, 2, 3),
) -> tuple[Checkpoint, Run]:
    """The base, and a run whose figures move as they do in a real one; every metric of a gate is there."""
    rng = np.random.default_rng([seed, len(editor)])
    tested = {
        "choice": graded(480, 500)[0],
        "sentiment": graded(470, 500)[0],
        "pair": graded(280, 300)[0],
        "wnli": graded(19, 71)[0],
    }
    names = [name(layer) for layer in edited]
    points = []
    for edits in (0, *at):
        size = {key: float(np.exp(growth * edits * (1 - 0.25 * i))) for i, key in enumerate(names)}
        drop = [1 - 0.0035 * edits * growth / 0.016 * max(0, layer - 1) / layers for layer in range(layers)]
        pairs = {
            f"{i}-{j}": float(0.99 - min(0.45, edits * growth * 0.12 * (j >= min(edited)) * rng.random()))
            for i in range(layers)
            for j in range(i + 1, layers)
        }
        weak = f"0-{layers - 1}"
        pairs.pop(weak)
        readings = {
            "weight_norm": norms(size, layers),
            "frozen_weights": Reading(
                over="parameter", values=dict.fromkeys([name(0), "transformer.wte.weight"], 0)
            ),
            "activation_norm": by_layer(
                [10 * (1 + layer) * max(0.05, share) for layer, share in enumerate(drop)]
            ),
            "probe_accuracy": Reading(
                over="pair",
                values=pairs,
                base=dict.fromkeys(pairs, 0.99),
                left_out={weak: poor("held-out accuracy 0.93 on the unedited model")},
            ),
            "task_score": tasks(damaged(tested, edits * growth * 0.06, rng)),
            "kl_divergence": scalar(0.003 * edits),
        }
        if edits:
            for metric, loss in (
                ("edit_success", 0.0002),
                ("edit_accuracy", 0.0006),
                ("paraphrase_success", 0.001),
                ("neighborhood_success", 0.0015),
                ("retention", 0.003),
            ):
                readings[metric] = scalar(1 - loss * edits)
            lost = np.random.default_rng([seed, edits]).random(edits)
            held = lost >= 0.003 * edits * np.linspace(1.5, 0.5, edits)
            readings["edit_retention"] = Reading(
                over="edit", values={str(number): float(one) for number, one in enumerate(held, start=1)}
            )
        points.append(checkpoint(edits, names if edits else (), **readings))
    return points[0], run(points[1:], seed=seed, editor=editor)
