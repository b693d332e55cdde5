"""What is quoted of an error that another package raised, and what a message may hold."""

import pickle

import pytest

from stability.errors import (
    EditorError,
    ModelError,
    StabilityError,
    SuiteError,
    SuiteProblem,
    first_line,
    with_type,
)
from stability.printable import LONGEST


@pytest.mark.parametrize(
    ("error", "line", "typed"),
    [
        (ValueError("bad value"), "bad value", "ValueError: bad value"),
        (OSError("\n\n  no such model\nlong explanation"), "no such model", "OSError: no such model"),
        (KeyError("name"), "'name'", "KeyError: 'name'"),
        (AssertionError(), "AssertionError", "AssertionError"),
        (RuntimeError(" \n "), "RuntimeError", "RuntimeError"),
        (SystemExit(3), "3", "SystemExit: 3"),
    ],
)
def test_an_error_is_quoted_by_its_first_line_that_says_something(error, line, typed):
    assert first_line(error) == line
    assert with_type(error) == typed


class MuteError(Exception):
    """An error that cannot even be shown."""

    def __str__(self):
        raise RuntimeError("no words")


def test_an_error_that_cannot_be_shown_is_quoted_by_its_type():
    assert first_line(MuteError()) == "MuteError"
    assert with_type(MuteError()) == "MuteError"


@pytest.mark.parametrize("raised", [StabilityError, ModelError, EditorError])
def test_what_others_put_into_a_message_cannot_break_its_line_or_move_a_cursor(raised):
    message = str(raised("a\n::error::b\x1b[2J\ud800\x00" + "c" * 5_000_000))
    assert message.startswith("a ::error::b\N{REPLACEMENT CHARACTER}[2J\N{REPLACEMENT CHARACTER}")
    assert len(message) == LONGEST
    assert message.isprintable()


def test_a_suite_s_mistakes_have_a_line_each_whatever_is_in_them():
    error = SuiteError([SuiteProblem("a\nb\x1b"), SuiteProblem("c" * 5_000_000, "s.yaml", 3)])
    first, second = str(error).split("\n")
    assert first == "suite: a b\N{REPLACEMENT CHARACTER}"
    assert second.startswith("s.yaml:3: ccc")
    assert len(second) == LONGEST
    assert str(pickle.loads(pickle.dumps(error))) == str(error)
