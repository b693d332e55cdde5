"""What `stability check-editor` does: read its options, make the checks, set out the results."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Collection

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from stability.cli.steps.options import CheckedEditor
from stability.data.edits import read_edits
from stability.errors import UsageError
from stability.suite import SuiteSpec, parse_suite
from stability.suite.overrides import SECTIONS, Overrides, override
from stability.testing.conformance import Conformance, examine
from stability.testing.examiner import all_checks, chosen_checks

EMPTY = "{schema: 1, name: check-editor, checks: {finite: {metric: nonfinite, assert: == 0}}}"
STYLES = {"pass": "green", "fail": "bold red", "skip": "dim"}
SHOWN = {"pass": "pass", "fail": "FAIL", "skip": "skip"}


def run_checks(editor: str, how: CheckedEditor, on_check: Callable[[str], None]) -> Conformance:
    """Make the checks; what the editor prints goes to stderr.

    Raises:
        UsageError: a setting or the name of a check is wrong.
        StabilityError: the editor, the model or the file of edits is not there.
    """
    checks, skip = tuple(how.check or ()), tuple(how.skip or ())
    chosen_checks(checks, skip)
    spec = _spec(editor, how.model, tuple(how.set or ()))
    (entry,) = spec.editors
    with contextlib.redirect_stdout(sys.stderr):
        return examine(
            entry.name,
            settings=entry.settings,
            model=spec.model,
            checks=checks,
            skip=skip,
            edits=None if how.edits is None else read_edits(how.edits),
            may_change=tuple(how.may_change or ()),
            adds_modules=how.adds_modules,
            share=how.share,
            seed=how.seed,
            on_check=on_check,
        )


def _spec(editor: str, model: str, settings: Collection[str]) -> SuiteSpec:
    """Model and editor with their settings, read as a suite's are."""
    for setting in settings:
        if setting.partition(".")[0] in {*SECTIONS} - {"model"}:
            raise UsageError(f"--set {setting}: check-editor has settings of the editor and the model only")
    empty = parse_suite(EMPTY)
    changes = Overrides(model=model, editors=(editor,), settings=tuple(settings))
    return override(empty, changes).spec


def conformance_text(conformance: Conformance) -> RenderableType:
    """A row for each check, with its reason, and the counts below."""
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    for result in conformance.results:
        style = STYLES[result.status]
        table.add_row(Text(SHOWN[result.status], style), result.name, Text(result.reason))
    counts = [
        f"{len(conformance.of(status))} {word}"
        for status, word in (("fail", "failed"), ("pass", "passed"), ("skip", "skipped"))
        if conformance.of(status)
    ]
    seconds = sum(result.seconds for result in conformance.results)
    headline = Text(f"{conformance.editor} on {conformance.model} · {seconds:.0f} s\n", "bold")
    return Group(headline, table, Text("\n" + ", ".join(counts)))


def check_list() -> RenderableType:
    """The checks by name, with what each asks."""
    table = Table("check", "what it asks", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for check in all_checks().values():
        table.add_row(check.name, Text(check.summary))
    return table
