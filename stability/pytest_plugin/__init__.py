"""The pytest door: a `*.stability.yaml` file is collected as one item a check, under one run per editor.

    suites/smoke.stability.yaml::rome::edited_weight_norm
    suites/smoke.stability.yaml::rome::task_drop[world_choice]

The editor runs when the first of its items is set up; the items only read the verdicts. Loading this module
imports pytest and nothing else, so that having the harness installed costs other test sessions nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from stability.api import Bench, Report, Suite
    from stability.judge import Verdict

SUFFIX = ".stability.yaml"
SLOW_EDITS = 100  # a run of more edits in all is marked stability_slow
RECORD_PROPERTY = "stability_record"
BASELINE_PROPERTY = "stability_baseline"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the `--stability-…` options; those up to `--stability-set` replace something in the suite."""
    from stability import options

    group = parser.getgroup("stability", "stability of edited language models")
    group.addoption(
        "--stability-editor",
        action="append",
        default=[],
        metavar="EDITOR",
        help=options.EDITOR,
    )
    group.addoption("--stability-model", metavar="MODEL", help=options.MODEL)
    group.addoption("--stability-edits", type=int, metavar="N", help=options.EDITS)
    group.addoption(
        "--stability-seed",
        action="append",
        type=int,
        default=[],
        metavar="SEED",
        help=options.SEED,
    )
    group.addoption(
        "--stability-set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help=options.SETTING,
    )
    group.addoption("--stability-from", metavar="RUN.JSON", help="Judge this record; no model is loaded.")
    group.addoption(
        "--stability-out", metavar="DIR", default="reports", help="Write runs below DIR (default: reports)."
    )
    group.addoption("--stability-overwrite", action="store_true", help=options.OVERWRITE)
    group.addoption("--stability-strict", action="store_true", help=options.STRICT)
    group.addoption(
        "--stability-update-baseline",
        action="store_true",
        help="Keep each complete run as the baseline that 'relative_to: previous' compares with.",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Register the markers: `stability`, `stability_slow`, and one for each metric."""
    from stability.parts import METRICS

    config.addinivalue_line(
        "markers", "stability(suite, editor): what the stability_run fixture runs for this test"
    )
    config.addinivalue_line(
        "markers", f"stability_slow: a suite's run of more than {SLOW_EDITS} edits in all"
    )
    for name in METRICS.names():
        config.addinivalue_line("markers", f"{name}: a check of this metric")


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """Collect suite files by their suffix."""
    if file_path.name.endswith(SUFFIX):
        return SuiteCollector.from_parent(parent, path=file_path)
    return None


class SuiteCollector(pytest.File):
    """A suite file."""

    suite: Suite
    bench: Bench

    def collect(self) -> Iterable[pytest.Collector]:
        """One collector an editor, in the order of the suite or of the command line."""
        from stability.api import Bench, Suite

        self.suite = Suite.load(_shown_path(self.config, self.path)).override(_overrides(self.config))
        self.bench = Bench()
        for name in self._editors():
            yield EditorCollector.from_parent(self, name=name)

    def teardown(self) -> None:
        """Let go of the model that the suite's editors have shared."""
        self.bench.experiment = None

    def _editors(self) -> list[str]:
        if record := self.config.getoption("stability_from"):
            return list(dict.fromkeys(run.editor.name for run in _read(record).runs))
        if self.suite.file.spec.is_for_gate:
            return []  # it is about two checkpoints on disk, and nothing is run
        names = [editor.called for editor in self.suite.file.spec.editors]
        if not names:
            where = _shown_path(self.config, self.path)
            raise self.CollectError(f"{where}: names no editors; add 'editors:' or --stability-editor NAME")
        return names

    def repr_failure(  # type: ignore[override]  # a collector's takes no style
        self, excinfo: pytest.ExceptionInfo[BaseException]
    ) -> Any:
        """A mistake in the suite is shown as its lines, without a traceback."""
        from stability.errors import StabilityError

        if isinstance(excinfo.value, StabilityError):
            return str(excinfo.value)
        return super().repr_failure(excinfo)


class EditorCollector(pytest.Collector):
    """One editor's run of a suite, and the checks on it."""

    report: Report
    baseline: str = ""  # what became of it, under --stability-update-baseline

    def collect(self) -> Iterable[pytest.Item]:
        """One item a check, or one for each task where a check goes over tasks."""
        from stability.parts import METRICS

        spec = self._suite().file.spec
        edits = spec.run.edits.count * len(spec.run.seeds)
        for name, check in spec.checks_of(self.name).items():
            for verdict_id in check.verdict_ids(name):
                item = CheckItem.from_parent(self, name=verdict_id, check=name)
                item.add_marker("stability")
                if check.metric in METRICS.names():  # a path is no word to select by
                    item.add_marker(check.metric)
                if edits > SLOW_EDITS:
                    item.add_marker("stability_slow")
                if self.config.pluginmanager.hasplugin("xdist"):
                    item.add_marker(pytest.mark.xdist_group(f"{self.parent.nodeid}::{self.name}"))  # type: ignore[union-attr]
                yield item

    def setup(self) -> None:
        """Run the editor, once for all its items, unless a record of the same run may be reused."""
        self._measure()
        if self.config.getoption("stability_update_baseline"):
            self._update_baseline()

    def _measure(self) -> None:
        from stability.files import RECORD_FILE

        suite = self._suite()
        if path := self.config.getoption("stability_from"):
            self.record_path = Path(path)
            self.report = suite.judge(_read(path), self.record_path)
            return
        folder = suite.folder(self._out())
        self.record_path = folder / RECORD_FILE
        if self.config.getoption("lf", False) and (report := suite.reuse(self.record_path)):
            self.report = report
            report.write(folder)
            return
        assert isinstance(self.parent, SuiteCollector)
        self.report = suite.run(
            out=folder, overwrite=self.config.getoption("stability_overwrite"), bench=self.parent.bench
        )

    def _update_baseline(self) -> None:
        """Keep the run as the editor's baseline, if the suite compares with one, and judge by that."""
        suite = self._suite()
        self.baseline, is_kept = suite.update_baseline(self.report.record, self.name)
        if is_kept:
            self.report = suite.judge(self.report.record, self.record_path)
            if not self.config.getoption("stability_from"):
                self.report.write(self.record_path.parent)

    def _suite(self) -> Suite:
        """The suite, cut down to this editor."""
        from dataclasses import replace

        assert isinstance(self.parent, SuiteCollector)
        suite = self.parent.suite
        if self.config.getoption("stability_from"):
            return suite
        return suite.override(replace(suite.changes, editors=(self.name,)))

    def _out(self) -> Path:
        return Path(self.config.invocation_params.dir, self.config.getoption("stability_out"))


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
        report = self.parent.report
        verdict = report.verdict(self.name, editor=self.parent.name)
        self.user_properties.append((RECORD_PROPERTY, str(self.parent.record_path)))
        if self.parent.baseline:
            self.user_properties.append((BASELINE_PROPERTY, self.parent.baseline))
        self.user_properties.extend(_properties(verdict))
        if verdict.status == "skip":
            pytest.skip(verdict.message)
        alone = report.only(self.parent.name, [self.name]).judgement
        if alone.exit_status(strict=self.config.getoption("stability_strict")):
            raise CheckFailedError(report.explain(verdict))

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


@pytest.fixture(scope="session")
def _stability_reports() -> dict[Any, Report]:
    """The reports of this session by what was run, so that tests share a run."""
    return {}


@pytest.fixture
def stability_run(request: pytest.FixtureRequest, _stability_reports: dict[Any, Report]) -> Report:
    """The report of the suite and editor that the test's `stability` marker names, run once a session.

    @pytest.mark.stability(suite="suites/smoke.stability.yaml", editor="rome")
    def test_something(stability_run):
        assert stability_run.verdict("edited_weight_norm").value < 1.5
    """
    from stability.api import Suite
    from stability.errors import UsageError

    marker = request.node.get_closest_marker("stability")
    wanted = dict(marker.kwargs) if marker else {}
    unknown = wanted.keys() - {"suite", "editor", "model", "edits", "seeds"}
    if "suite" not in wanted or unknown:
        raise UsageError(
            "stability_run needs @pytest.mark.stability(suite=PATH, editor=NAME_OR_FUNCTION), "
            f"optionally with model, edits and seeds; got {sorted(wanted) or 'no marker'}"
        )
    from stability.suite.overrides import Overrides

    path = request.config.rootpath / wanted["suite"]
    changes = Overrides(
        model=wanted.get("model"), edits=wanted.get("edits"), seeds=tuple(wanted.get("seeds", ()))
    )
    editor: str | Callable[..., Any] | None = wanted.get("editor")
    key = (path, editor, changes)
    if key not in _stability_reports:
        _stability_reports[key] = Suite.load(path).override(changes).run(editor)
    return _stability_reports[key]


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print the verdict table of every run whose checks were asked for, of those checks only.

    The records are read from their files: under xdist the runs were made in other processes.
    """
    asked: dict[tuple[str, str, str], list[str]] = {}
    baselines: dict[str, None] = {}
    for reports in terminalreporter.stats.values():
        for report in reports:
            properties = dict(getattr(report, "user_properties", ()))
            if RECORD_PROPERTY in properties and getattr(report, "when", "") == "call":
                suite, editor, check = report.nodeid.rsplit("::", 2)
                asked.setdefault((properties[RECORD_PROPERTY], suite, editor), []).append(check)
                if BASELINE_PROPERTY in properties:
                    baselines[properties[BASELINE_PROPERTY]] = None
    if not asked:
        return
    from stability.api import Suite
    from stability.report import render_terminal

    config = terminalreporter.config
    terminalreporter.section("stability")
    for (path, suite_path, editor), checks in sorted(asked.items()):
        suite = Suite.load(_shown_path(config, config.rootpath / suite_path))
        report = suite.judge(_read(path), Path(path)).only(editor, checks)
        terminalreporter.write_line(
            render_terminal(report.record, report.judgement, folder=Path(path).parent)
        )
    for line in baselines:
        terminalreporter.write_line(line)


def _properties(verdict: Verdict) -> Iterator[tuple[str, Any]]:
    """The verdict's figures, for JUnit and for whoever reads the test reports."""
    for name in (
        "editor",
        "status",
        "value",
        "bound",
        "where",
        "checkpoint",
        "seed",
        "held_to",
        "failed_at",
        "margin",
    ):
        value = getattr(verdict, name)
        if value is not None:
            yield name, value


def _overrides(config: pytest.Config) -> Any:
    from stability.suite.overrides import Overrides

    return Overrides(
        model=config.getoption("stability_model"),
        editors=tuple(config.getoption("stability_editor")),
        edits=config.getoption("stability_edits"),
        seeds=tuple(config.getoption("stability_seed")),
        settings=tuple(config.getoption("stability_set")),
    )


def _read(path: str) -> Any:
    from stability.record import read_record

    return read_record(Path(path))


def _shown_path(config: pytest.Config, path: Path) -> Path:
    """Relative to where pytest was started, as the command line was given."""
    try:
        return path.relative_to(config.invocation_params.dir)
    except ValueError:
        return path
