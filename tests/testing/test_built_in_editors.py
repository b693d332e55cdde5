"""Every editor that comes with the harness keeps to what it asks of others."""

from __future__ import annotations

import pytest

from stability.editors import list_editors
from stability.editors.plugin.find import _built_in
from stability.editors.wrappers.steps.wrapper import Wrapper
from stability.testing.conformance import examine

OUTSIDE = {"easyedit", "kmeng"}  # they are made of another system's code, and have tests of their own
WITHOUT_EFFECT = {"none", "cpt"}  # they make no edit
MAY_CHANGE = {"full_ft": ["*"], "cpt": ["*"]}  # they train every weight
KINDS = _built_in()
NAMES = [entry.name for entry in list_editors() if entry.source == "built-in" and entry.name not in OUTSIDE]


@pytest.mark.parametrize("name", NAMES)
def test_a_built_in_editor_passes(name, store):
    # What is peculiar to a subject is the business of the editor inside.
    wraps = issubclass(KINDS[name], Wrapper)
    called, skip = (f"{name}(rome)", ["survives_unusual_subjects"]) if wraps else (name, [])
    found = examine(called, skip=skip, store=store, may_change=MAY_CHANGE.get(name, ()))
    failed = {result.name: result.reason for result in found.of("fail")}
    if name in WITHOUT_EFFECT:
        assert failed.pop("edits_take_effect")
    assert failed == {}
    assert len(found.of("pass")) >= 15
