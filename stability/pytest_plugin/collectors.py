"""A suite file, the editors in it, and one item a check.

A node's name holds no `::`, and an editor's no bracket: pytest parts node ids there, when one comes from the
command line or from its cache. The id of an item is the one that pytest reads from that text.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from stability.pytest_plugin.once import ONCE, in_one_worker
from stability.pytest_plugin.recorded import given_record, recorded_editors

if TYPE_CHECKING:
    from stability.api import Bench, Report, Suite
    from stability.judge import Verdict
    from stability.record import Record
    from stability.suite.overrides import Overrides

SLOW_EDITS = 100  # a run of more edits in all is marked stability_slow
RECORD_PROPERTY = "stability_record"
SUITE_PROPERTY = "stability_suite"
BASELINE_PROPERTY = "stability_baseline"
FIGURES = (
    "editor",
    "check",
    "status",
    "value",
    "bound",
    "where",
    "checkpoint",
    "seed",
    "held_to",
    "failed_at",
    "margin",
)


class Explained(pytest.Collector):
    """A collector whose mistakes are shown as their lines, without a traceback."""

    def repr_failure(  # type: ignore[override]  # a collector's takes no style
        self, excinfo: pytest.ExceptionInfo[BaseException]
    ) -> Any:
        """What is wrong, in the words of the error."""
        from stability.errors import StabilityError

        if isinstance(excinfo.value, StabilityError):
            return str(excinfo.value)
        return super().repr_failure(excinfo)


class SuiteCollector(Explained, pytest.File):
    """A suite file."""

    suite: Suite
    bench: Bench

    @classmethod
    def of(cls, path: Path, parent: pytest.Collector) -> SuiteCollector:
        """The collector of a file; outside of pytest's root folder its id begins with the whole path.

        pytest would call each such file the same, and confuse what their checks are called.
        """
        root = parent.config.rootpath
        shown = path.relative_to(root) if path.is_relative_to(root) else path
        made: SuiteCollector = cls.from_parent(parent, path=path, nodeid=shown.as_posix())
        return made

    def collect(self) -> Iterable[pytest.Item | pytest.Collector]:
        """One collector an editor, in the order of the suite or of the command line."""
        from stability.api import Bench, Suite

        self.suite = Suite.load(shown_path(self.config, self.path)).override(overrides(self.config))
        self.bench = Bench()
        names = self._editors()
        for name in names:
            yield EditorCollector.from_parent(self, name=_without_brackets(name), editor=name)
        if not names and not self.suite.file.spec.is_for_gate:  # which is about checkpoints: nothing is run
            yield NoEditors.from_parent(self, name="editors")

    def teardown(self) -> None:
        """Let go of the model that the suite's editors have shared."""
        self.bench.experiment = None

    def _editors(self) -> list[str]:
        if given := given_record(self.config):
            return recorded_editors(read(given), given, overrides(self.config))
        if self.suite.file.spec.is_for_gate:
            return []
        return [editor.called for editor in self.suite.file.spec.editors]


class NoEditors(pytest.Item):
    """Stands for the checks of a suite that names no editors."""

    def runtest(self) -> None:
        """Skip, and say what to add."""
        where = shown_path(self.config, self.path)
        pytest.skip(f"{where}: names no editors; add 'editors:' or --stability-editor NAME")

    def reportinfo(self) -> tuple[Path, int, str]:
        """The suite file."""
        return self.path, 0, self.name


@dataclass(frozen=True)
class Measured:
    """An editor's run, where it lies, and what became of its baseline in words."""

    report: Report
    record_path: Path
    baseline: str = ""


class EditorCollector(Explained):
    """One editor's run of a suite, and the checks on it."""

    measured: Measured

    def __init__(self, *, editor: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.editor = editor

    def collect(self) -> Iterable[pytest.Item]:
        """One item a check, or one for each task where a check goes over tasks."""
        from stability.parts import METRICS

        spec = self._suite().file.spec
        edits = spec.run.edits.count * len(spec.run.seeds)
        for name, check in spec.checks_of(self.editor).items():
            for verdict_id in check.verdict_ids(name):
                item = CheckItem.from_parent(
                    self, name=verdict_id, nodeid=f"{self.nodeid}::{verdict_id}", check=name
                )
                item.add_marker("stability")
                if check.metric in METRICS.names():  # a path is no word to select by
                    item.add_marker(check.metric)
                if edits > SLOW_EDITS:
                    item.add_marker("stability_slow")
                yield item

    def setup(self) -> None:
        """Run the editor, once a session for all its items, unless a record of the same run may be reused."""
        from stability.errors import StabilityError

        once = self.config.stash[ONCE]
        try:
            self.measured = once.get((self.path, self.editor), self._measured_by_one)
        except StabilityError as error:
            raise pytest.fail.Exception(str(error), pytrace=False) from None

    def _measured_by_one(self) -> Measured:
        suite = self._suite()
        path = self._record_path(suite)
        return in_one_worker(
            self.config,
            f"{self.path}::{self.editor}",
            make=lambda _: self._with_baseline(Measured(self._run(suite, path), path)),
            read=lambda _: Measured(suite.judge(read(path), path), path),
        )

    def _run(self, suite: Suite, path: Path) -> Report:
        if self.config.getoption("stability_from"):
            return suite.judge(read(path), path)
        if self.config.getoption("lf", False) and (report := suite.reuse(path)):
            report.write(path.parent)
            return report
        assert isinstance(self.parent, SuiteCollector)
        return suite.run(
            out=path.parent,
            overwrite=self.config.getoption("stability_overwrite"),
            bench=self.parent.bench,
            isolation=self.config.getoption("stability_isolation"),
            resume=self.config.getoption("stability_resume"),
        )

    def _with_baseline(self, measured: Measured) -> Measured:
        """If it is asked for, keep the run as the editor's baseline, where the suite compares with one."""
        if not self.config.getoption("stability_update_baseline"):
            return measured
        suite = self._suite()
        words, is_kept = suite.update_baseline(measured.report.record, self.editor)
        report = measured.report
        if is_kept:
            report = suite.judge(report.record, measured.record_path)
            if not self.config.getoption("stability_from"):
                report.write(measured.record_path.parent)
        return Measured(report, measured.record_path, words)

    def _suite(self) -> Suite:
        """The suite, cut down to this editor."""
        from dataclasses import replace

        assert isinstance(self.parent, SuiteCollector)
        suite = self.parent.suite
        if self.config.getoption("stability_from"):
            return suite
        return suite.override(replace(suite.changes, editors=(self.editor,)))

    def _record_path(self, suite: Suite) -> Path:
        from stability.files import RECORD_FILE

        if given := given_record(self.config):
            return given
        out = Path(self.config.invocation_params.dir, self.config.getoption("stability_out"))
        return suite.folder(out) / RECORD_FILE


class CheckFailedError(Exception):
    """A check did not hold, or could not be measured."""


class CheckItem(pytest.Item):
    """One check of one editor's run."""

    def __init__(self, *, check: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.check = check

    def runtest(self) -> None:
        """Read the verdict.

        Raises:
            CheckFailedError: the check failed or could not be measured, or warned under `--stability-strict`.
        """
        assert isinstance(self.parent, EditorCollector)
        measured = self.parent.measured
        report = measured.report
        verdict = report.verdict(self.name, editor=self.parent.editor)
        told = self._properties(measured, verdict)
        self.user_properties[:] = [one for one in self.user_properties if one not in told] + told
        if verdict.status == "skip":
            pytest.skip(verdict.message)
        alone = report.only(self.parent.editor, [self.name]).judgement
        if alone.exit_status(strict=self.config.getoption("stability_strict")):
            raise CheckFailedError("\n".join([*_incomplete(report), report.explain(verdict)]))

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """What failed, where and from which edit on; a traceback only for what is not ours."""
        from stability.errors import StabilityError

        if isinstance(excinfo.value, (CheckFailedError, StabilityError)):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int, str]:
        """The suite file, and the line that the check stands on."""
        assert isinstance(self.parent, EditorCollector)
        assert isinstance(self.parent.parent, SuiteCollector)
        line = self.parent.parent.suite.file.line("checks", self.check)
        return self.path, line - 1, f"{self.parent.name}::{self.name}"

    def _properties(self, measured: Measured, verdict: Verdict) -> list[tuple[str, Any]]:
        """Where the run lies, and the verdict's figures: for the summary, for JUnit and for other readers."""
        told: list[tuple[str, Any]] = [
            (RECORD_PROPERTY, str(measured.record_path)),
            (SUITE_PROPERTY, str(self.path)),
        ]
        if measured.baseline:
            told.append((BASELINE_PROPERTY, measured.baseline))
        figures = ((name, getattr(verdict, name)) for name in FIGURES)
        return told + [(name, value) for name, value in figures if value is not None]


def _incomplete(report: Report) -> list[str]:
    """What makes a check fail that held as far as the run went."""
    from stability.judge.words import unfinished

    return [unfinished(report.record)] if report.judgement.is_unfinished else []


def overrides(config: pytest.Config) -> Overrides:
    """What the command line puts in place of the suite's own."""
    from stability.suite.overrides import Overrides

    return Overrides(
        model=config.getoption("stability_model"),
        editors=tuple(config.getoption("stability_editor")),
        edits=config.getoption("stability_edits"),
        seeds=tuple(config.getoption("stability_seed")),
        settings=tuple(config.getoption("stability_set")),
    )


def read(path: Path) -> Record:
    """The record at a path; `RecordError` as `read_record`."""
    from stability.record import read_record

    return read_record(path)


def shown_path(config: pytest.Config, path: Path) -> Path:
    """Relative to where pytest was started, as the command line was given."""
    try:
        return path.relative_to(config.invocation_params.dir)
    except ValueError:
        return path


def _without_brackets(name: str) -> str:
    return name.replace("[", "(").replace("]", ")").replace("::", ":")
