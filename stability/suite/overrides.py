"""What the command line may replace in a suite: all but its checks, for bounds belong in a reviewed file."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from stability.errors import UsageError
from stability.reading import UnreadableError, parse_yaml
from stability.suite.loader import SuiteFile
from stability.suite.schema import SuiteSpec

SECTIONS = ("model", "run", "text", "probes", "tasks", "may_change")


@dataclass(frozen=True)
class Overrides:
    """Replacements, each None or empty if the suite's own value is used.

    `settings` are `KEY=VALUE` with a YAML value; the key is dotted and begins with an editor's name
    (`rome.layers=[17]`) or one of the suite's sections (`run.edits.batch=10`).
    """

    model: str | None = None
    editors: tuple[str, ...] = ()
    edits: int | None = None
    seeds: tuple[int, ...] = ()
    checkpoints: tuple[int, ...] = ()
    settings: tuple[str, ...] = ()

    def arguments(self) -> list[str]:
        """The command-line arguments that say the same."""
        words: list[str] = []
        words += ["--model", self.model] if self.model else []
        for editor in self.editors:
            words += ["--editor", editor]
        words += ["--edits", str(self.edits)] if self.edits else []
        for seed in self.seeds:
            words += ["--seed", str(seed)]
        for count in self.checkpoints:
            words += ["--checkpoint", str(count)]
        for setting in self.settings:
            words += ["--set", setting]
        return words


def override(suite: SuiteFile, changes: Overrides) -> SuiteFile:
    """The suite with these values replaced, and checked again.

    Raises:
        UsageError: a key or value is wrong, or would change a check.
    """
    content = suite.spec.model_dump(by_alias=True, exclude_none=True)
    if changes.model:
        content["model"]["name"] = changes.model
    if changes.editors:
        content["editors"] = [editor_by_name(suite.spec, name) for name in changes.editors]
    if changes.edits is not None:
        content["run"]["edits"]["count"] = changes.edits
    if changes.seeds:
        content["run"]["seeds"] = changes.seeds
    if changes.checkpoints:
        content["run"]["checkpoints"] = changes.checkpoints
    for setting in changes.settings:
        _apply(content, setting)
    try:
        return replace(suite, spec=SuiteSpec.model_validate(content))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        message = str(first["msg"]).removeprefix("Value error, ")
        raise UsageError(f"command line: {where}: {message}, got {first['input']!r}") from error


def editor_by_name(spec: SuiteSpec, name: str) -> dict[str, Any]:
    """The suite's own entry for an editor of that name, with its settings; else the bare name."""
    for editor in spec.editors:
        if name in (editor.called, editor.name):
            return editor.model_dump()
    return {"name": name}


def _apply(content: dict[str, Any], setting: str) -> None:
    key, sign, text = setting.partition("=")
    if not sign:
        raise UsageError(f"--set {setting}: expected KEY=VALUE, such as rome.layers=[17]")
    try:
        value, _ = parse_yaml(text)
    except UnreadableError as error:
        raise UsageError(f"--set {setting}: {text!r} is not a YAML value") from error
    first, *rest = key.strip().split(".")
    editors = [editor for editor in content["editors"] if _called(editor, first)]
    if editors and rest:
        for editor in editors:
            place(editor.setdefault("settings", {}), rest, value, setting)
    elif first in SECTIONS and rest:
        place(content.setdefault(first, {}), rest, value, setting)
    elif first == "checks":
        raise UsageError(
            f"--set {setting}: checks are changed in the suite file only, so that bounds are reviewed"
        )
    else:
        names = [editor["name"] for editor in content["editors"]]
        known = ", ".join(f"{name}.…" for name in (*names, *SECTIONS))
        raise UsageError(f"--set {setting}: no editor or section is called {first!r}; known: {known}")


def _called(editor: dict[str, Any], word: str) -> bool:
    """Whether a word names the editor: its name, or the stem of its file."""
    name = str(editor["name"])
    file = Path(name.split(":")[0])
    called = {name, editor.get("label") or editor.get("as"), name.partition("(")[0]}
    return word in called or (file.suffix == ".py" and word == file.stem)


def place(target: dict[str, Any], path: Iterable[str], value: object, setting: str) -> None:
    """Put a value at a dotted place, making the mappings on the way."""
    *parents, last = path
    for part in parents:
        target = target.setdefault(part, {})
        if not isinstance(target, dict):
            raise UsageError(f"--set {setting}: {part!r} holds a value, not a mapping of keys")
    target[last] = value
