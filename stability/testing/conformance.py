"""Making the checks of an editor: all at once, or as the parameters of a test."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from stability.testing.check import CheckResult
from stability.testing.examiner import Examiner, all_checks, chosen_checks
from stability.testing.making import CaseOptions, make_case

if TYPE_CHECKING:
    import pytest

FAILED, UNKNOWN = 1, 3  # exit statuses, as `stability.errors` has them


class ConformanceFailure(AssertionError):  # noqa: N818  (a failing editor is not an error of the program)
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
    `options` are the fields of `CaseOptions`.

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
    examiner = Examiner(lambda: make_case(editor, CaseOptions(**options)))
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
    examiner = Examiner(lambda: make_case(editor, CaseOptions(**options)))

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
