"""The messages of problems: figures in them are those that they are told, and commands are kept as data, too."""

from __future__ import annotations

import pytest

from stability.judge import words


@pytest.mark.parametrize(
    ("probability", "said"),
    [
        (0.12, "12 %"),
        (0.004, "0.4 %"),
        (0.001, "0.1 %"),
        (0.0009, "less than 0.1 %"),
        (0.0, "less than 0.1 %"),
    ],
)
def test_a_probability_is_said_in_two_digits_and_what_is_tiny_as_less(probability: float, said: str) -> None:
    assert words.share(probability) == said


@pytest.mark.parametrize("make", [words.no_baseline, words.stale_baseline])
def test_the_command_that_helps_is_said_and_kept_and_none_is_made_up(make) -> None:
    told = make("no baseline", "stability baseline save run.json")
    assert told.command == "stability baseline save run.json"
    assert told.message.startswith("no baseline; ")
    assert told.message.endswith("it: stability baseline save run.json")
    untold = make("no baseline", "")
    assert (untold.message, untold.command) == ("no baseline", None)
