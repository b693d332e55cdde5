"""Hostile editors in their small form: the run of each ends as it has to, and the next is as it is alone."""

import json
import sys

import pytest

from tools.hostile.act import Act
from tools.hostile.acts import ACTS, FAMILIES
from tools.hostile.table import DATA, PAGE, with_table
from tools.hostile.trial import Arena, Trial

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes are forked on Linux only")

SMALL = (
    "exceptions: raises a text of 5 MB",
    "exits and crashes: reads_address_0",
    "signals: SIGKILL to its group",
    "left behind: a_daemon",
    "streams and the channel: closes all",
    "files: removes the run's folder",
    "settings: float64 by default",
    "patched classes and functions: Linear.forward",
    "what is returned: a compiled model",
    "tokenizers: no backend",
)


@pytest.fixture(scope="module")
def arena(tmp_path_factory):
    return Arena(tmp_path_factory.mktemp("arena"))


@pytest.mark.parametrize("act", SMALL)
def test_a_hostile_run_ends_as_it_has_to_and_the_next_is_bit_for_bit_the_one_that_it_is_alone(arena, act):
    assert arena.trial(act).problem == ""


def test_a_trial_tells_what_is_not_as_it_has_to_be(arena, monkeypatch):
    """An act that is harmless, and is expected to be fatal; and one whose next run is taken for another."""
    known = ACTS["files: changes the folder"]
    monkeypatch.setitem(ACTS, "files: changes the folder", Act(known.name, known.does, ("process_ended",)))
    monkeypatch.setattr(arena, "sound", arena.sound.model_copy(update={"status": "truncated"}))
    trial = arena.trial("files: changes the folder")
    assert trial.outcome == "held"
    assert trial.problem.startswith("it is held, expected process_ended: ")
    assert "the next run is another one: .status: truncated is complete" in trial.problem


def test_the_page_shows_the_campaign_that_is_kept_and_every_editor_was_as_it_has_to_be():
    trials = [Trial(**one) for one in json.loads(DATA.read_text(encoding="utf-8"))]
    page = PAGE.read_text(encoding="utf-8")
    assert with_table(page, trials) == page
    assert [trial.act for trial in trials] == list(ACTS)
    assert [trial for trial in trials if trial.problem] == []
    assert len(trials) >= 100
    assert {trial.act.partition(":")[0] for trial in trials} == {family.name for family in FAMILIES}
