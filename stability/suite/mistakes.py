"""What is wrong in a suite beyond its keys and values, shown at once even where some of these are wrong."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from pydantic import BaseModel, ValidationError

from stability.errors import UsageError
from stability.parts import MetricHead
from stability.suite.judgeable import Around, Mistake, mistakes, warnings
from stability.suite.metrics import head_of
from stability.suite.schema import CheckSpec, EditorSpec, MayChange, as_tuple, parse_editor

M = TypeVar("M", bound=BaseModel)


class Asked(Protocol):
    """What a suite asks of whom: a `SuiteSpec`, or what can be read of one that is wrong."""

    @property
    def checks(self) -> Mapping[str, CheckSpec]:
        """The checks, by name."""

    @property
    def editors(self) -> Sequence[EditorSpec]:
        """The editors."""

    @property
    def may_change(self) -> MayChange | None:
        """What an editor may change."""

    @property
    def record(self) -> Sequence[str]:
        """The metrics that are recorded though no check asks for them."""


@dataclass(frozen=True)
class Readable:
    """What can be read of a suite that is wrong, so that all of its mistakes are shown at once."""

    checks: Mapping[str, CheckSpec] = field(default_factory=dict)
    editors: Sequence[EditorSpec] = ()
    may_change: MayChange | None = None
    record: Sequence[str] = ()


def suite_mistakes(suite: Asked) -> Iterator[Mistake]:
    """Metrics and editors that are not there, and checks that could never be judged or never fail.

    Nothing is imported that a suite names by path or dotted name.
    """
    heads: dict[str, MetricHead] = {}
    for name, check in suite.checks.items():
        try:
            head = head_of(check.metric)
        except UsageError as error:
            yield ("checks", name, "metric"), str(error)
            continue
        if head is not None:
            heads[check.metric] = head
    called = [editor.called for editor in suite.editors]
    yield from _unknown_editors(suite.checks, called)
    yield from mistakes(suite.checks, heads, Around(called, may_change=suite.may_change))
    yield from _of_record(suite.record)


def suite_warnings(suite: Asked) -> Iterator[Mistake]:
    """What a suite without mistakes should say otherwise."""
    heads = {check.metric: head_of(check.metric) for check in suite.checks.values()}
    yield from warnings(suite.checks, {name: head for name, head in heads.items() if head is not None})


def _of_record(names: Sequence[str]) -> Iterator[Mistake]:
    """Each metric that is to be recorded, and that no run can record."""
    for index, name in enumerate(names):
        if name == "all":
            continue
        try:
            head = head_of(name)
        except UsageError as error:
            yield ("record", index), str(error)
            continue
        if head is None:
            continue
        if head.over == "task":
            yield ("record", index), f"{name} needs a task; name it in a check, and its score is recorded"
        elif head.measured != "run":
            yield ("record", index), f"no run measures {name}; leave it out"


def _unknown_editors(checks: Mapping[str, CheckSpec], known: Sequence[str]) -> Iterator[Mistake]:
    """Each check that is for, or not for, an editor that the suite does not name."""
    for name, check in checks.items():
        for key, editors in (("only", check.only), ("except", check.excluded)):
            for editor in editors:
                if editor not in known:
                    yield (
                        ("checks", name, key),
                        f"no editor of this suite is called {editor!r}; it has {', '.join(known) or 'none'}",
                    )


def readable(content: Mapping[str, Any]) -> Readable:
    """The checks, the editors and what may change, each as far as it is right for itself."""
    checks, editors = content.get("checks"), content.get("editors")
    read = {
        name: _read(CheckSpec, check) for name, check in (checks.items() if isinstance(checks, dict) else ())
    }
    called = [_read_editor(editor) for editor in (editors if isinstance(editors, list) else ())]
    return Readable(
        {name: check for name, check in read.items() if check is not None},
        [editor for editor in called if editor is not None],
        _read(MayChange, content.get("may_change")),
        _recorded(content.get("record")),
    )


def _recorded(content: object) -> tuple[str, ...]:
    """The names in `record`, as far as they are names."""
    names = as_tuple(content)
    return tuple(name for name in names if isinstance(name, str)) if isinstance(names, (list, tuple)) else ()


def _read_editor(content: object) -> EditorSpec | None:
    try:
        return EditorSpec.model_validate(parse_editor(content))
    except ValueError:  # a ValidationError is one, too; either is said where the whole suite is read
        return None


def _read(model: type[M], content: object) -> M | None:
    try:
        return model.model_validate(content)
    except ValidationError:  # said where the whole suite is read
        return None
