"""Checks of the ways of calling an editor: batches, tuples, without gradients, with wrong settings."""

from __future__ import annotations

import math

import torch

from stability.errors import SettingsError
from stability.testing.case import Case
from stability.testing.check import CheckFailed, CheckSkipped, check
from stability.testing.checks.effect import took
from stability.testing.checks.repetition import differing, must_agree

WRONG_SETTING = "no_such_setting"


@check("edits_take_effect", "a_second_run_starts_clean")
def batch_takes_effect(case: Case) -> str:
    """Of edits that come in one call, every one takes, and none is passed over."""
    both = case.ordinary[:2]
    run = case.run(both, watched=True)
    if run.error is not None:
        raise CheckFailed(f"called with two edits: {run.error}")
    for edit in both:
        if differing(run.prints, case.run((edit,)).prints) is None:
            raise CheckFailed(f"called with two edits, it makes {edit.id} only")
    return took(case, run, share=0)


@check("a_second_run_starts_clean")
def batch_keeps_its_order(case: Case) -> str:
    """Edits that come in one call are made in their order, if one after another."""
    a, b = case.ordinary[:2]
    orders = {"given": (a, b), "turned round": (b, a)}
    joint = {}
    single = {}
    for name, edits in orders.items():
        runs = case.run(edits), case.run(*[(edit,) for edit in edits])
        for run in runs:
            if run.error is not None:
                raise CheckFailed(f"{a.id} and {b.id}, {name}: {run.error}")
        joint[name], single[name] = (run.prints[-1:] for run in runs)
    if differing(single["given"], single["turned round"]) is None:
        raise CheckSkipped("two edits give the same weights in either order")
    for name, opposite in (("given", "turned round"), ("turned round", "given")):
        if differing(joint[name], single[opposite]) is None:
            first, second = orders[name]
            raise CheckFailed(f"called with {first.id} and {second.id}, it makes {second.id} first")
    apart = differing(joint["given"], single["given"]) is None
    return "one call is as two calls" if apart else "edits of one call are made together"


@check("a_second_run_starts_clean", "does_not_alter_its_input")
def takes_a_tuple_of_edits(case: Case) -> None:
    """A tuple of edits, as the harness gives, does as well as a list."""
    run = case.run(case.ordinary[:1], as_tuple=True)
    must_agree(case.again[0], run, "called with a tuple in place of a list")


@check("a_second_run_starts_clean")
def works_under_no_grad(case: Case) -> None:
    """Where the caller has switched gradients off, the editor switches them on for itself."""
    with torch.no_grad():
        run = case.run(*[(edit,) for edit in case.ordinary[:2]])
    must_agree(case.again[0], run, "called under torch.no_grad()")


@check("edits_without_error")
def reports_each_edit(case: Case) -> str:
    """What the editor reports is one finite number for each edit."""
    names = sorted({name for step in case.first.steps for row in step.reported for name in row})
    if not names:
        raise CheckSkipped("the editor reports no figures")
    for step in case.first.steps:
        for row in step.reported:
            for name, value in row.items():
                if not math.isfinite(value):
                    raise CheckFailed(f"{step.doing}: the figure {name!r} is {value}")
    return f"reported: {', '.join(names)}"


@check()
def settings_are_checked(case: Case) -> None:
    """A setting that the editor does not have is refused."""
    if case.remake is None:
        raise CheckSkipped("the editor was given with its settings filled in")
    try:
        made = case.remake({WRONG_SETTING: 1})
    except SettingsError:
        return
    if WRONG_SETTING in made.info.settings:
        raise CheckSkipped("the editor takes settings of any name")
    raise CheckFailed(f"the setting {WRONG_SETTING!r}, which it does not have, is passed over in silence")
