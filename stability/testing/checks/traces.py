"""Checks that an editor leaves no trace but in the weights."""

from __future__ import annotations

from stability.run.surroundings import Aspect, differences
from stability.testing.case import Case
from stability.testing.check import CheckFailed, CheckSkipped, check
from stability.testing.checks.effect import listed, steps_of


def _unchanged(case: Case, aspect: Aspect) -> None:
    for step in steps_of(case.first):
        found = differences(step.before, step.after, aspect)
        if found:
            more = f" ({len(found) - 1} more)" if len(found) > 1 else ""
            raise CheckFailed(f"{step.doing} left {found[0]}{more}")


@check("edits_without_error")
def model_left_in_eval_mode(case: Case) -> None:
    """Every module is in the mode, training or eval, in which it was."""
    _unchanged(case, "modes")


@check("edits_without_error")
def hooks_removed(case: Case) -> None:
    """No hook is left on a module, a parameter or all modules, and none that was there is gone."""
    _unchanged(case, "hooks")


@check("edits_without_error")
def modules_left_alone(case: Case) -> None:
    """An editor that works in place leaves the model's modules and the names of its tensors as they were."""
    if case.adds_modules:
        raise CheckSkipped("the editor is declared to leave modules of its own")
    for step in case.first.steps:
        found = differences(step.before, step.after, "modules")
        if found and not step.in_place:
            raise CheckSkipped(f"the editor returns another model, in which {found[0]}")
    _unchanged(case, "modules")


@check("edits_without_error")
def grad_state_left_alone(case: Case) -> None:
    """Parameters ask for gradients as before, none holds one, and gradients are on or off as before."""
    _unchanged(case, "gradients")


@check("edits_without_error")
def global_state_left_alone(case: Case) -> None:
    """Default dtype and device, threads, determinism, autocast, numpy's errors: all are as they were."""
    _unchanged(case, "globals")


@check("edits_without_error")
def does_not_alter_its_input(case: Case) -> None:
    """The list of edits, the tokenizer and the model's configuration are as they were."""
    for step in case.first.steps:
        if step.inputs:
            raise CheckFailed(f"{step.doing} altered {listed(step.inputs)}")
