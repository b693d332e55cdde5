import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stability.suite import parse_bound

finite = st.floats(-1e6, 1e6, allow_nan=False)


@pytest.mark.parametrize(
    ("text", "inside", "outside"),
    [
        ("<= 2.0", [2.0, -5], [2.0001]),
        (">=0.6", [0.6, 7], [0.5999]),
        ("< 1e-3", [0], [1e-3]),
        ("> -.5", [0], [-0.5]),
        ("== 0", [0, -0.0], [1e-9]),
        ("within 0.1 of 1", [0.9, 1.1], [0.89, 1.11]),
        ("between -1 and 2", [-1, 2], [-1.1, 2.1]),
    ],
)
def test_each_form_holds_inside_and_not_outside(text, inside, outside):
    bound = parse_bound(text)
    assert all(bound.holds(value) for value in inside)
    assert not any(bound.holds(value) for value in outside)


@pytest.mark.parametrize(
    "text",
    ["at least 70", "<= ", "2.0", "<= 2 and >= 1", "=< 2", "between 2 and 1", "within -1 of 0", "<= nan", ""],
)
def test_anything_else_is_refused(text):
    with pytest.raises(ValueError, match="write"):
        parse_bound(text)


@pytest.mark.parametrize("text", ["<= 2", ">= 2", "< 2", "> 2", "== 2", "within 1 of 2", "between 1 and 2"])
def test_nan_never_holds(text):
    bound = parse_bound(text)
    assert not bound.holds(math.nan)
    assert bound.distance(math.nan) == -math.inf
    assert bound.margin(math.nan) is None


@pytest.mark.parametrize(
    ("text", "end"), [("<= 2", 2), (">= 2", 2), ("between 1 and 2", 1), ("within 1 of 5", 4)]
)
def test_the_end_that_nan_is_nearest_to_is_one_that_there_is(text, end):
    assert parse_bound(text).nearest(math.nan) == end


@pytest.mark.parametrize(("text", "value"), [(">= 2", math.inf), ("<= 2", -math.inf)])
def test_an_infinity_on_the_open_side_holds_but_is_accepted_of_no_measurement(text, value):
    bound = parse_bound(text)
    assert bound.holds(value)
    assert not bound.holds(-value)
    assert not bound.accepts(value)
    assert bound.reach(value) == -math.inf


@given(finite, finite, finite)
def test_the_distance_is_negative_exactly_outside(first, second, value):
    low, high = sorted((first, second))
    bound = parse_bound(f"between {low!r} and {high!r}")
    at_an_end = any(math.isclose(value, end, rel_tol=1e-14) for end in (low, high))
    assert at_an_end or (bound.distance(value) >= 0) == bound.holds(value)


@given(st.floats(0.1, 1e3), st.floats(0, 1e3))
def test_the_margin_is_the_distance_as_a_share_of_the_bound(limit, value):
    bound = parse_bound(f"<= {limit!r}")
    margin = bound.margin(value)
    assert margin is not None
    assert math.isclose(margin, (limit - value) / limit, rel_tol=1e-12, abs_tol=1e-12)


def test_there_is_no_margin_against_zero():
    assert parse_bound("== 0").margin(3) is None


@given(st.sampled_from(["<=", ">=", "<", ">", "=="]), finite, finite)
def test_comparisons_agree_with_python(sign, number, value):
    expected = {
        "<=": value <= number,
        ">=": value >= number,
        "<": value < number,
        ">": value > number,
        "==": value == number,
    }
    assert parse_bound(f"{sign} {number!r}").holds(value) == expected[sign]


@pytest.mark.parametrize("end", [0.01, 0.05, 0.1, 0.3])
def test_a_difference_of_exactly_the_bound_is_at_the_bound_however_it_is_rounded(end):
    for n in range(100, 2001, 100):
        for right in range(n // 2, n, 7):
            change = (right - round(end * n)) / n - right / n
            assert parse_bound(f">= -{end}").holds(change, scale=1.0)
            assert parse_bound(f"== -{end}").holds(change, scale=1.0)
            assert not parse_bound(f"> -{end}").holds(change, scale=1.0)
            assert not parse_bound(f">= -{end}").holds(change - 1 / n, scale=1.0)


def test_what_is_no_difference_of_larger_numbers_is_held_to_the_last_digits():
    assert not parse_bound("== 0").holds(1e-300)
    assert not parse_bound("<= 1e-20").holds(1.001e-20)
