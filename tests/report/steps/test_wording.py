"""Numbers and verdicts in words."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stability.judge import Bracket, Judgement, Verdict
from stability.printable import is_printed
from stability.record import Record
from stability.report.steps import wording
from stability.suite import parse_bound

FINITE = st.floats(allow_nan=False, allow_infinity=False)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (2.9617, "2.96"),
        (2.0, "2"),
        (0.98, "0.98"),
        (-0.1234, "-0.123"),
        (12345.6, "12346"),
        (4096.0, "4096"),
        (3.2e9, "3.2e+09"),
        (0.00001234, "1.23e-05"),
        (math.nan, "not finite"),
        (math.inf, "+inf"),
    ],
)
def test_a_number_has_three_digits_and_no_exponent_below_a_million(value: float, text: str) -> None:
    assert wording.number(value) == text


def test_a_value_just_past_its_bound_is_not_rounded_onto_it() -> None:
    assert wording.number(2.00004, parse_bound("<= 2.0")) == "2.00004"
    assert wording.number(-0.0500001, parse_bound(">= -0.05")) == "-0.0500001"
    assert wording.number(2.00004) == "2"


@given(FINITE, st.sampled_from(["<= 2", ">= -0.05", "within 0.01 of 1", "== 0", "< 1e-3"]))
def test_a_number_lies_on_the_side_of_the_bound_that_the_value_does(value: float, text: str) -> None:
    bound = parse_bound(text)
    assert bound.holds(float(wording.number(value, bound))) == bound.holds(value)


def test_an_interval_has_the_same_decimals_at_both_ends() -> None:
    assert wording.span(-0.1534, -0.0912) == "[-0.15, -0.09]"
    assert wording.span(-0.0404, -0.000612) == "[-0.040, -0.001]"
    assert wording.span(-0.151, -0.0501, parse_bound(">= -0.05")) == "[-0.1510, -0.0501]"
    assert wording.span(0.0, 0.0) == "[0, 0]"
    assert wording.span(-0.0001, 0.13) == "[0.00, 0.13]"
    assert wording.span(-math.inf, 0.1) == "[-inf, 0.1]"


@given(st.text())
def test_cleaned_text_has_one_line_and_no_control_characters(text: str) -> None:
    cleaned = wording.clean(text)
    assert len(cleaned) == len(text)
    assert all(is_printed(letter) for letter in cleaned)
    assert cleaned.splitlines() in ([], [cleaned])


def test_indentation_and_lines_of_a_block_stay() -> None:
    assert wording.clean_lines("a:\n  - b\x1b[0m\n") == "a:\n  - b\N{REPLACEMENT CHARACTER}[0m"


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.42, "0.4 s"), (38.2, "38 s"), (600, "10 min"), (9000, "2.5 h")]
)
def test_a_duration_has_the_unit_that_suits_it(seconds: float, text: str) -> None:
    assert wording.duration(seconds) == text


def test_a_bracket_is_said_only_where_something_failed() -> None:
    def verdict(held_to: int | None, failed_at: int | None, severity: str = "fail") -> Verdict:
        bracket = Bracket(held_to, failed_at)
        return Verdict("rome", "c", "c", "m", severity, "<= 1", severity=severity, bracket=bracket)

    assert wording.bracket(verdict(20, 60)) == "held to 20, failed at 60"
    assert wording.bracket(verdict(None, 0)) == "failed at 0"
    assert wording.bracket(verdict(20, 60, "warn")) == "held to 20, warned at 60"
    assert wording.bracket(verdict(None, 0, "warn")) == "warned at 0"
    assert wording.bracket(verdict(120, None)) == ""


def test_facts_that_the_model_did_not_know_are_counted(hostile: tuple[Record, Judgement]) -> None:
    record = hostile[0].model_copy(update={"edits_source": "counterfact"})
    assert wording.edits_source(record) == "counterfact"
    known = record.model_copy(update={"passed_over": {1: 7, 0: 12}})
    passed = "passed over: 12 at seed 0, 7 at seed 1"
    assert wording.edits_source(known) == f"counterfact, facts that the unedited model knows ({passed})"
