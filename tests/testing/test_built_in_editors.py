"""Every editor that comes with the harness keeps to what it asks of others."""

from __future__ import annotations

import pytest

from stability.editors import find_editor
from stability.parts import EDITORS
from stability.testing.conformance import examine

MAY_CHANGE = {"full_ft": ["*"], "cpt": ["*"]}  # they train every weight
HEADS = {name: part.head for name, part in EDITORS.built_in().items()}
NAMES = [name for name, head in HEADS.items() if head.family != "external"]  # those have tests of their own
# Each shares most of its code with one that is always asked, and has tests of its own.
AKIN = ("alphaedit", "cpt", "emmet", "encore", "frobenius", "ft_l", "nas", "pmet", "prune", "rect", "revive")
SLOW = ("survives_unusual_subjects", "runs_on_gpt2", "runs_on_llama")
FEW_STEPS = {"v_num_grad_steps": 8}  # of the search for a value
LITTLE_TRAINING = {"mend": {"num_steps": 40, "train_edits_count": 80, "locality_tokens": 4000}}


def short(name):
    """Settings with which an editor soon has its edits made."""
    if HEADS[name].family == "wrapper":
        return {"editor": {"ft": {"num_steps": 20}}}
    known = find_editor(name, {}, "world").info.settings
    return {key: value for key, value in FEW_STEPS.items() if key in known} | LITTLE_TRAINING.get(name, {})


def passes(called, name, **options):
    """Whether the editor fails nothing but to have an effect that it does not claim."""
    found = examine(called, may_change=MAY_CHANGE.get(name, ()), **options)
    failed = {result.name: result.reason for result in found.of("fail")}
    if not HEADS[name].uses_edits:
        assert failed.pop("edits_take_effect")
    assert failed == {}
    return len(found.of("pass"))


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.torture) if name in AKIN else name for name in NAMES],
)
def test_a_built_in_editor_passes_what_is_quickly_asked(name, store):
    assert passes(name, name, settings=short(name), skip=SLOW, store=store) >= 14


@pytest.mark.parametrize("name", ["rome", "ft"])
def test_an_editor_of_each_kind_takes_unusual_subjects_and_other_architectures(name, store):
    checks = ["no_nan", "a_second_run_starts_clean", *SLOW]
    assert passes(name, name, settings=short(name), checks=checks, store=store) == len(checks)


@pytest.mark.torture
@pytest.mark.parametrize("name", NAMES)
def test_a_built_in_editor_passes_as_it_is_set_for_the_model(name, store):
    # What is peculiar to a subject is the business of the editor inside.
    called, skip = (f"{name}(rome)", SLOW[:1]) if HEADS[name].family == "wrapper" else (name, ())
    assert passes(called, name, skip=skip, store=store) >= 15
