"""Reading a suite file: every mistake at once, each as `file:line: path: message`."""

from __future__ import annotations

import difflib
import hashlib
import json
import logging
import typing
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from stability.errors import SuiteError, SuiteProblem
from stability.reading import PlainLoader, UnreadableError, parse_yaml, read_text
from stability.suite.inputs import inputs_fingerprint
from stability.suite.judgeable import Location, Mistake
from stability.suite.mistakes import readable, suite_mistakes, suite_warnings
from stability.suite.schema import SuiteSpec

LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class SuiteFile:
    """A suite as read from a file: its content, its text, and the line of each key."""

    spec: SuiteSpec
    text: str
    path: Path | None = None
    lines: dict[Location, int] = field(default_factory=dict, repr=False)

    def line(self, *location: str | int) -> int:
        """The line of a key, or of the nearest one above it that is in the file."""
        return nearest_line(self.lines, location)

    @property
    def measured(self) -> dict[str, Any]:
        """What is measured, as plain JSON: two suites that differ in bounds and editors only share it."""
        content = self.spec.model_dump(
            mode="json", exclude={"checks", "editors", "name", "description", "may_change", "record"}
        )
        del content["tasks"]["trust_code"]
        for key in ("limits", "resume", "keep"):  # which change nothing that is measured
            del content["run"][key]
        if self.spec.model.gguf is None:
            del content["model"]["gguf"]  # as in records from before there was such a key
        if not self.spec.run.edits.known:
            del content["run"]["edits"]["known"]  # likewise
        if "untouched_facts" not in self.spec.metric_names and "all" not in self.spec.record:
            del content["untouched"]
        content["tasks_measured"] = sorted(self.spec.task_names)
        if self.spec.clusters:
            content["clusters"] = {
                task: sorted(fields) for task, fields in sorted(self.spec.clusters.items())
            }
        content["metrics"] = sorted({*self.spec.metric_names, *self.spec.record})
        return content

    @property
    def inputs_fingerprint(self) -> str:
        """SHA-256 of the files that the suite names, as they are now."""
        return inputs_fingerprint(self.spec)

    @property
    def measured_fingerprint(self) -> str:
        """SHA-256 of what is measured."""
        return hashlib.sha256(json.dumps(self.measured, sort_keys=True).encode()).hexdigest()


class _Loader(PlainLoader):
    """YAML that refuses a key written twice instead of keeping the last."""


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict[Any, Any]:
    loader.flatten_mapping(node)
    seen: dict[Any, int] = {}
    for key_node, _ in node.value:
        key = loader.construct_object(key_node, deep=True)
        line = key_node.start_mark.line
        try:
            first = seen.get(key)
        except TypeError:
            raise yaml.MarkedYAMLError(
                problem="a key must be a plain word", problem_mark=key_node.start_mark
            ) from None
        if first is not None:
            raise yaml.MarkedYAMLError(
                problem=f"{key!r} is written twice (first on line {first + 1}); keep one",
                problem_mark=key_node.start_mark,
            )
        seen[key] = line
    return loader.construct_mapping(node, deep=True)


_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


def load_suite(path: str | Path) -> SuiteFile:
    """Read and check a suite file.

    Raises:
        SuiteError: with one line for each mistake in it.
    """
    path = Path(path)
    try:
        text = read_text(path)
    except FileNotFoundError:
        message = "no such file; a suite is a YAML file such as suites/smoke.stability.yaml"
        raise SuiteError([SuiteProblem(message, str(path))]) from None
    except (OSError, UnreadableError) as error:
        raise SuiteError([SuiteProblem(f"cannot read it as UTF-8 text: {error}", str(path))]) from error
    return warned(parse_suite(text, path))


def parse_suite(text: str, path: Path | None = None, *, is_recorded: bool = False) -> SuiteFile:
    """Check the text of a suite; `path` is where it came from, for messages.

    One that a record holds was accepted when it was run: it may be older than what is refused now, and name
    metrics that are not installed here. The judge says of each of its checks whether it can be judged.

    Raises:
        SuiteError: with one line for each mistake in it.
    """
    content, lines = read_yaml(text, path)
    if not isinstance(content, dict):
        message = "a suite is a mapping with 'schema: 1', 'name' and 'checks'"
        raise SuiteError([located(path, lines, (), message)])
    problems: list[Mistake] = []
    spec = None
    try:
        spec = SuiteSpec.model_validate(content)
    except ValidationError as error:
        problems += [_problem(content, detail) for detail in error.errors()]
    if not is_recorded:
        problems += list(suite_mistakes(readable(content) if spec is None else spec))
    refuse(path, lines, problems)
    assert spec is not None
    return SuiteFile(spec, text, path, lines)


def warned(suite: SuiteFile) -> SuiteFile:
    """The suite that a user has named, after a warning of what it should say otherwise."""
    for location, message in suite_warnings(suite.spec):
        LOG.warning("%s", located(suite.path, suite.lines, location, message))
    return suite


def refuse(path: Path | None, lines: dict[Location, int], found: Iterable[Mistake]) -> None:
    """Raise what was found, sorted by line; nothing if nothing was.

    Raises:
        SuiteError: with one line for each mistake.
    """
    problems = {located(path, lines, location, message) for location, message in found}
    if problems:
        raise SuiteError(sorted(problems, key=lambda problem: (problem.line, str(problem))))


def read_yaml(text: str, path: Path | None) -> tuple[Any, dict[Location, int]]:
    """The content, and the line of every key and list entry."""
    try:
        content, node = parse_yaml(text, _Loader)
    except UnreadableError as error:
        raise SuiteError([SuiteProblem(f"not valid YAML: {error}", _called(path), error.line)]) from error
    lines: dict[Location, int] = {}
    if node is not None:
        _collect_lines(node, (), lines)
    return content, lines


def _collect_lines(node: yaml.Node, location: Location, lines: dict[Location, int]) -> None:
    lines.setdefault(location, node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            inner = (*location, key.value)
            lines[inner] = key.start_mark.line + 1
            _collect_lines(value, inner, lines)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            inner = (*location, index)
            lines[inner] = value.start_mark.line + 1
            _collect_lines(value, inner, lines)


def nearest_line(lines: dict[Location, int], location: Location) -> int:
    """The line of this key, or of the nearest key above it."""
    for length in range(len(location), -1, -1):
        if location[:length] in lines:
            return lines[location[:length]]
    return 1


def located(path: Path | None, lines: dict[Location, int], location: Location, message: str) -> SuiteProblem:
    """A mistake at a place of the file."""
    dotted = ".".join(str(part) for part in location)
    return SuiteProblem(message, _called(path), nearest_line(lines, location), dotted)


def _called(path: Path | None) -> str:
    """What a suite is called in messages: by its file, if it is in one."""
    return "suite" if path is None else str(path)


def _problem(content: Any, detail: Any) -> Mistake:
    """One of pydantic's findings."""
    location = _known_part(tuple(detail["loc"]), content)
    message = str(detail["msg"])
    if detail["type"] == "extra_forbidden":
        message = _unknown_key(location)
    elif detail["type"] == "missing":
        message = "this key is required"
    elif detail["type"].startswith("literal_error"):
        message = f"{detail['input']!r} is not one of {detail['ctx']['expected']}"
    else:
        message = message.removeprefix("Value error, ")
        message = message[0].lower() + message[1:] if message.startswith("Input") else message
        if detail["type"] == "model_type":
            message = "a mapping of keys and values belongs here"
        if detail["type"] != "value_error":
            message += f", got {detail['input']!r}"
    return location, message


def _known_part(location: Location, content: Any) -> Location:
    """The location without the steps that pydantic adds for unions: only what the file itself holds."""
    known: list[str | int] = []
    here = content
    for position, part in enumerate(location):
        inside_list = isinstance(here, list) and isinstance(part, int) and part < len(here)
        if inside_list or (isinstance(here, dict) and part in here):
            here = here[part]
        elif position == len(location) - 1 and isinstance(here, dict):
            known.append(part)  # a missing key
            break
        else:
            continue
        known.append(part)
    return tuple(known)


def _unknown_key(location: Location) -> str:
    """Says which keys may stand there, and which was probably meant."""
    keys = _keys_at(location[:-1])
    meant = difflib.get_close_matches(str(location[-1]), keys, n=1)
    return (
        f"unknown key; did you mean {meant[0]!r}?" if meant else f"unknown key; known here: {', '.join(keys)}"
    )


def _keys_at(location: Location) -> list[str]:
    """The keys that the schema knows at a place in the file."""
    model: type[BaseModel] = SuiteSpec
    for part in location:
        field = model.model_fields.get(str(part))  # else it is a key of a mapping or a place in a list
        model = (_model_in(field.annotation) if field else None) or model
    return sorted(item.alias or name for name, item in model.model_fields.items())


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """The schema class inside an annotation such as `dict[str, CheckSpec]`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for inner in typing.get_args(annotation):
        if found := _model_in(inner):
            return found
    return None
