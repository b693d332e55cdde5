"""Rendering a large record: 5 editors, 10 checkpoints, 48 layers, 2,000 edits; against reading it.

    python -m benchmarks.report [--editors 5] [--checkpoints 10] [--layers 48] [--edits 2000] [--repeats 3]

The record is synthetic, with a reading for each matrix, layer, pair of layers, task and edit at every
checkpoint. Reading is parsing and validating run.json, which every report starts with; ratios are medians
over the repeats, all in one process.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from stability.judge import judge
from stability.record import (
    Checkpoint,
    EditorInfo,
    EditOutcome,
    Matrix,
    ModelInfo,
    Reading,
    Record,
    Run,
    read_record,
    write_record,
)
from stability.report import render_html, render_markdown
from stability.suite import parse_suite

KINDS = {"attn.c_attn": "attn_qkv", "attn.c_proj": "attn_out", "mlp.c_fc": "mlp_in", "mlp.c_proj": "mlp_out"}
SUITE = """\
schema: 1
name: large
checks:
  edited_weight_norm: {metric: weight_norm, where: {matrices: edited}, relative_to: base, assert: "<= 2.0"}
  activation_norm: {metric: activation_norm, where: {layers: late}, relative_to: base, assert: ">= 0.60"}
  subspace_shift: {metric: probe_accuracy, where: {pairs: affected}, aggregate: mean, assert: ">= 0.70"}
  retained: {metric: edit_retention, aggregate: mean, assert: ">= 0.50"}
  kl: {metric: kl_divergence, assert: "<= 0.5"}
"""


def main() -> None:
    """Make the record, print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    for name, default in (
        ("editors", 5),
        ("checkpoints", 10),
        ("layers", 48),
        ("edits", 2000),
        ("repeats", 3),
    ):
        parser.add_argument(f"--{name}", type=int, default=default)
    asked = parser.parse_args()
    suite = parse_suite(SUITE).spec
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "run.json")
        write_record(large(asked.editors, asked.checkpoints, asked.layers, asked.edits), path)
        record = read_record(path)
        judgement = judge(suite, record)
        ways: dict[str, Callable[[], object]] = {
            "read the record": lambda: read_record(path),
            "judge it": lambda: judge(suite, record),
            "report.html": lambda: render_html(record, judgement),
            "report.md": lambda: render_markdown(record, judgement),
        }
        seconds: dict[str, list[float]] = {way: [] for way in ways}
        for _ in range(asked.repeats):
            for way, run in ways.items():
                started = time.perf_counter()
                run()
                seconds[way].append(time.perf_counter() - started)
        print(f"run.json {path.stat().st_size / 1e6:.1f} MB")
        print(f"report.html {len(render_html(record, judgement).encode()) / 1e6:.2f} MB")
        reading = seconds["read the record"]
        for way, taken in seconds.items():
            ratio = statistics.median(one / other for one, other in zip(taken, reading, strict=True))
            print(f"  {way:16} {statistics.median(taken):6.2f} s   over reading: {ratio:5.2f}")


def large(editors: int, checkpoints: int, layers: int, edits: int) -> Record:
    """A record of random figures."""
    rng = np.random.default_rng(0)
    matrices = tuple(
        Matrix(name=f"transformer.h.{layer}.{part}.weight", layer=layer, kind=kind, d_out=1600, d_in=6400)  # type: ignore[arg-type]
        for layer in range(layers)
        for part, kind in KINDS.items()
    )
    model = ModelInfo(
        name="large", architecture="GPT2LMHeadModel", fingerprint="a" * 64, tokenizer_fingerprint="b" * 64,
        dtype="float32", device="cpu", layers=layers, parameters=1_500_000_000, matrices=matrices,
    )  # fmt: skip
    edited = [matrix.name for matrix in matrices if matrix.kind == "mlp_out" and 13 <= matrix.layer <= 17]

    def point(made: int) -> Checkpoint:
        share = made / edits
        norms = {matrix.name: 10 + 20 * share * (matrix.name in edited) * rng.random() for matrix in matrices}
        pairs = {
            f"{low}-{high}": 1 - 0.4 * share * rng.random()
            for low in range(layers)
            for high in range(low + 1, layers)
        }
        held = rng.random(made) > 0.3 * share
        readings = {
            "weight_norm": Reading(over="matrix", values=norms),
            "activation_norm": Reading(
                over="layer", values={str(layer): 10 - 5 * share * rng.random() for layer in range(layers)}
            ),
            "probe_accuracy": Reading(over="pair", values=pairs, base=dict.fromkeys(pairs, 0.99)),
            "kl_divergence": Reading(over="scalar", values={"": share}),
        }
        if made:
            held_by_edit = {str(number): float(one) for number, one in enumerate(held, start=1)}
            readings["edit_retention"] = Reading(over="edit", values=held_by_edit)
        return Checkpoint(edits=made, changed=tuple(edited) if made else (), readings=readings)

    outcomes = tuple(
        EditOutcome(id=f"e{number}", prompt="{} lives in", subject=f"S{number}", target="Oslo", success=True)
        for number in range(edits)
    )
    runs = tuple(
        Run(
            editor=EditorInfo(name=f"editor-{number}", source="built-in"),
            seed=0,
            edits=outcomes,
            checkpoints=tuple(point(edits * (step + 1) // checkpoints) for step in range(checkpoints)),
            timing={"edit": 3600.0, "measure": 600.0},
        )
        for number in range(editors)
    )
    return Record(
        harness_version="0", suite_name="large", suite_text=SUITE, measured_fingerprint="c" * 64, command="",
        model=model, edits_source="counterfact", text_fingerprint="d" * 64, text_tokens=10_000, base=point(0),
        runs=runs,
    )  # fmt: skip


if __name__ == "__main__":
    main()
