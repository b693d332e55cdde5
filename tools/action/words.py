"""The words of the action's input `arguments`: split as a shell splits them, and nothing is run or expanded.

Reads the text from stdin and writes each word to stdout with a NUL behind it. A line break parts words, with
a backslash before it it does not; `#` at the start of a word begins a comment. `--out` is refused: the
action's output `report` is its input `out`.
"""

from __future__ import annotations

import re
import shlex
import sys

TOKENS = re.compile(r"""'[^']*'|"(?:\\.|[^"\\])*"|\\.|(?<!\S)#[^\n]*""", re.DOTALL)


def words(text: str) -> list[str]:
    """The words of a text.

    Raises:
        ValueError: a quote is not closed, or the text ends in a backslash.
    """
    return shlex.split(TOKENS.sub(_kept, text))


def _kept(token: re.Match[str]) -> str:
    is_left_out = token[0] == "\\\n" or token[0].startswith("#")
    return "" if is_left_out else token[0]


def main() -> int:
    """Exit status: 0, or 2 with an annotation where the text cannot be split, or names the folder."""
    try:
        found = words(sys.stdin.buffer.read().decode("utf-8"))
    except ValueError as error:
        sys.stderr.write(f"::error title=arguments::{error}\n")
        return 2
    if any(word.partition("=")[0] == "--out" for word in found):
        sys.stderr.write("::error title=arguments::--out is given by the action's input 'out'\n")
        return 2
    sys.stdout.buffer.write(b"".join(word.encode("utf-8") + b"\0" for word in found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
