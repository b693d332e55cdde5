"""What a head is, and finding parts by their heads.

A part is what a user can name: a metric, an editor, a wrapper, an edit source, a renderer, a tracker, a
command. It is a class or a function with an attribute `head`, in a file of its own that imports nothing heavy
at its top level, so that its head can be read without torch. A part of another package is found by an entry
point.

Parts are found by importing files by name, which is the only way in which lower floors reach higher ones.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar

if TYPE_CHECKING:
    from importlib import metadata

Over = Literal["matrix", "parameter", "layer", "pair", "task", "edit", "scalar"]
Family = Literal["closed form", "trained", "control", "external", "wrapper", "own"]

SHARED = ("steps", "plugin", "scoring", "charts", "explain")  # folders that hold no parts
BUILT_IN = "built-in"
LAST = 1_000  # the place of what says nothing of it


@dataclass(frozen=True)
class Head:
    """What is said of a part in lists: the name that finds it, and a line without a full stop."""

    name: str
    summary: str


@dataclass(frozen=True)
class MetricHead(Head):
    """A metric's head.

    over       what it has a value for
    measured   by a `run`, on a model; by a `gate` only, on two checkpoints on disk; or by the `clock`
    about      the `model` as it is; the `edits`, asked of the edited model; or `editing`, what making the
               edits took and what the editor says of them: the last two have no value before the first edit
    cost       `shared`, if it takes no more than passes that are made anyway; `own passes`, made at every
               checkpoint of a run; `on request`, if it is measured only where a suite asks for it
    streamed   whether a gate finds it in the files, without loading a model
    unedited   its value on the unedited model, where the definition says it
    largest    the largest value that is told: it stands for any larger one, too
    """

    over: Over
    unit: str = ""
    measured: Literal["run", "gate", "clock"] = "run"
    about: Literal["model", "edits", "editing"] = "model"
    cost: Literal["shared", "own passes", "on request"] = "shared"
    streamed: bool = False
    unedited: float | None = None
    largest: float | None = None


@dataclass(frozen=True)
class Restraint:
    """The setting by which a wrapper holds the editor inside back, and how to make it hold back less."""

    setting: str
    relaxed: Callable[[float], float]


@dataclass(frozen=True)
class EditorHead(Head):
    """An editor's head.

    `holds_back` is how a wrapper restrains the editor inside. `solves_batches`: the edits of a batch are
    solved together. `uses_edits` is false where edits are counted and not looked at. `adds_modules` says, of
    its settings, whether an editor adds modules, which no wrapper can go round; None where they do not say.
    `not_of_an_edit` are settings that mean something else than their usual name does: `num_steps`, say, those
    of a training beforehand.
    """

    family: Family = "own"
    holds_back: Restraint | None = None
    solves_batches: bool = False
    uses_edits: bool = True
    adds_modules: Callable[[Mapping[str, Any]], bool | None] = lambda _settings: False
    not_of_an_edit: tuple[str, ...] = ()


@dataclass(frozen=True)
class SourceHead(Head):
    """The head of a source of edits or text; `takes_path`: a suite may give it a `path`."""

    takes_path: bool = False


@dataclass(frozen=True)
class FormHead(Head):
    """The head of a form that edits are published in: entries have all `fields`, none of `without`.

    A field of a field is written with a dot, `target_new.str`.
    """

    fields: frozenset[str] = frozenset()
    without: frozenset[str] = frozenset()


@dataclass(frozen=True)
class RendererHead(Head):
    """The head of a function of a record and its judgement to text; `file` is what it writes beside run.json.

    Without a file, its text goes to a terminal or a log.
    """

    file: str | None = None


@dataclass(frozen=True)
class FigureHead(Head):
    """A figure's head; `place` orders figures on the page, `of_all`: it has all editors in it, not one."""

    place: int = LAST
    of_all: bool = False


@dataclass(frozen=True)
class TrackerHead(Head):
    """A tracker's head.

    `project_variable` is the environment's variable that names a project where the command line does not.
    `environment` are variables that are set while it logs, unless the user has set them.
    """

    project_variable: str = ""
    environment: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class CommandHead(Head):
    """A command's head; `place` orders commands in `stability --help`. `baseline save` is of a group."""

    place: int = LAST


H = TypeVar("H", bound=Head)
F = TypeVar("F", bound=Callable[..., Any])


def part(head: Head) -> Callable[[F], F]:
    """Give a function its head; a class has it as an attribute."""

    def mark(function: F) -> F:
        vars(function)["head"] = head
        return function

    return mark


@dataclass(frozen=True)
class Part(Generic[H]):
    """A part, its head, and where it comes from: `built-in`, or `entry point of PACKAGE`."""

    head: H
    made: Any
    source: str = BUILT_IN
    version: str | None = None

    @property
    def settings(self) -> tuple[str, ...]:
        """The names of its settings, where its class declares some."""
        return tuple(getattr(getattr(self.made, "Settings", None), "model_fields", ()))


@dataclass(frozen=True)
class Kind(Generic[H]):
    """A kind of part: the packages whose files hold those built in, and the group of entry points."""

    noun: str
    packages: tuple[str, ...]
    group: str
    head: type[H]

    def built_in(self) -> Mapping[str, Part[H]]:
        """The parts that come with the harness, by name."""
        return _built_in(self)

    def points(self) -> dict[str, metadata.EntryPoint]:
        """The entry points of other packages, by name; nothing of them is imported."""
        from importlib import metadata

        found = metadata.entry_points(group=self.group) if self.group else ()
        return {point.name: point for point in found if point.name not in self.built_in()}

    def names(self) -> tuple[str, ...]:
        """Every plain name that finds a part, sorted."""
        return tuple(sorted([*self.built_in(), *self.points()]))


METRICS = Kind("metric", ("stability.metrics",), "stability.metrics", MetricHead)
EDITORS = Kind("editor", ("stability.editors",), "stability.editors", EditorHead)
EDIT_SOURCES = Kind("edit source", ("stability.data.edits",), "stability.edits", SourceHead)
EDIT_FORMS = Kind("form of edits", ("stability.data.edits.forms",), "", FormHead)
TEXT_SOURCES = Kind("text source", ("stability.data.documents",), "stability.documents", SourceHead)
RENDERERS = Kind("renderer", ("stability.report",), "stability.renderers", RendererHead)
FIGURES = Kind("figure", ("stability.report.charts.figures",), "", FigureHead)
TRACKERS = Kind("tracker", ("stability.trackers",), "stability.trackers", TrackerHead)
COMMANDS = Kind("command", ("stability.cli",), "", CommandHead)


@cache
def _built_in(kind: Kind[H]) -> Mapping[str, Part[H]]:
    found: dict[str, Part[H]] = {}
    for package in kind.packages:
        for module in _files(package):
            for value in vars(import_module(module)).values():
                head = getattr(value, "head", None)
                if isinstance(head, kind.head) and getattr(value, "__module__", None) == module:
                    if head.name in found:
                        raise ValueError(f"two {kind.noun}s are called {head.name}")
                    found[head.name] = Part(head, value)
    return dict(sorted(found.items()))


def _files(package: str) -> Iterator[str]:
    """The modules in a package and in its folders, but for those that hold what parts share."""
    for module in pkgutil.iter_modules(import_module(package).__path__, f"{package}."):
        if not module.ispkg:
            yield module.name
        elif module.name.rpartition(".")[2] not in SHARED:
            yield from _files(module.name)


def own_head(kind: Kind[H], made: object) -> H | None:
    """A head that a part of another package carries itself; one that a class inherits is another's."""
    head = getattr(made, "__dict__", {}).get("head")
    return head if isinstance(head, kind.head) else None


def origin(point: metadata.EntryPoint) -> str:
    """Where a part of another package comes from, in words."""
    return f"entry point of {point.dist.name}" if point.dist else "entry point"
