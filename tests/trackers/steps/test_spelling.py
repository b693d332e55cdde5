import posixpath
import re

from hypothesis import given
from hypothesis import strategies as st

from stability.trackers.steps.spelling import flattened, spelled

FORBIDDEN = re.compile(r"[^\w.\- ]")
words = st.text(max_size=8) | st.sampled_from(["", ".", "..", "/", "a", "A", "a_2", " ", "a/b"])
keys = st.lists(st.lists(words, min_size=1, max_size=3).map(tuple), unique=True, max_size=12)


@given(keys, st.integers(5, 30))
def test_every_key_gets_an_allowed_name_of_its_own(given_keys, longest):
    names = spelled(given_keys, FORBIDDEN, longest)
    assert list(names) == given_keys
    assert len({name.casefold() for name in names.values()}) == len(given_keys)
    for name in names.values():
        assert 0 < len(name) <= longest
        assert re.fullmatch(r"[\w.\- /]+", name)


@given(keys, st.integers(5, 30))
def test_a_name_is_a_path_that_stays_where_it_is(given_keys, longest):
    for name in spelled(given_keys, FORBIDDEN, longest).values():
        assert posixpath.normpath(name) == name
        assert not name.startswith((".", "/"))


def test_names_that_need_no_change_have_none():
    assert spelled([("check", "task_drop", "mmlu")], FORBIDDEN, 250) == {
        ("check", "task_drop", "mmlu"): "check/task_drop/mmlu"
    }


def test_the_second_of_two_equal_names_gets_a_number():
    names = spelled([("a:b",), ("a?b",), ("A_b",)], FORBIDDEN, 250)
    assert list(names.values()) == ["a_b", "a_b_2", "A_b_3"]


def test_leaves_are_found_by_the_words_that_lead_to_them():
    content = {"seed": 0, "editor": {"settings": {"layers": [1]}, "nothing": {}}}
    assert flattened(content) == {
        ("seed",): 0,
        ("editor", "settings", "layers"): [1],
        ("editor", "nothing"): {},
    }
