"""Checks on edits and models that are out of the ordinary."""

from __future__ import annotations

from stability.data.edits import Edit
from stability.errors import StabilityError
from stability.testing.case import Case
from stability.testing.check import CheckFailed, CheckSkipped, check
from stability.testing.checks.effect import listed
from stability.testing.edits import TINY_EDITS, UNUSUAL_EDITS
from stability.testing.session import CrashError
from stability.testing.tiny import TINY, tiny_model


@check("a_second_run_starts_clean", "no_nan")
def survives_unusual_subjects(case: Case) -> str:
    """Subjects and targets of any form are edited, or refused by an error that names them.

    They are made on the case's own model and on a random small GPT-2, whose tokens are bytes.
    """
    refused = dict.fromkeys([*_survive(case), *_survive(case.on(tiny_model("gpt2")), optional=True)])
    made = f"{len(UNUSUAL_EDITS) - len(refused)} kinds made"
    return f"{made}; refused: {listed(refused)}" if refused else made


def _survive(case: Case, *, optional: bool = False) -> list[str]:
    """Make the unusual edits one after another; the ids of those that were refused."""
    session = case.session()
    where = f"on {case.loaded.name}, "
    try:
        session.prepare()
    except CrashError as crash:
        raise CheckFailed(f"{where}{crash}") from crash
    except StabilityError:
        if optional:
            return []  # `runs_on_gpt2` says why
        raise
    refused: list[str] = []
    for edit in UNUSUAL_EDITS:
        try:
            step = session.edit(edit)
        except CrashError as crash:
            raise CheckFailed(f"{where}{crash}") from crash
        except StabilityError as error:
            if not _names(edit, str(error)):
                raise CheckFailed(f"{where}{edit.id} is refused without being named: {error}") from error
            refused.append(edit.id)
        else:
            if step.broken:
                raise CheckFailed(f"{where}{step.doing} left NaN or infinity in {listed(step.broken)}")
    return refused


def _names(edit: Edit, message: str) -> bool:
    return any(word in message for word in (edit.id, edit.subject, edit.target, repr(edit.subject)))


@check("a_second_run_starts_clean", "no_nan")
def runs_on_gpt2(case: Case) -> str:
    """It edits a small random GPT-2 with another tokenizer, or refuses it by an error of the harness."""
    return _runs_on(case, "gpt2")


@check("a_second_run_starts_clean", "no_nan")
def runs_on_llama(case: Case) -> str:
    """It edits a small random Llama, or refuses it by an error of the harness."""
    return _runs_on(case, "llama")


def _runs_on(case: Case, architecture: str) -> str:
    run = case.on(tiny_model(architecture)).run(*[(edit,) for edit in TINY_EDITS])
    named = TINY[architecture]
    if isinstance(run.error, CrashError):
        cause = run.error.__cause__
        same = getattr(case.loaded.model, "config", None)
        if isinstance(cause, AttributeError) and getattr(same, "model_type", None) != architecture:
            raise CheckSkipped(f"the editor is not made for a {named}: {run.error}")
        raise CheckFailed(f"on a small {named}, {run.error}")
    if run.error is not None:
        raise CheckSkipped(f"refused: {run.error}")
    for step in run.steps:
        if step.broken:
            raise CheckFailed(f"{step.doing} left NaN or infinity in {listed(step.broken)}")
    if not any(step.prints for step in case.first.steps):
        raise CheckSkipped(f"the editor changes no weight, of {case.loaded.name} or of a small {named}")
    if not run.steps[-1].prints:
        raise CheckFailed(f"{len(TINY_EDITS)} edits change no weight of a small {named}")
    return f"changed: {listed(run.steps[-1].prints)}"
