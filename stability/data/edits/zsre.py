"""zsRE, from the folder STABILITY_DATA."""

from __future__ import annotations

from stability.data.edits.plugin.edit import Edit
from stability.data.edits.steps.files import data_file, shuffled
from stability.parts import SourceHead, part
from stability.suite import EditsSpec

FILES = ("zsre/zsre_mend_eval.json", "zsre/mend_1000.json")  # the first that is there


@part(SourceHead("zsre", "zsRE, from STABILITY_DATA/zsre/*.json"))
def zsre(spec: EditsSpec, seed: int) -> tuple[Edit, ...]:
    """The edits of the file that is there."""
    return shuffled(data_file("zsre", FILES), spec.count, seed)
