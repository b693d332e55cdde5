"""Making the checks of an editor: all at once, or as the parameters of a test."""

from __future__ import annotations

import difflib
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from stability.errors import StabilityError, UsageError
from stability.suite import ModelSpec
from stability.testing.check import Check, CheckResult, Failed, Skipped
from stability.world import MODEL as WORLD

if TYPE_CHECKING:
    import pytest
    from torch import nn

    from stability.data.edits import Edit
    from stability.editors import Store
    from stability.models.tokens import Tokenizer
    from stability.testing.case import Case

FAILED, UNKNOWN = 1, 3  # exit statuses, as `stability.errors` has them


class ConformanceFailure(AssertionError):  # noqa: N818  (an editor that fails is no error of the program)
    """An editor does not keep to what is expected of it; the message says which checks failed, and why."""


@dataclass(frozen=True)
class Conformance:
    """What the checks found of one editor on one model."""

    editor: str
    model: str
    results: tuple[CheckResult, ...]

    def of(self, status: str) -> tuple[CheckResult, ...]:
        """The checks that ended so: `pass`, `fail` or `skip`."""
        return tuple(result for result in self.results if result.status == status)

    @property
    def exit_status(self) -> int:
        """0 if what could be checked passed, 1 if something failed, 3 if nothing could be checked."""
        if self.of("fail"):
            return FAILED
        return 0 if self.of("pass") else UNKNOWN

    def raise_for_failures(self) -> None:
        """Do nothing if no check failed.

        Raises:
            ConformanceFailure: with one line for each check that did.
        """
        failed = self.of("fail")
        if failed:
            lines = [f"{result.name}: {result.reason}" for result in failed]
            raise ConformanceFailure("\n  ".join([f"{self.editor} fails {len(failed)} checks:", *lines]))

    def as_json(self) -> dict[str, Any]:
        """All of it as JSON values."""
        checks = [{**asdict(result), "summary": all_checks()[result.name].summary} for result in self.results]
        return {
            "editor": self.editor,
            "model": self.model,
            "exit_status": self.exit_status,
            "checks": checks,
        }


@dataclass
class Examiner:
    """Makes checks of one editor, each once; the model is loaded when the first is made."""

    make: Callable[[], Case]
    _case: Case | None = None
    _results: dict[str, CheckResult] = field(default_factory=dict)

    @property
    def case(self) -> Case:
        """The case, loaded when it is first asked for."""
        if self._case is None:
            self._case = self.make()
        return self._case

    def result(self, name: str) -> CheckResult:
        """How the check of that name ends."""
        if name not in self._results:
            started = time.perf_counter()
            status, reason = self._made(all_checks()[name])
            self._results[name] = CheckResult(name, status, reason, time.perf_counter() - started)
        return self._results[name]

    def raise_for(self, name: str) -> None:
        """Do nothing if the check passes.

        Raises:
            Failed: it fails.
            Skipped: it cannot be made.
        """
        result = self.result(name)
        if result.status == "fail":
            raise Failed(f"{name}: {result.reason}")
        if result.status == "skip":
            raise Skipped(result.reason)

    def _made(self, check: Check) -> tuple[Any, str]:
        for name in check.requires:
            needed = self.result(name)
            if needed.status == "fail":
                return "skip", f"cannot be told: {name} fails"
            if needed.status == "skip":
                told = "" if "cannot be told" in needed.reason else f"cannot be told: {name}: "
                return "skip", told + needed.reason
        try:
            return "pass", check.function(self.case) or ""
        except Failed as failure:
            return "fail", str(failure)
        except Skipped as skipped:
            return "skip", str(skipped)
        except StabilityError as error:
            return "skip", f"cannot be made: {error}"


def all_checks() -> Mapping[str, Check]:
    """Every check by name, in the order in which they are made."""
    from stability.testing.checks import CHECKS

    return CHECKS


def chosen_checks(checks: Collection[str] = (), skip: Collection[str] = ()) -> tuple[str, ...]:
    """The names of all checks, or of those given, without those to be skipped; in the order of all.

    Raises:
        UsageError: there is no check of a name.
    """
    known = all_checks()
    for name in (*checks, *skip):
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {close[0]!r}? " if close else ""
            raise UsageError(f"no check is called {name!r}; {hint}the checks are {', '.join(known)}")
    return tuple(name for name in known if (not checks or name in checks) and name not in skip)


def check_editor(
    editor: str | Callable[..., Any] | object,
    *,
    checks: Collection[str] = (),
    skip: Collection[str] = (),
    stop_at_first: bool = False,
    **options: Any,
) -> Conformance:
    """Make the checks of an editor, and return what they found if none failed.

    `editor` is a name, as on the command line, or a function, class or object. `checks` are those to make
    (all, if none is named), `skip` those to leave out; with `stop_at_first` the first failure ends it. The
    `options` are those of `make_case`.

    Raises:
        ConformanceFailure: a check failed; the message has a line for each that did.
        StabilityError: the editor, a setting, a check or the model is not there.
    """
    conformance = examine(editor, checks=checks, skip=skip, stop_at_first=stop_at_first, **options)
    conformance.raise_for_failures()
    return conformance


def examine(
    editor: str | Callable[..., Any] | object,
    *,
    checks: Collection[str] = (),
    skip: Collection[str] = (),
    stop_at_first: bool = False,
    on_check: Callable[[str], None] = lambda name: None,
    **options: Any,
) -> Conformance:
    """As `check_editor`, but failures are in what it returns; `on_check` hears of each check before it."""
    names = chosen_checks(checks, skip)
    examiner = Examiner(lambda: make_case(editor, **options))
    case = examiner.case
    results: list[CheckResult] = []
    for name in names:
        on_check(name)
        results.append(examiner.result(name))
        if stop_at_first and results[-1].status == "fail":
            break
    return Conformance(case.editor.info.name, case.loaded.name, tuple(results))


def editor_checks(
    editor: str | Callable[..., Any] | object,
    *,
    checks: Collection[str] = (),
    skip: Collection[str] = (),
    **options: Any,
) -> list[tuple[str, Callable[[], None]]]:
    """The checks of an editor as (name, function) pairs; options as for `check_editor`.

    A function raises an AssertionError where its check fails, and `unittest.SkipTest`, which pytest counts as
    a skip, where it cannot be made. The model is loaded by the first that is called.

    Raises:
        UsageError: there is no check of a name.
    """
    examiner = Examiner(lambda: make_case(editor, **options))

    def function(name: str) -> Callable[[], None]:
        return lambda: examiner.raise_for(name)

    return [(name, function(name)) for name in chosen_checks(checks, skip)]


def parametrize_editor_checks(
    editor: str | Callable[..., Any] | object, **options: Any
) -> pytest.MarkDecorator:
    """A mark that calls a test once with each check of an editor, as its argument `check`.

    Options as for `editor_checks`.

        @parametrize_editor_checks("./my_editor.py:edit")
        def test_my_editor(check):
            check()
    """
    import pytest

    pairs = editor_checks(editor, **options)
    return pytest.mark.parametrize("check", [pytest.param(function, id=name) for name, function in pairs])


def make_case(
    editor: str | Callable[..., Any] | object,
    *,
    model: str | ModelSpec | nn.Module | None = None,
    tokenizer: Tokenizer | None = None,
    settings: Mapping[str, Any] | None = None,
    edits: Sequence[Edit] | None = None,
    may_change: Iterable[str] = (),
    adds_modules: bool = False,
    share: float = 0.6,
    seed: int = 0,
    store: Store | None = None,
) -> Case:
    """What the checks are made on.

    `model` is a name (`world` if none is given), a folder, or a loaded model, which needs its `tokenizer` and
    is left as it is: editors get copies. `settings` are the editor's, over its preset for the model. `edits`
    are seven at least, which the model can be asked about. `may_change` are patterns of names of parameters
    that the editor may change, `adds_modules` says that it leaves modules of its own in the model, `share` is
    how many edits must make their target more probable than the true one.

    Raises:
        UsageError: a model is given without its tokenizer.
        StabilityError: the editor, a setting or the model is not there.
    """
    from stability.editors import LoadedEditor, Store, find_editor, wrap_editor
    from stability.models import LoadedModel, load_model
    from stability.testing.case import ORDINARY, OTHER, Case
    from stability.testing.edits import default_edits

    if model is None or isinstance(model, (str, ModelSpec)):
        loaded = load_model(model if isinstance(model, ModelSpec) else ModelSpec(name=model or "world"))
    elif tokenizer is None:
        raise UsageError("a model that is given as an object needs its tokenizer: tokenizer=...")
    else:
        origin = str(getattr(model, "name_or_path", "") or type(model).__name__)
        loaded = LoadedModel(model, tokenizer, "world" if origin == str(WORLD) else origin)

    def remake(more: Mapping[str, Any]) -> LoadedEditor:
        filled = {**(settings or {}), **more}
        if isinstance(editor, str):
            return find_editor(editor, filled, loaded.name)
        return wrap_editor(editor, filled)

    made = isinstance(editor, LoadedEditor)
    return Case(
        editor=remake({}),
        loaded=loaded,
        edits=tuple(edits) if edits is not None else default_edits(loaded.name, ORDINARY + OTHER, seed),
        store=store or Store(),
        seed=seed,
        share=share,
        may_change=tuple(may_change),
        adds_modules=adds_modules,
        remake=None if made else remake,
    )
