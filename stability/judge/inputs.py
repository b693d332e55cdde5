"""What the judge works on: an assertion of the suite, and a run of a record with its baseline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from stability.record import Matrix, ModelInfo, Problem, Record, Run
from stability.suite import CheckSpec, SuiteSpec


@dataclass(frozen=True, eq=False)
class EditedModel:
    """A model and what one run changed in it, which is all that a selection needs; see `edited_model`.

    `changed` names every parameter that differs from the base at any checkpoint of the run. `matrices` are
    the block matrices by name; `edited_matrices` those that changed, and `edited_layers` their blocks.
    `blocks` maps prefixes of parameter names to blocks: `transformer.h.7` to 7.
    """

    info: ModelInfo
    changed: frozenset[str]
    matrices: Mapping[str, Matrix]
    edited_matrices: Sequence[Matrix]
    edited_layers: frozenset[int]
    blocks: Mapping[str, int]


@dataclass(frozen=True, eq=False)
class Baseline:
    """The earlier record that one editor's runs are compared with.

    If there is none, `record` is None and `problem` says why. `save` is the command that creates the
    baseline, `update` the one that replaces it.
    """

    record: Record | None = None
    problem: str = "no baseline: 'relative_to: previous' needs an earlier record"
    save: str = ""
    update: str = ""


@dataclass(frozen=True, eq=False)
class RecordedRun:
    """One run of a record, what it changed in the model, and the baseline that it is compared with."""

    record: Record
    run: Run
    model: EditedModel
    baseline: Baseline | None = None


@dataclass(frozen=True, eq=False)
class Assertion:
    """One check of a suite, or its part for one task.

    `id` is shown in reports: `task_drop[mmlu]`. `task` is set if the assertion covers that task only, and
    None if it covers all tasks or the metric has none. `at_chance` has, by task, the reason for leaving out
    tasks on which the unedited model only guesses.
    """

    id: str
    name: str
    check: CheckSpec
    suite: SuiteSpec
    task: str | None = None
    at_chance: Mapping[str, Problem] = field(default_factory=dict)
