"""What is quoted of an error that another package raised."""

import pytest

from stability.errors import first_line, with_type


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
