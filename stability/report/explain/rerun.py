"""Commands that run a record's suite again with a change; only commands that the program accepts."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from stability.errors import UsageError
from stability.parts import EDITORS
from stability.record import Record, Replaced
from stability.report.explain.method import is_wrapper
from stability.suite import EditorSpec, SuiteFile, SuiteSpec, parse_suite
from stability.suite.overrides import SECTIONS, Overrides, override
from stability.suite.schema import parse_editor

RECORDS_KEPT = 4


@dataclass(frozen=True, eq=False)
class Rerun:
    """How a run was started: its suite, the values that were replaced, and the folder of baselines."""

    path: str
    file: SuiteFile
    changes: Overrides
    baselines: str = ""
    command: str = ""  # the record's own
    _tried: dict[Overrides, SuiteSpec | None] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, record: Record, judged_by: SuiteFile | None = None) -> Rerun | None:
        """Read it from the record; None if no command line runs it, as after a run in Python or a gate.

        `judged_by` is the suite that judged, if the record was made by another one. It takes that one's place
        if they differ in checks only.
        """
        if record.suite_path is None or record.gate is not None:
            return None
        own = _read(record.suite_text, record.suite_path, record.replaced, record.command)
        if own is None or judged_by is None or judged_by.path is None:
            return own
        other = _read(judged_by.text, str(judged_by.path), record.replaced)
        return other if other is not None and other._edited == own._edited else own

    def spec(self, **changes: Any) -> SuiteSpec | None:
        """The suite as it ran, or with these replacements; None if the program refuses them."""
        wanted = replace(self.changes, **changes)
        if wanted not in self._tried:
            try:
                self._tried[wanted] = override(self.file, wanted).spec
            except UsageError:
                self._tried[wanted] = None
        return self._tried[wanted]

    @property
    def again(self) -> str:
        """The command for all editors, with nothing changed."""
        return self.command or self._command("run", self.changes)

    @property
    def _edited(self) -> dict[str, Any]:
        """The suite as it ran, without its checks, what they allow and what is recorded besides."""
        spec = self.spec()
        return (
            spec.model_dump(exclude={"name", "description", "checks", "may_change", "record"}) if spec else {}
        )

    @property
    def entries(self) -> tuple[EditorSpec, ...]:
        """The editors that ran, with the settings that were given to each."""
        spec = self.spec()
        return spec.editors if spec else ()

    def run(self, editor: str, *settings: str, verb: str = "run", **changes: Any) -> str:
        """The command for one editor, with settings `KEY=VALUE`; empty if the program would refuse it."""
        changes = {"editors": (editor,), "settings": (*self._kept(editor, settings), *settings), **changes}
        if self.spec(**changes) is None:
            return ""
        return self._command(verb, replace(self.changes, **changes))

    def _command(self, verb: str, changes: Overrides) -> str:
        words = ["stability", verb, self.path, *changes.arguments()]
        return shlex.join(
            [*words, *(["--baselines", self.baselines] if verb == "run" and self.baselines else [])]
        )

    def wrapped(self, wrapper: str, entry: EditorSpec, **settings: Any) -> str:
        """The command for a wrapper around one of the editors, which keeps its settings."""
        given = [f"{wrapper}.{key}={written(value)}" for key, value in settings.items()]
        if not entry.settings and not entry.label:
            return self.run(f"{wrapper}({entry.name})", *given)
        inner = {entry.name: entry.settings} if entry.settings else entry.name
        return self.run(wrapper, f"{wrapper}.editor={written(inner)}", *given)

    def with_setting(self, entry: EditorSpec, key: str, value: Any) -> str:
        """The command for one of the editors with a setting of it, or of the editor inside it, changed."""
        if not _wraps_another(entry):
            return self.run(entry.called, f"{_word(entry)}.{key}={written(value)}")
        changed = _changed(entry, key, value)
        given = [f"{changed.name}.{name}={written(setting)}" for name, setting in changed.settings.items()]
        return self.run(changed.name, *given)

    def _kept(self, editor: str, new: tuple[str, ...]) -> tuple[str, ...]:
        """The settings of the command line that still apply and are not replaced by new ones."""
        replaced = {_key(setting) for setting in new}
        return tuple(
            setting
            for setting in self.changes.settings
            if _key(setting) not in replaced
            and (
                _key(setting).partition(".")[0] in SECTIONS
                or self.spec(editors=(editor,), settings=(setting,)) is not None
            )
        )


@lru_cache(maxsize=RECORDS_KEPT)  # every verdict of a record asks for the same
def _read(text: str, path: str, replaced: Replaced, command: str = "") -> Rerun | None:
    try:
        file, baselines = parse_suite(text, Path(path)), replaced.baselines or ""
        rerun = Rerun(path, file, overrides(replaced), baselines, command)
    except UsageError:
        return None
    return rerun if rerun.spec() else None


def overrides(replaced: Replaced) -> Overrides:
    """The replaced values, in the form that a suite takes."""
    return Overrides(**replaced.model_dump(exclude={"baselines"}))


def gate_again(record: Record, level: str) -> str:
    """The command that gates the same checkpoints at another level; "" if the record is not of a gate."""
    if record.gate is None:
        return ""
    call = record.gate.model_copy(update={"level": level})
    return shlex.join(["stability", "gate", *call.arguments(), *overrides(record.replaced).arguments()])


def written(value: Any) -> str:
    """A value as YAML in one line."""
    text = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, width=float("inf"))
    return text.removesuffix("\n").removesuffix("\n...")


def _key(setting: str) -> str:
    return setting.partition("=")[0].strip()


def _word(entry: EditorSpec) -> str:
    """The name of an editor in the command line's `--set`."""
    file = Path(entry.name.split(":")[0])
    return entry.label or (file.stem if file.suffix == ".py" else entry.name)


def _wraps_another(entry: EditorSpec) -> bool:
    """Whether an entry is a wrapper: one of ours, or one of another package that is written as one."""
    outer, bracket, _ = entry.name.partition("(")
    written_so = bool(bracket) or "editor" in entry.settings
    return is_wrapper(outer) or (written_so and outer in EDITORS.points())


def _changed(entry: EditorSpec, key: str, value: Any) -> EditorSpec:
    """An entry with a setting of the innermost editor changed; all wrappers are written as settings."""
    outer, bracket, inner = entry.name.removesuffix(")").partition("(")
    settings: Mapping[str, Any] = entry.settings
    if bracket and _wraps_another(entry):
        settings = {"editor": inner, **settings}
    else:
        outer = entry.name
    if "editor" not in settings:
        return EditorSpec(name=outer, settings={**settings, key: value})
    inside = _changed(EditorSpec.model_validate(parse_editor(settings["editor"])), key, value)
    return EditorSpec(name=outer, settings={**settings, "editor": {inside.name: inside.settings}})
