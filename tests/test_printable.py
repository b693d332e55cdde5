"""Text of strangers: one line, cut, without control characters, and no command of GitHub's runner."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stability.printable import LONGEST, is_printed, one_line, without_commands, without_controls

COMMANDS = ["::error::x", "  ::set-output name=a::b", "a ##[error]b", "##[group]a", "\u3000::debug::a"]


def is_command(line):
    """As the runner reads a line."""
    return line.lstrip().startswith("::") or "##[" in line


@given(st.text(min_size=1))
def test_a_message_is_one_line_of_printed_characters(text):
    line = one_line(text)
    assert all(is_printed(letter) for letter in line)
    assert len(line.splitlines()) <= 1


def test_a_message_of_megabytes_is_cut():
    assert len(one_line("a" * 5_000_000)) == LONGEST
    assert one_line("a" * 5_000_000).endswith("…")


@pytest.mark.parametrize("line", COMMANDS)
def test_no_line_is_a_command_whatever_stands_around_it(line):
    assert is_command(line)
    for text in (line, f"a\n{line}\nb", f"\n\n{line}\n\n{line}", f"a\r{line}\r\n{line}"):
        shown = without_commands(text)
        assert not any(map(is_command, re.split("[\r\n]", shown)))
        assert shown.replace(" ", "") == text.replace(" ", "")


@given(st.text(":#[ \r\n\ta\x85\u2028", max_size=30))
def test_no_text_of_colons_and_hashes_holds_a_command(text):
    assert not any(map(is_command, re.split("[\r\n]", without_commands(text))))


def test_a_document_keeps_its_lines_and_loses_its_control_characters():
    assert (
        without_controls("a\tb\n\x1b[2Jc\r\x00\ud800\u202e")
        == "a\tb\n\N{REPLACEMENT CHARACTER}[2Jc" + 4 * "\N{REPLACEMENT CHARACTER}"
    )


def test_what_is_no_command_stays_as_it_is():
    text = "tests/a.py::test_b\na :: b\n# [a] ## b\n"
    assert without_commands(text) == text
