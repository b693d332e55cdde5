"""The judge's rates, simulated through its public path: synthetic records in, verdicts out.

    python -m benchmarks.rates [--families 1000]

A family is 5 tasks x 5 checkpoints x 3 seeds, independent, each at a true drop of exactly the tolerance; the
rate is that of families in which any task fails. The judge states 5 %.
"""

from __future__ import annotations

import argparse
import sys

import numpy as np

from stability.judge import judge
from stability.record import Checkpoint, EditorInfo, ModelInfo, Reading, Record, Run, TaskResult
from stability.suite import parse_suite

TOLERANCE = 0.05
TASKS, CHECKPOINTS, SEEDS = ("a", "b", "c", "d", "e"), (1, 2, 3, 4, 5), (0, 1, 2)
CHECKS = """
schema: 1
name: rates
checks:
  task_drop:
    metric: task_score
    for_each: {task: [a, b, c, d, e]}
    relative_to: base
    change: absolute
    assert: ">= -0.05"
    noise: {confidence: 0.95}
"""


def reading(right: dict[str, np.ndarray]) -> Reading:
    """Right and wrong answers [documents] of each task, of four choices."""
    tasks = {
        task: TaskResult(
            metric="acc",
            n=len(one),
            doc_ids=tuple(range(len(one))),
            gold=tuple(i % 4 for i in range(len(one))),
            predicted=tuple((i + (not hit)) % 4 for i, hit in enumerate(one.tolist())),
        )
        for task, one in right.items()
    }
    return Reading(over="task", values={task: float(one.mean()) for task, one in right.items()}, tasks=tasks)


def record(base: dict[str, np.ndarray], runs: list[list[dict[str, np.ndarray]]]) -> Record:
    """The unedited model's answers, and those of each seed at each checkpoint."""
    model = ModelInfo(
        name="none", architecture="GPT2LMHeadModel", fingerprint="a" * 64, tokenizer_fingerprint="b" * 64,
        dtype="float32", device="cpu", layers=1, parameters=1, matrices=(),
    )  # fmt: skip
    return Record(
        harness_version="0", suite_name="rates", suite_text="", suite_path="", measured_fingerprint="c" * 64,
        command="", model=model, edits_source="world", text_fingerprint="d" * 64, text_tokens=1,
        base=Checkpoint(edits=0, readings={"task_score": reading(base)}),
        runs=tuple(
            Run(
                editor=EditorInfo(name="none", source="built-in", settings={}),
                seed=seed,
                checkpoints=tuple(
                    Checkpoint(edits=edits, readings={"task_score": reading(right)})
                    for edits, right in enumerate(points, start=1)
                ),
                edits=(),
                timing={},
            )
            for seed, points in enumerate(runs)
        ),
    )  # fmt: skip


def flipped(right: np.ndarray, flips: float, drop: float, rng: np.random.Generator) -> np.ndarray:
    """The answers after a share of all documents flipped, for a true drop on balance."""
    base = float(right.mean())
    lost = rng.random(len(right)) < (flips + drop) / 2 / base
    gained = rng.random(len(right)) < (flips - drop) / 2 / (1 - base)
    return np.where(right, ~lost, gained)


def families_that_fail(n: int, flips: float, families: int, base: float = 0.6, seed: int = 0) -> float:
    """The share of families of 75 tests, all at exactly the tolerance, of which any fails."""
    suite = parse_suite(CHECKS, is_recorded=True).spec
    rng = np.random.default_rng([n, round(1000 * flips), seed])
    before = {task: np.arange(n) < round(base * n) for task in TASKS}
    failed = 0
    for _ in range(families):
        runs = [
            [{task: flipped(before[task], flips, TOLERANCE, rng) for task in TASKS} for _ in CHECKPOINTS]
            for _ in SEEDS
        ]
        failed += judge(suite, record(before, runs)).counts["fail"] > 0
    return failed / families


def main() -> None:
    """Print stated against achieved."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--families", type=int, default=1000)
    families = parser.parse_args().families
    for n in (63, 200, 400, 1000):
        for flips in (0.06, 0.10, 0.20):
            rate = families_that_fail(n, flips, families)
            error = 2 * np.sqrt(0.05 * 0.95 / families)
            sys.stdout.write(
                f"n {n:5}  flips {flips:.2f}  any of 75 fails {rate:.3f}  <= .050 + {error:.3f}\n"
            )


if __name__ == "__main__":
    main()
