"""CounterFact, from the folder STABILITY_DATA."""

from __future__ import annotations

from stability.data.edits.plugin.edit import Edit
from stability.data.edits.steps.files import data_file, shuffled
from stability.parts import SourceHead, part
from stability.suite import EditsSpec

FILES = (
    "counterfact/counterfact.json",
    "counterfact/flat_10000.json",
    "counterfact/full_100.json",
)  # the first that is there


@part(SourceHead("counterfact", "CounterFact, from STABILITY_DATA/counterfact/*.json"))
def counterfact(spec: EditsSpec, seed: int) -> tuple[Edit, ...]:
    """The edits of the file that is there."""
    return shuffled(data_file("counterfact", FILES), spec.count, seed)
