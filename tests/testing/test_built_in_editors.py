"""Every editor that comes with the harness keeps to what it asks of others."""

from __future__ import annotations

import pytest

from stability.parts import EDITORS
from stability.testing.conformance import examine

MAY_CHANGE = {"full_ft": ["*"], "cpt": ["*"]}  # they train every weight
HEADS = {name: part.head for name, part in EDITORS.built_in().items()}
NAMES = [name for name, head in HEADS.items() if head.family != "foreign"]  # those have tests of their own


@pytest.mark.parametrize("name", NAMES)
def test_a_built_in_editor_passes(name, store):
    # What is peculiar to a subject is the business of the editor inside.
    wraps = HEADS[name].family == "wrapper"
    called, skip = (f"{name}(rome)", ["survives_unusual_subjects"]) if wraps else (name, [])
    found = examine(called, skip=skip, store=store, may_change=MAY_CHANGE.get(name, ()))
    failed = {result.name: result.reason for result in found.of("fail")}
    if not HEADS[name].uses_edits:
        assert failed.pop("edits_take_effect")
    assert failed == {}
    assert len(found.of("pass")) >= 15
