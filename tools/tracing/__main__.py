"""Which layers' MLPs carry facts from their subjects: `python -m tools.tracing smollm2 [--facts 20]`.

Traces facts that the model knows, those that settings are chosen by (the first in the order of seed 0), and
prints for each layer the mean of what the MLPs round it bring back of the answer's probability, and its
standard error.
"""

from __future__ import annotations

import argparse
import sys

import torch

from stability.data.edits import load_stream
from stability.metrics.scoring.known import known_first
from stability.models import load_model
from stability.suite import EditsSpec, ModelSpec
from tools.tracing.trace import NOISE, deviation, trace


def main() -> None:
    """Print a line a layer."""
    parser = argparse.ArgumentParser(prog="python -m tools.tracing", description=__doc__)
    parser.add_argument("model")
    parser.add_argument("--source", default="counterfact")
    parser.add_argument("--facts", type=int, default=20)
    parser.add_argument("--window", type=int, default=5, help="number of blocks restored together")
    parser.add_argument("--samples", type=int, default=5, help="of noise, for each fact")
    asked = parser.parse_args()
    loaded = load_model(ModelSpec(name=asked.model, device="cpu"))
    stream = load_stream(EditsSpec(source=asked.source, count=1), 0)
    places = known_first(loaded.model, loaded.tokenizer, stream, asked.facts)
    facts = [stream[place] for place in places]
    noise = NOISE * deviation(loaded, facts)
    traces = []
    for number, fact in enumerate(facts):
        traces.append(trace(loaded, fact, noise, asked.window, asked.samples, seed=number))
        sys.stderr.write(f"\r{number + 1} of {len(facts)} facts")
    effects = torch.stack([one.effects for one in traces])  # [facts, layers]
    clean, corrupted = (
        sum(values) / len(traces) for values in zip(*((t.clean, t.corrupted) for t in traces), strict=True)
    )
    sys.stdout.write(
        f"\n{len(traces)} facts: probability {clean:.3f}, with the subject garbled {corrupted:.3f}\n"
    )
    errors = effects.std(0, correction=min(1, len(traces) - 1)) / len(traces) ** 0.5
    for layer, (effect, error) in enumerate(zip(effects.mean(0).tolist(), errors.tolist(), strict=True)):
        sys.stdout.write(f"{layer:>3}  {effect:+.3f} ± {error:.3f}\n")


if __name__ == "__main__":
    main()
