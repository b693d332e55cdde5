"""Untrusted text made safe to print: one line, no control characters, a limited length, no command."""

from __future__ import annotations

import re

LONGEST = 2_000  # characters of a message
COMMAND = re.compile(r"(?:\A|(?<=[\r\n]))[^\S\r\n]*:(?=:)|##(?=\[)")  # of GitHub's runner
CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")


def clean(text: str) -> str:
    """The text in one line without control characters, so that no name can move a cursor or break XML.

    White space becomes spaces; any other control character becomes the replacement character, to be visible.
    """
    return "".join(
        " " if letter.isspace() else letter if is_printed(letter) else "\N{REPLACEMENT CHARACTER}"
        for letter in text
    )


def clean_lines(text: str) -> str:
    """The same for a text of several lines, keeping the line breaks."""
    return "\n".join(clean(line) for line in text.splitlines())


def is_printed(letter: str) -> bool:
    """Whether a character is allowed in XML 1.0 and does not move the cursor of a terminal."""
    code = ord(letter)
    if code < 0x20 or 0x7F <= code < 0xA0 or code in (0xFFFE, 0xFFFF):
        return False
    turns_text = 0x202A <= code <= 0x202E or 0x2066 <= code <= 0x2069  # bidirectional overrides
    return not (turns_text or 0xD800 <= code <= 0xDFFF)


def shortened(text: str, most: int) -> str:
    """The text, cut to `most` characters with an ellipsis."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def one_line(text: str) -> str:
    """A message in which strangers have a say: in one line of limited length, without control characters."""
    return clean(shortened(text.strip(), LONGEST))


def without_controls(text: str) -> str:
    """A whole document in which every control character but tab and line feed is a replacement character."""
    return CONTROL.sub("\N{REPLACEMENT CHARACTER}", text)


def without_commands(text: str) -> str:
    """Lines of which GitHub's runner takes none for a command: one begins with `::`, or has `##[` in it.

    A space between the two characters is all that is added.
    """
    return COMMAND.sub(lambda found: f"{found[0]} ", text)
