"""What is said of a checkpoint that was found edited on disk: no editor was seen at work on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from stability.judge.select import place
from stability.judge.summarise import summarise
from stability.judge.trial import Case, Question, Trial
from stability.judge.verdict import Verdict

NOT_VERIFIED = "stability only: edits not verified"
NAMED = 4  # tensors that a note names


def not_asked(questions: Sequence[Question], cases: Sequence[Case], reason: str) -> list[Verdict]:
    """A skip for each question, since the record was not asked to hold its metric; an error if it must be."""
    trials = [
        [
            Trial(case.run.seed, checkpoint.edits, "nothing", reason=reason)
            for checkpoint in case.run.checkpoints
        ]
        for case in cases
    ]
    return [summarise(question, cases, trials, None) for question in questions]


def without_bracket(verdict: Verdict) -> Verdict:
    """The verdict with nothing said of the number of edits, which nobody knows."""
    return replace(verdict, held_to=None, failed_at=None, checkpoint=None)


def gate_notes(case: Case) -> list[str]:
    """Which tensors of a gated checkpoint differ, in which layers; and whether its edits were looked at."""
    scene, changed = case.scene, sorted(case.run.edited)
    layers = sorted({layer for name in changed if (layer := scene.layer_of(name)) is not None})
    named = ", ".join(place("parameter", name, scene) for name in changed[:NAMED])
    more = f" and {len(changed) - NAMED} more" if len(changed) > NAMED else ""
    where = f", in {'layer' if len(layers) == 1 else 'layers'} {ranges(layers)}" if layers else ""
    tensors = f"{len(changed)} {'tensor differs' if len(changed) == 1 else 'tensors differ'}"
    notes = [f"{tensors}{where}: {named}{more}" if changed else "no tensor differs"]
    return notes if case.run.edits else [*notes, NOT_VERIFIED]


def ranges(numbers: Sequence[int]) -> str:
    """`3, 13-17` for sorted numbers."""
    words: list[str] = []
    first = None
    for number, following in zip(numbers, [*numbers[1:], None], strict=True):
        first = number if first is None else first
        if following != number + 1:
            words.append(str(number) if first == number else f"{first}-{number}")
            first = None
    return ", ".join(words)
