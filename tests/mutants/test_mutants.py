"""Mutation testing: where faults are put, and that the tests run on the file with the fault."""

import ast
import json
import subprocess
import sys

import pytest

from tools.mutants import campaign, places
from tools.mutants.campaign import ROOMS, Campaign, NotMutatedError, Tried, sample
from tools.mutants.cover import Cover
from tools.mutants.places import ROOT, mutants, mutated
from tools.mutants.table import DATA, LEAST, PAGE, differing, share, total, with_table


@pytest.fixture
def faults_of(tmp_path, monkeypatch):
    """The faults of a file of that text, with the text that each leaves."""
    monkeypatch.setattr(places, "ROOT", tmp_path)

    def find(text):
        (tmp_path / "file.py").write_text(text)
        found = mutants("file.py")
        return found, {ast.unparse(mutated("file.py", mutant.number)) for mutant in found}

    return find


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("a = b < c", {"a = b <= c", "a = b >= c"}),
        ("a = b == c", {"a = b != c"}),
        ("a = b and c", {"a = b or c", "a = b", "a = c"}),
        ("a = not b", {"a = b"}),
        ("a = b + c", {"a = b - c"}),
        ("a = 3", {"a = 2", "a = 4"}),
        ("a = 0.5", {"a = 1.0"}),
        ("a = True", {"a = False"}),
        ("a = max(b)", {"a = min(b)"}),
        ("a = abs(b)", {"a = b"}),
        ("a = b['c']", {"a = b['c-']"}),
        ("a = b if c else d", {"a = b if not c else d"}),
        ("a = [b for b in c if d]", {"a = [b for b in c]"}),
        ("a += b", {"pass", "a -= b"}),
        ("a(b)", {"pass"}),
        ("def a():\n    return b", {"def a():\n    return None"}),
        ("while a:\n    break", {"while not a:\n    break", "while a:\n    continue"}),
        ("raise a(1, b < c)", {"pass"}),
    ],
)
def test_a_fault_changes_one_thing(faults_of, text, left):
    assert faults_of(text)[1] == left


@pytest.mark.parametrize(
    "text",
    [
        '"""A docstring."""',
        "def a(b: int | None = None) -> 'c':\n    '''A docstring.'''",
        "a = f'{b + 1} words'",
        "a = 'words'",
        "assert a < 1",
        "a: Literal[1]",
        "A = Callable[[int], int]",
        "__all__ = [*'ab']",
        "logger.warning('words', a + 1)",
        "@dataclass(frozen=True)\nclass A:\n    pass",
        "if TYPE_CHECKING:\n    a = 1",
        "a = b + ' words'",
    ],
)
def test_what_no_test_could_see_is_left_as_it_is(faults_of, text):
    assert faults_of(text)[1] == set()


def test_a_mutant_keeps_its_name_while_the_code_around_it_changes(faults_of):
    text = "def a():\n    return b + 1\n"
    before, _ = faults_of(text)
    after, _ = faults_of(f"c = 5\n\n\n{text}")
    assert len(before) == 4
    assert {mutant.key for mutant in before} < {mutant.key for mutant in after}
    assert {mutant.number for mutant in before} != {mutant.number for mutant in after}


def test_faults_that_look_alike_are_told_apart(faults_of):
    found, _ = faults_of("def a():\n    b(1)\n    b(1)\n")
    assert len({mutant.key for mutant in found}) == len(found) == 6


def test_the_sample_of_a_room_is_the_same_each_time_and_another_with_another_seed():
    first, again, other = sample("suite", 50, 0), sample("suite", 50, 0), sample("suite", 50, 1)
    assert first == again
    assert len({mutant.key for mutant in first}) == 50
    assert len({mutant.key for mutant in first} & {mutant.key for mutant in other}) < 20
    assert sample("suite", 60, 0)[:50] == first


def test_a_mutant_is_tried_with_the_tests_that_touch_its_statement():
    mutant = sample("suite", 1, 0)[0]
    near, far = [mutant.first], [mutant.last + 1, mutant.first - 1]
    cover = Cover(
        seconds={"quick": 0.1, "slow": 5.0, "endless": 100.0, "elsewhere": 0.1, "failing": 0.1},
        lines={mutant.file: {"slow": near, "quick": near, "endless": near, "elsewhere": far}},
    )
    assert cover.tests_of(mutant) == ["quick", "slow"]


def proving(control):
    """What comes of proving that one control is imported, in a process that has imported nothing of ours."""
    code = f"from tools.mutants.campaign import prove; prove([{control!r}])"
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)


def test_the_mutated_file_is_the_one_that_is_imported():
    ended = proving(("stability/suite/bounds.py", "parse_bound", "tests/suite/test_bounds.py"))
    assert (ended.returncode, ended.stderr) == (0, "")


def test_tests_that_do_not_import_the_mutated_file_prove_nothing():
    ended = proving(("stability/gate/weights/numbers.py", "norm_of", "tests/test_reading.py"))
    assert ended.returncode == 1
    assert NotMutatedError.__name__ in ended.stderr


def test_a_campaign_goes_on_where_it_was_interrupted(tmp_path, monkeypatch):
    tried = []

    def attempt(mutant, cover):
        if len(tried) == 3:
            raise KeyboardInterrupt
        tried.append(mutant.key)
        return Tried("survived" if len(tried) == 2 else "killed")

    monkeypatch.setattr(campaign, "attempt", attempt)
    chosen, state, cover = sample("suite", 5, 0), tmp_path / "tried.json", Cover({}, {})
    with pytest.raises(KeyboardInterrupt):
        Campaign(state).run(chosen, cover, lambda *_: None)
    tried.append("so that the rest is tried")
    resumed = Campaign(state)
    resumed.run(chosen, cover, lambda *_: None)
    assert [key for key in tried if " " not in key] == [mutant.key for mutant in chosen]
    assert list(resumed.tried) == [mutant.key for mutant in chosen]
    resumed.forget(chosen)
    assert list(resumed.tried) == [mutant.key for mutant in (chosen[0], *chosen[2:])]


def test_only_the_part_in_which_two_texts_differ_is_shown():
    assert differing("if a < b:", "if a <= b:", around=3) == ("…a < b:", "…a <= b:")
    assert differing("aaa", "aaaa") == ("aaa", "aaaa")


def test_what_runs_out_of_time_was_seen_and_what_no_test_touches_was_not():
    assert share({"tried": 10, "killed": 6, "out of time": 3, "untested": 1}) == 0.9
    assert share({"tried": 0}) == 0.0


def test_the_page_is_that_of_the_figures_and_says_of_every_survivor_why_it_lives():
    content = json.loads(DATA.read_text(encoding="utf-8"))
    page = PAGE.read_text(encoding="utf-8")
    assert with_table(page, content) == page
    assert set(content["rooms"]) == set(ROOMS)
    assert total(content["rooms"])["tried"] >= 300
    assert share(total(content["rooms"])) >= LEAST
    assert [one["key"] for one in content["survivors"] if not one["reason"]] == []
