"""The campaign of kills in its small form, and that it would find what it looks for."""

import os
import random
import sys
import time

import pytest

from stability.models import load_model
from stability.suite import ModelSpec
from tools.kills.lives import Series, reference, series
from tools.kills.table import DATA, PAGE, read, with_table, written
from tools.kills.work import Work, guard_of

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes are forked on Linux only")


def counting(name, step):
    """Work of ten steps, each of which `step` makes in a folder."""

    def do(folder):
        while len(list(folder.iterdir())) < 10:
            step(folder)
            time.sleep(0.02)

    return Work("count", name, do, lambda folder: str(sorted(path.name for path in folder.iterdir())))


def test_work_that_goes_on_where_it_was_comes_to_an_equal_end_however_often_it_is_killed():
    work = counting("sound", lambda folder: (folder / str(len(list(folder.iterdir())))).touch())
    expected, _ = reference(work)
    found = series(work, expected, 0.05, random.Random(0))
    assert found.problem == ""
    assert found.total == sum(found.kills.values()) >= 1
    assert {*found.kills} <= {"SIGKILL", "SIGTERM", "SIGINT"}


def test_work_that_does_not_is_found_out():
    work = counting("unsound", lambda folder: (folder / f"{os.getpid()}-{time.monotonic_ns()}").touch())
    found = series(work, "the same each time", 0.1, random.Random(0))
    assert found.problem == "its result is not that of the work done at a stroke"


def test_work_that_ends_by_itself_with_an_error_is_found_out(capfd):
    def fail(folder):
        raise ValueError("cannot go on")

    found = series(Work("count", "failing", fail, str), "", 0.1, random.Random(3))
    while found.problem == "":  # it was killed before it could fail
        found = series(Work("count", "failing", fail, str), "", 0.1, random.Random(4))
    assert found.problem == "a life ended with status 1"
    assert "cannot go on" in capfd.readouterr().err


def test_a_guard_is_killed_and_goes_on():
    work = guard_of(load_model(ModelSpec()))
    expected, seconds = reference(work)
    assert series(work, expected, seconds, random.Random(1)).problem == ""


def test_figures_come_back_as_they_were_written(tmp_path):
    found = [Series("run", "rome", {"SIGKILL": 2}), Series("Guard", "drift", {}, "ended")]
    (tmp_path / "state.json").write_text(written(found))
    assert read(tmp_path / "state.json") == found
    assert read(tmp_path / "none.json") == []


def test_the_page_shows_the_campaign_that_is_kept_and_all_its_kills_were_gone_on_with():
    found = read(DATA)
    page = PAGE.read_text(encoding="utf-8")
    assert with_table(page, found) == page
    assert [one for one in found if one.problem] == []
    assert {one.kind for one in found} == {"run", "horizon", "Guard"}
