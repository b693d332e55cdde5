"""Tasks in other people's YAML: what would run code is refused, and templates cannot leave their sandbox.

lm-eval imports what `!function` names, makes an instance of `class`, fetches a metric that it does not know
as a script, opens pickles by `dataset_path: pandas`, and renders templates without a sandbox.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import lm_eval.utils
import yaml
from jinja2.sandbox import SandboxedEnvironment
from lm_eval.api.registry import METRIC_REGISTRY

from stability.errors import DataError
from stability.reading import MOST_YAML, UnreadableError, compose_yaml, read_text

UNPICKLING = ("pandas", "generator", "spark")  # builders of datasets that read pickles or code
TRUST = "if you trust all of its authors, write 'tasks: {trust_code: true}' in the suite"


def refuse_code(folder: Path, trusted: Sequence[Path] = ()) -> None:
    """See that no task in a folder's YAML names code, nor what it includes from other than trusted folders.

    Raises:
        DataError: with the file and line; one is no YAML, or past a limit, too.
    """
    waiting = sorted(path for path in folder.glob("**/*.yaml") if path.is_file())
    seen: set[Path] = set()
    while waiting:
        path = waiting.pop().resolve()
        if path in seen or any(path.is_relative_to(one.resolve()) for one in trusted):
            continue
        seen.add(path)
        try:
            node = compose_yaml(read_text(path, most=4 * MOST_YAML))
        except (OSError, UnreadableError) as error:
            at = f":{line}" if (line := getattr(error, "line", None)) else ""
            raise DataError(f"{path}{at}: not a task's YAML: {error}") from error
        if not isinstance(node, yaml.MappingNode):
            raise DataError(f"{path}: not a task's YAML: expected a mapping")
        for place, reason in _code(node):
            raise DataError(f"{path}:{place.start_mark.line + 1}: {reason}, which can run code; {TRUST}")
        waiting += [path.parent / name for name in _included(node)]


def sandbox_templates() -> None:
    """Have lm-eval render the templates of tasks in a sandbox from now on."""
    plain = lm_eval.utils.env
    if not isinstance(plain, SandboxedEnvironment):
        sandboxed = SandboxedEnvironment(
            loader=plain.loader, undefined=plain.undefined, keep_trailing_newline=plain.keep_trailing_newline
        )
        sandboxed.filters.update(plain.filters)
        lm_eval.utils.env = sandboxed


def _code(node: yaml.Node) -> Iterator[tuple[yaml.Node, str]]:
    """The nodes that name code, each with what it does."""
    if node.tag.startswith("!"):
        yield node, f"{node.tag} names a function"
    if isinstance(node, yaml.SequenceNode):
        for inner in node.value:
            yield from _code(inner)
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield from _code(key)
            yield from _code(value)
            if reason := _reason(str(key.value), str(value.value)):
                yield value, reason


def _reason(key: str, value: str) -> str:
    """What is wrong with a key and its value; empty if nothing is."""
    if key in ("class", "unsafe_code", "hf_evaluate"):
        return f"{key!r} asks for code of others"
    if key == "dataset_path" and value in UNPICKLING:
        return f"'dataset_path: {value}' opens pickles"
    if key == "metric" and value not in METRIC_REGISTRY:
        return f"lm-eval knows no metric {value!r} and would fetch a script of that name"
    return ""


def _included(node: yaml.MappingNode) -> Iterator[str]:
    for key, value in node.value:
        if key.value == "include":
            for one in value.value if isinstance(value, yaml.SequenceNode) else [value]:
                yield str(one.value)
