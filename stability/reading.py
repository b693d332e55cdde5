"""Reading what anybody may have written: within limits of size and depth, and plain values only.

A file that is past a limit is refused before it can take the memory or the hours that it asks for.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from stability.errors import first_line
from stability.printable import shortened

MOST_BYTES = 512 * 2**20  # of any file but YAML
MOST_YAML = 256 * 2**10  # characters: PyYAML takes seconds for more
MOST_VALUES = 20_000  # of YAML, each alias counted as often as it is written out
MOST_LEVELS = 100  # of lists and mappings in each other
MOST_BITS = 64  # of a whole number in YAML

NO_TEXT = re.compile("[\0\ud800-\udfff]")
TAG = "tag:yaml.org,2002:"
PLAIN = ("null", "bool", "int", "float", "str", "seq", "map")


class UnreadableError(ValueError):
    """A text is not JSON or not YAML, or is past a limit; `line` is where, counted from 1, if it is known."""

    def __init__(self, message: str, line: int | None = None) -> None:
        super().__init__(message)
        self.line = line


def read_bytes(path: Path, most: int = MOST_BYTES) -> bytes:
    """A file's content; one that no process writes to is not waited for.

    Raises:
        OSError: it cannot be read.
        UnreadableError: it is larger than `most` bytes.
    """
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    with os.fdopen(descriptor, "rb") as stream:
        if hasattr(os, "O_NONBLOCK"):
            os.set_blocking(descriptor, True)
        content = stream.read(most + 1)
    if len(content) > most:
        raise UnreadableError(f"it is larger than {most / 2**20:g} MiB")
    return content


def read_text(path: Path, encoding: str = "utf-8", most: int = MOST_BYTES) -> str:
    """A file's text, its line ends as in `Path.read_text`.

    Raises:
        OSError: it cannot be read.
        UnreadableError: it is too large, or not in that encoding.
    """
    try:
        text = read_bytes(path, most).decode(encoding)
    except UnicodeDecodeError as error:
        raise UnreadableError(f"it is not {encoding.removesuffix('-sig').upper()} text: {error}") from error
    return text.replace("\r\n", "\n").replace("\r", "\n")


def parse_json(text: str | bytes) -> Any:
    """A JSON value.

    Raises:
        UnreadableError: it is none, or nested too deep.
    """
    try:
        content = json.loads(text)
    except json.JSONDecodeError as error:
        raise UnreadableError(error.msg, error.lineno) from error
    except RecursionError:
        raise _too_deep() from None
    except ValueError as error:  # bytes that are no text, or a number of thousands of digits
        raise UnreadableError(first_line(error)) from error
    refuse_deep(content)
    return content


def refuse_deep(content: Any) -> None:
    """See that lists and mappings are not nested deeper than what works with them can go.

    Raises:
        UnreadableError: they are.
    """
    level = [content]
    for _ in range(MOST_LEVELS):
        level = [
            value
            for outer in level
            if isinstance(outer, (dict, list))
            for value in (outer.values() if isinstance(outer, dict) else outer)
        ]
        if not level:
            return
    raise _too_deep()


class PlainLoader(yaml.SafeLoader):
    """YAML that makes the values that JSON has, and no others: a date stays a text."""

    yaml_implicit_resolvers = {  # noqa: RUF012  (as its base class declares it)
        first: [(tag, form) for tag, form in resolvers if tag != f"{TAG}timestamp"]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    yaml_constructors = {  # noqa: RUF012
        tag: constructor
        for tag, constructor in yaml.SafeLoader.yaml_constructors.items()
        if tag is None or tag.removeprefix(TAG) in PLAIN
    }


def _scalar(kind: str) -> Callable[[PlainLoader, yaml.ScalarNode], Any]:
    """The constructor of a kind of number or truth, whose every fault is one of YAML."""

    def construct(loader: PlainLoader, node: yaml.ScalarNode) -> Any:
        try:
            value = getattr(loader, f"construct_yaml_{kind}")(node)
        except (ValueError, LookupError, OverflowError):
            value = None
        is_long = isinstance(value, int) and value.bit_length() > MOST_BITS
        if value is None or is_long:
            said = shortened(str(node.value), 40)
            reason = f"is a whole number of more than {MOST_BITS} bits" if is_long else f"is no {kind}"
            raise yaml.MarkedYAMLError(problem=f"{said!r} {reason}", problem_mark=node.start_mark)
        return value

    return construct


def _text(loader: PlainLoader, node: yaml.ScalarNode) -> str:
    """The constructor of texts, of which none holds what no file's name and no terminal takes."""
    value = str(loader.construct_scalar(node))
    if NO_TEXT.search(value):
        raise yaml.MarkedYAMLError(
            problem=f"{shortened(ascii(value), 40)} holds NUL or half of a surrogate pair",
            problem_mark=node.start_mark,
        )
    return value


PlainLoader.add_constructor(f"{TAG}str", _text)
for _kind in ("bool", "int", "float"):
    PlainLoader.add_constructor(f"{TAG}{_kind}", _scalar(_kind))


def parse_yaml(text: str, loader: type[PlainLoader] = PlainLoader) -> tuple[Any, yaml.Node | None]:
    """The value of a YAML text, and its node, which knows the lines; None for a text without a value.

    Raises:
        UnreadableError: it is not YAML, holds a value that JSON has not, or is past a limit.
    """
    with _faults():
        made = loader(text)
        node = _composed(made, text)
        return (None if node is None else made.construct_document(node)), node


def compose_yaml(text: str) -> yaml.Node | None:
    """The node of a YAML text, whatever its tags; None for a text without a value.

    Raises:
        UnreadableError: it is not YAML, or is past a limit.
    """
    with _faults():
        return _composed(PlainLoader(text), text)


def _composed(loader: PlainLoader, text: str) -> yaml.Node | None:
    if len(text) > MOST_YAML:
        raise UnreadableError(f"it is longer than {MOST_YAML} characters")
    node: yaml.Node | None = loader.get_single_node()
    if node is not None:
        _refuse_large(node)
    return node


@contextmanager
def _faults() -> Iterator[None]:
    """Every fault that PyYAML finds as one of ours."""
    try:
        yield
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or first_line(error)
        raise UnreadableError(problem, mark.line + 1 if mark else None) from error
    except RecursionError:
        raise _too_deep() from None


def _refuse_large(node: yaml.Node) -> None:
    """See that a document with all its aliases written out is neither large nor endless."""
    found = [(node, 1)]
    for _ in range(MOST_VALUES):
        inner, level = found.pop()
        if level > MOST_LEVELS:
            raise _too_deep()
        if isinstance(inner, yaml.MappingNode):
            found += ((one, level + 1) for pair in inner.value for one in pair)
        elif isinstance(inner, yaml.SequenceNode):
            found += ((one, level + 1) for one in inner.value)
        if not found:
            return
    raise UnreadableError(f"it holds more than {MOST_VALUES} values, aliases written out")


def _too_deep() -> UnreadableError:
    return UnreadableError(f"nested too deep: more than {MOST_LEVELS} lists and mappings in each other")
