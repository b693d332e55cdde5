"""What is judged: an assertion of the suite, and a run of a record with what it is compared with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from stability.record import Matrix, ModelInfo, Problem, Record, Run
from stability.suite import CheckSpec, SuiteSpec


@dataclass(frozen=True, eq=False)
class EditedModel:
    """A model and what one run changed in it: all that a selection depends on; made by `edited_model`.

    `changed` names every parameter that differs from the base at any checkpoint of the run. `matrices` are
    the block matrices by name; `edited_matrices` those that changed, and `edited_layers` their blocks.
    `blocks` has the block of every parameter whose name begins so: `transformer.h.7` is 7.
    """

    info: ModelInfo
    changed: frozenset[str]
    matrices: Mapping[str, Matrix]
    edited_matrices: Sequence[Matrix]
    edited_layers: frozenset[int]
    blocks: Mapping[str, int]


@dataclass(frozen=True, eq=False)
class Baseline:
    """What one editor's runs are compared with.

    `record` is None where there is none, and `problem` says why. `save` and `update` are the commands that
    make it, and make it anew.
    """

    record: Record | None = None
    problem: str = "no baseline: 'relative_to: previous' needs an earlier record"
    save: str = ""
    update: str = ""


@dataclass(frozen=True, eq=False)
class RecordedRun:
    """One run of a record, what it changed in the model, and the earlier record that it is compared with."""

    record: Record
    run: Run
    model: EditedModel
    baseline: Baseline | None = None


@dataclass(frozen=True, eq=False)
class Assertion:
    """One check of a suite, or the part of it that is about one task.

    `id` is how it is shown: `task_drop[mmlu]`. `task` is the only task that it is about; None if it is about
    all, or not about tasks. `at_chance` says why a task is left out that the unedited model only guesses at.
    """

    id: str
    name: str
    check: CheckSpec
    suite: SuiteSpec
    task: str | None = None
    at_chance: Mapping[str, Problem] = field(default_factory=dict)
