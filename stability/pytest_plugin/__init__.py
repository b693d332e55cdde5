"""The pytest door: a `*.stability.yaml` file is collected as one item a check, under one run per editor.

    suites/smoke.stability.yaml::rome::edited_weight_norm
    suites/smoke.stability.yaml::rome::task_drop[world_choice]

The editor runs once a session, when the first of its items is set up; the items only read verdicts. Loading
this package imports pytest and nothing else, so that having the harness installed costs other test sessions
nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from stability.pytest_plugin.collectors import (
    BASELINE_PROPERTY,
    RECORD_PROPERTY,
    SLOW_EDITS,
    SUITE_PROPERTY,
    SuiteCollector,
    overrides,
    read,
    shown_path,
)
from stability.pytest_plugin.once import ONCE, Once, in_one_worker

if TYPE_CHECKING:
    from stability.api import Report, Suite

SUFFIX = ".stability.yaml"


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
    group.addoption(
        "--stability-isolation", choices=("process", "none"), default="process", help=options.ISOLATION
    )
    group.addoption("--stability-overwrite", action="store_true", help=options.OVERWRITE)
    group.addoption("--stability-resume", action="store_true", help=options.RESUME)
    group.addoption("--stability-strict", action="store_true", help=options.STRICT)
    group.addoption(
        "--stability-update-baseline",
        action="store_true",
        help="Keep each complete run as the baseline that 'relative_to: previous' compares with.",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Register the markers: `stability`, `stability_slow`, and one for each metric."""
    from stability.parts import METRICS

    config.stash[ONCE] = Once()
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
        return SuiteCollector.of(file_path, parent)
    return None


@pytest.fixture
def stability_run(request: pytest.FixtureRequest) -> Report:
    """The report of the suite and editor that the test's `stability` marker names, run once a session.

    An editor that is given as an object runs once in each worker of pytest-xdist.

    @pytest.mark.stability(suite="suites/smoke.stability.yaml", editor="rome")
    def test_something(stability_run):
        assert stability_run.verdict("edited_weight_norm").value < 1.5
    """
    from stability.errors import StabilityError

    try:
        return _report_of(request)
    except StabilityError as error:
        raise pytest.fail.Exception(str(error), pytrace=False) from None


def _report_of(request: pytest.FixtureRequest) -> Report:
    from stability.api import Suite
    from stability.errors import UsageError
    from stability.files import RECORD_FILE
    from stability.suite.overrides import Overrides

    marker = request.node.get_closest_marker("stability")
    wanted = dict(marker.kwargs) if marker else {}
    unknown = wanted.keys() - {"suite", "editor", "model", "edits", "seeds"}
    if "suite" not in wanted or unknown:
        raise UsageError(
            "stability_run needs @pytest.mark.stability(suite=PATH, editor=NAME_OR_FUNCTION), "
            f"optionally with model, edits and seeds; got {sorted(wanted) or 'no marker'}"
        )
    config = request.config
    path = config.rootpath / wanted["suite"]
    changes = Overrides(
        model=wanted.get("model"), edits=wanted.get("edits"), seeds=tuple(wanted.get("seeds", ()))
    )
    editor: str | Callable[..., Any] | None = wanted.get("editor")
    suite: Suite = Suite.load(path).override(changes)

    isolation = config.getoption("stability_isolation")

    def measured() -> Report:
        if editor is not None and not isinstance(editor, str):
            return suite.run(editor)  # in this process, where the test sees what its object did
        return in_one_worker(
            config,
            f"{path} {editor} {changes}",
            make=lambda folder: suite.run(editor, out=folder, isolation=isolation),
            read=lambda folder: suite.judge(read(folder / RECORD_FILE), folder / RECORD_FILE),
        )

    return config.stash[ONCE].get((path, editor, changes), measured)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print the verdict table of every run whose checks were asked for, of those checks only.

    The records are read from their files: under xdist the runs were made in other processes.
    """
    asked: dict[tuple[str, str, str], list[str]] = {}
    baselines: dict[str, None] = {}
    for reports in terminalreporter.stats.values():
        for report in reports:
            told = dict(getattr(report, "user_properties", ()))
            if RECORD_PROPERTY in told and getattr(report, "when", "") == "call":
                run = (told[RECORD_PROPERTY], told[SUITE_PROPERTY], told["editor"])
                asked.setdefault(run, []).append(told["check"])
                if BASELINE_PROPERTY in told:
                    baselines[told[BASELINE_PROPERTY]] = None
    if not asked:
        return
    from stability.errors import StabilityError

    terminalreporter.section("stability")
    for (path, suite, editor), checks in sorted(asked.items()):
        try:
            table = _table(terminalreporter.config, Path(path), Path(suite), editor, checks)
        except StabilityError as error:  # the checks have been judged, whatever became of the files since
            table = str(error)
        terminalreporter.write_line(table)
    for line in baselines:
        terminalreporter.write_line(line)


def _table(config: pytest.Config, path: Path, suite: Path, editor: str, checks: list[str]) -> str:
    """The verdicts of some checks of one editor, as the terminal shows them."""
    from stability.api import Suite
    from stability.report import render_terminal

    by = Suite.load(shown_path(config, suite)).override(overrides(config))
    report = by.judge(read(path), path).only(editor, checks)
    return render_terminal(report.record, report.judgement, folder=path.parent)
