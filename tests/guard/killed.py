"""Apply a stream of batches under a guard, the process being killed again and again; print what came of it.

Each life is a fork of this process, which has the unedited model, so that a life costs no import.
"""

import json
import os
import random
import signal
import sys
import time
from pathlib import Path

import drifting
import torch

from stability import Guard
from stability.models import load_model
from stability.store import tensors_fingerprint
from stability.suite import ModelSpec


def live(loaded, folder, batches):
    """Go on from the journal to the end of the stream, and note the fingerprint there."""
    editor = drifting.Drifting()
    with Guard(loaded.model, loaded.tokenizer, drifting.SUITE, journal=folder / "journal") as guard:
        (folder / "ready").touch()
        for batch in batches[len(guard.entries) :]:
            guard.apply(editor, batch)
    (folder / "end").write_text(tensors_fingerprint(loaded.model.named_parameters()))


def wait(rng, folder):
    """Until some moment of a life: now and then while it opens the journal, else within two batches."""
    while rng.random() > 0.02 and not (folder / "ready").exists():
        time.sleep(0.005)
    until, enough = time.monotonic() + rng.uniform(0, 0.2), lines(folder) + rng.choice((1, 2))
    while time.monotonic() < until and lines(folder) < enough:
        time.sleep(0.001)


def lines(folder):
    """How many whole lines the journal has."""
    path = folder / "journal" / "journal.jsonl"
    return path.read_bytes().count(b"\n") if path.exists() else 0


def main(folder, count, kills, seed):
    torch.set_num_threads(1)
    loaded = load_model(ModelSpec())
    batches = drifting.stream(count)
    rng = random.Random(seed)
    killed = 0
    while not (folder / "end").exists():
        (folder / "ready").unlink(missing_ok=True)
        child = os.fork()
        if child == 0:
            live(loaded, folder, batches)
            os._exit(0)
        if killed < kills:
            wait(rng, folder)
            os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        if os.WIFSIGNALED(status):
            killed += 1
        elif status:
            sys.exit(f"a life ended with status {status}")
    sys.stdout.write(json.dumps({"killed": killed, "end": (folder / "end").read_text()}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(int, sys.argv[2:]))
