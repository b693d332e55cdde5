"""An edit's time: v* searched over the tokens that it can change, against running every token again.

    python -m benchmarks.editing [--model smollm2] [--edits FILE] [--repeats 3]

ROME one edit at a time, MEMIT sixteen in a batch; both ways in turn in one process on one thread, the
model put back after each. Seconds are CPU seconds of a whole call of `edit`, the median over the repeats.
`limit` is how many times fewer tokens go through the blocks above the edit, which no way can be faster by.
`loss` and `change` are the largest relative differences between the two ways, of a step's loss and of a
matrix's change. Every search takes all its steps; no covariance is used, whose making is no part of an edit.
"""

from __future__ import annotations

import argparse
import logging
import os
import statistics
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from unittest.mock import patch

os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch
from torch import Tensor

from stability.data.edits import Edit, load_edits
from stability.editors import LoadedEditor, find_editor
from stability.editors.locate.steps import values
from stability.models import Continuation, LoadedModel, Snapshot, load_model, map_model
from stability.run.editing import make_batch, prepare
from stability.store import Store
from stability.suite import EditsSpec, ModelSpec

BATCHES = {"rome": 1, "memit": 16}
SETTINGS = {"mom2_adjustment": False, "v_stop_loss": 0.0}  # no covariance is made, and every step is taken


def main() -> None:
    """Print a row for each editor."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("--model", default="world")
    arguments.add_argument("--edits", help="a file of edits; without it those of the built-in world")
    arguments.add_argument("--repeats", type=int, default=3)
    asked = arguments.parse_args()
    torch.set_num_threads(1)
    logging.basicConfig(level=logging.ERROR)
    loaded = load_model(ModelSpec(name=asked.model, device="cpu"))
    source = {"source": "file", "path": asked.edits} if asked.edits else {"source": "world"}
    print("| editor | batch | every token | later tokens | ratio | limit | loss | change |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|")
    for name, batch in BATCHES.items():
        edits = load_edits(EditsSpec(**source, count=batch), 0)
        row(loaded, name, edits, asked.repeats)


def row(loaded: LoadedModel, name: str, edits: Sequence[Edit], repeats: int) -> None:
    """Both ways of an editor in turn."""
    editor = find_editor(name, SETTINGS, model_name=loaded.name, depth=map_model(loaded.model).n_layers)
    pristine = Snapshot(loaded.model)
    prepare(editor, loaded.model, loaded.tokenizer, Store(), 0)
    seconds: dict[bool, list[float]] = {True: [], False: []}
    losses: dict[bool, list[float]] = {}
    changes: dict[bool, dict[str, Tensor]] = {}
    limit = 1.0
    for _ in range(repeats):
        for whole in (True, False):
            with watched(whole) as seen:
                seconds[whole].append(timed(editor, loaded, edits))
            losses[whole] = seen.losses
            limit = seen.limit if not whole else limit
            changes[whole] = {
                one: loaded.model.get_parameter(one).detach() - pristine.tensor(one)
                for one in pristine.changed(loaded.model)
            }
            pristine.restore(loaded.model)
    loss = max(abs(a / b - 1) for a, b in zip(losses[True], losses[False], strict=True))
    change = max(
        ((changes[True][one] - changes[False][one]).norm() / changes[True][one].norm()).item()
        for one in changes[True]
    )
    slow, fast = (statistics.median(seconds[whole]) for whole in (True, False))
    print(
        f"| {name} | {len(edits)} | {slow:.2f} s | {fast:.2f} s | {slow / fast:.2f}x | {limit:.2f}x "
        f"| {loss:.0e} | {change:.0e} |",
        flush=True,
    )


def timed(editor: LoadedEditor, loaded: LoadedModel, edits: Sequence[Edit]) -> float:
    """The CPU seconds of one batch."""
    started = time.process_time()
    make_batch(editor, loaded.model, loaded.tokenizer, edits, 0, 0)
    return time.process_time() - started


class Seen:
    """What the searches of a batch did."""

    def __init__(self) -> None:
        self.losses: list[float] = []
        self.tokens = [0, 0]  # in the rows, and of them those that are run

    @property
    def limit(self) -> float:
        """How many times fewer tokens are run than there are."""
        return self.tokens[0] / self.tokens[1]


@contextmanager
def watched(whole: bool) -> Iterator[Seen]:
    """While open, losses are noted, and with `whole` every token is run."""
    seen = Seen()
    later, made = Continuation.later, values.Value

    def noted(above: Continuation, starts: Tensor, lengths: Tensor) -> Continuation:
        kept = above if whole else later(above, starts, lengths)
        seen.tokens[0] += above.hidden.shape[:2].numel()
        seen.tokens[1] += kept.hidden.shape[:2].numel()
        return kept

    def value(delta: Tensor, losses: tuple[float, ...]) -> values.Value:
        seen.losses += losses
        return made(delta, losses)

    with patch.object(Continuation, "later", noted), patch.object(values, "Value", value):
        yield seen


if __name__ == "__main__":
    main()
