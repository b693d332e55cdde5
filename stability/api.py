"""The Python door: load a suite, run it on a model, judge a record, write the reports.

The command line and the pytest plugin are made of these and add no logic of their own. What needs torch is
imported inside the functions that run a model, so that judging a record does not.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stability.baselines import baselines_folder, baselines_for, is_compared
from stability.errors import ModelError, RecordError, UsageError
from stability.files import HORIZON_FILE, RECORD_FILE
from stability.judge import Judgement, Verdict
from stability.judge import judge as judge_record
from stability.judge.verdict import plain
from stability.record import Record, read_record, write_record
from stability.record.file import write_atomically
from stability.report import render_terminal
from stability.report.explain.explain import explain, explanation_lines
from stability.report.steps.files import rendered_files
from stability.report.steps.wording import assertion, details
from stability.suite import ModelSpec, SuiteFile, load_suite, parse_suite
from stability.suite.overrides import Overrides, override

if TYPE_CHECKING:
    from torch import nn

    from stability.editors import LoadedEditor
    from stability.run import Experiment, Listener
    from stability.run.horizon.search import Horizon

INDENT = "    "
TEXT_WIDTH = 100  # of an explanation
MOST_NAMED = 3  # editors that a report's folder is named by


class StabilityFailure(AssertionError):  # noqa: N818  (a suite that fails is no error of the program)
    """A suite did not hold; the message is the verdict table."""


@dataclass(frozen=True)
class Report:
    """A record and what the suite says of it."""

    record: Record
    judgement: Judgement

    @property
    def passed(self) -> bool:
        """Whether every check held: nothing failed, and nothing could not be measured."""
        return self.judgement.exit_status() == 0

    def __str__(self) -> str:
        return render_terminal(self.record, self.judgement)

    def verdict(self, check: str, editor: str | None = None) -> Verdict:
        """The verdict of a check, such as `edited_weight_norm` or `task_drop[mmlu]`.

        Raises:
            KeyError: there is none of that name, or several editors have one and none is named.
        """
        found = [
            verdict
            for verdict in self.judgement.verdicts
            if verdict.check == check and editor in (None, verdict.editor)
        ]
        if len(found) != 1:
            known = ", ".join(f"{verdict.editor}: {verdict.check}" for verdict in self.judgement.verdicts)
            raise KeyError(f"{len(found)} verdicts are called {check!r}; there are {known}")
        return found[0]

    def explain(self, verdict: Verdict) -> str:
        """What a verdict says, in lines: value and bound, where, since which edit, and what runs it again.

        One that did not hold is explained, too: what it means, and what to try.
        """
        lines = [
            f"{verdict.check} ({verdict.editor}): {verdict.status}: {assertion(verdict)}",
            *details(verdict),
        ]
        explanation = explain(self.record, self.judgement, verdict)
        if explanation is not None:
            lines += explanation_lines(explanation, width=TEXT_WIDTH - len(INDENT))
        again = [f"again: {self.record.command}"] if self.record.command else []
        return f"\n{INDENT}".join([*lines, *again])

    def only(self, editor: str, checks: Sequence[str]) -> Report:
        """The same, cut down to these checks of one editor."""
        kept = [
            replace(one, verdicts=tuple(verdict for verdict in one.verdicts if verdict.check in checks))
            for one in self.judgement.editors
            if one.editor == editor
        ]
        return Report(self.record, replace(self.judgement, editors=tuple(kept)))

    def raise_for_failures(self) -> None:
        """Do nothing if the suite held.

        Raises:
            StabilityFailure: with the verdict table, if it did not.
        """
        if not self.passed:
            raise StabilityFailure(str(self))

    def write(self, folder: str | Path) -> Path:
        """Write the file of every renderer that has one, each atomically; returns the folder.

        These are report.md, report.html and junit.xml; then those of other packages.

        Raises:
            RecordError: the folder takes no files.
            RendererError: a renderer of another package failed, after the others have written theirs.
        """
        folder = Path(folder)
        for name, text in rendered_files(self.record, self.judgement):
            write_atomically(folder / name, text)
        return folder

    def plot(
        self,
        folder: str | Path,
        *,
        names: Sequence[str] = (),
        editors: Sequence[str] = (),
        formats: Sequence[str] = ("svg", "png"),
        dpi: int = 200,
    ) -> list[Path]:
        """Write the figures into a folder, all or those of these names and editors; returns the files.

        `formats` are of svg, png and pdf.

        Raises:
            UsageError: no figure, editor or format is called so, or the record has nothing for a figure.
        """
        from stability.report.charts.files import write_figures

        return write_figures(self.record, self.judgement, Path(folder), names, editors, formats, dpi)


@dataclass
class Bench:
    """A model with its unedited state measured, kept between runs of one suite that differ in the editor."""

    experiment: Experiment | None = None


@dataclass(frozen=True)
class Suite:
    """A suite file, ready to run or to judge by.

    `baselines` is the folder of the earlier records that it compares with; None: `baselines` beside the file.
    """

    file: SuiteFile
    changes: Overrides = field(default_factory=Overrides)
    baselines: Path | None = None

    @classmethod
    def load(cls, path: str | Path) -> Suite:
        """Read a suite file.

        Raises:
            SuiteError: with one `file:line: path: message` for each mistake.
        """
        return cls(load_suite(path))

    @classmethod
    def parse(cls, text: str) -> Suite:
        """Read a suite from a string."""
        return cls(parse_suite(text))

    @classmethod
    def of(cls, record: Record) -> Suite:
        """The suite that a record was made by, as it was read then.

        Raises:
            SuiteError: this version does not read it any more.
        """
        return cls(parse_suite(record.suite_text, Path(record.suite_path) if record.suite_path else None))

    def override(self, changes: Overrides) -> Suite:
        """The suite with its model, editors, edits, seeds, checkpoints or settings replaced."""
        return replace(self, file=override(self.file, changes), changes=changes)

    def judge(self, record: Record, saved: Path | None = None) -> Report:
        """What this suite says of a record; needs no model.

        `saved` is where the record lies, for the command that makes a baseline of it.
        """
        spec = self.file.spec
        earlier = baselines_for(record, self.baselines_of(record), saved) if is_compared(spec) else None
        return Report(record, judge_record(spec, record, earlier))

    def baselines_of(self, record: Record) -> Path:
        """The folder of the baselines that a record is compared with."""
        return self.baselines or baselines_folder(self.file.path or record.suite_path)

    def run(
        self,
        editor: str | Callable[..., Any] | object | None = None,
        *,
        model: str | nn.Module | None = None,
        tokenizer: Any = None,
        out: str | Path | None = None,
        listener: Listener | None = None,
        trust_remote_code: bool = False,
        bench: Bench | None = None,
    ) -> Report:
        """Edit and measure, then judge.

        `editor` is a name, a function, or an object with an `edit` method; without it the suite's own editors
        run. `model` is a name, a folder, or a loaded model, which then needs its `tokenizer`; it is left as
        it was found. With `out`, run.json is written there after every checkpoint and the reports at the end.
        A `bench` that an earlier run of this suite on this model was given saves measuring its base again.

        Raises:
            UsageError: the suite, an editor's name or a setting is wrong.
            MeasurementError: nothing could be measured. What fails later is in the record and the verdicts.
        """
        from stability.run import run_suite

        suite, experiment, editors = self._prepared(
            editor, model, tokenizer, out, listener, trust_remote_code, bench
        )
        folder = None if out is None else Path(out)
        path = None if folder is None else folder / RECORD_FILE
        report = suite.judge(run_suite(experiment, editors), path)
        if folder is not None:
            report.write(folder)
        return report

    def horizon(
        self,
        editor: str | Callable[..., Any] | object | None = None,
        *,
        model: str | nn.Module | None = None,
        tokenizer: Any = None,
        every: bool = False,
        out: str | Path | None = None,
        listener: Listener | None = None,
        trust_remote_code: bool = False,
        bench: Bench | None = None,
    ) -> Horizon:
        """The largest number of edits at which the suite still holds, for every editor at every seed.

        Arguments as for `run`; `every` measures after every batch instead of bisecting. With `out`,
        horizon.json is written there. A `bench` that a run of this suite was given holds what that run
        measured, and that is not measured again.

        Raises:
            UsageError: the suite, an editor's name or a setting is wrong.
            MeasurementError: nothing could be measured. What fails later is in the horizon's `error`.
        """
        from stability.run.horizon.search import find_horizons

        use_runs = bench is not None and bench.experiment is not None
        runs = bench.experiment.record.runs if bench is not None and bench.experiment is not None else ()
        _, experiment, editors = self._prepared(
            editor, model, tokenizer, None, listener, trust_remote_code, bench
        )
        experiment.record = experiment.record.model_copy(update={"runs": runs})
        found = find_horizons(experiment, list(editors), every=every, use_runs=use_runs)
        if out is not None:
            write_atomically(Path(out) / HORIZON_FILE, json.dumps(plain(found.as_dict()), indent=1) + "\n")
        return found

    def _prepared(
        self,
        editor: str | Callable[..., Any] | object | None,
        model: str | nn.Module | None,
        tokenizer: Any,
        out: str | Path | None,
        listener: Listener | None,
        trust_remote_code: bool,
        bench: Bench | None,
    ) -> tuple[Suite, Experiment, Sequence[LoadedEditor]]:
        """The suite with what was replaced, its model with the unedited state measured, and the editors."""
        from stability.editors import wrap_editor
        from stability.models import model_name
        from stability.run import Experiment, Silent

        suite = self
        if isinstance(model, str):
            suite = suite.override(replace(self.changes, model=model))
        if isinstance(editor, str):
            suite = suite.override(replace(suite.changes, editors=(editor,)))
        spec = suite.file.spec
        name = spec.model.name if model is None or isinstance(model, str) else model_name(model)
        editors: Sequence[LoadedEditor]
        if editor is None or isinstance(editor, str):
            editors = suite._found_editors(name, _depth(spec.model, model))
        else:
            editors = [wrap_editor(editor)]
        folder = None if out is None else Path(out)
        path = None if folder is None else folder / RECORD_FILE
        if bench is not None and bench.experiment is not None:
            experiment = bench.experiment.again(path, suite.command())
        else:
            experiment = Experiment(
                suite.file,
                _load(spec, model, tokenizer, trust_remote_code),
                path=path,
                command=suite.command(),
                listener=listener or Silent(),
                keep_going=suite._holds if spec.run.stop_on == "first_failure" else lambda record: True,
            )
        if bench is not None:
            bench.experiment = experiment
        return suite, experiment, editors

    def command(self) -> str:
        """The shell command that runs this again; empty for a suite that is in no file."""
        if self.file.path is None:
            return ""
        words = ["stability", "run", str(self.file.path), *self.changes.arguments()]
        return shlex.join([*words, *(["--baselines", str(self.baselines)] if self.baselines else [])])

    def folder(self, root: str | Path = "reports") -> Path:
        """Where a run is written when nobody says: ROOT/SUITE-EDITOR-SEED."""
        spec = self.file.spec
        editors = [_word(entry.called) for entry in spec.editors]
        if len(editors) > MOST_NAMED:
            editors = [f"{len(editors)}-editors"]
        words = [spec.name, *editors, *map(str, spec.run.seeds)]
        return Path(root, "-".join(words))

    def reuse(self, path: Path) -> Report | None:
        """Judge the record at `path`, if a run of this suite now would only measure the same again.

        That is so when it is complete, and harness, model, editors with their settings, and all of the suite
        but its bounds are the same. The model is loaded to be compared, but not edited.
        """
        from stability.models import load_model, model_fingerprint

        try:
            record = read_record(path)
        except RecordError:
            return None
        spec = self.file.spec
        editors = self._found_editors(spec.model.name, _depth(spec.model, None))
        found = [editor.info for editor in editors]
        wanted = {(editor.name, editor.fingerprint, seed) for editor in found for seed in spec.run.seeds}
        complete = {
            (run.editor.name, run.editor.fingerprint, run.seed)
            for run in record.runs
            if run.status == "complete"
        }
        same = (
            wanted == complete
            and record.measured_fingerprint == self.file.measured_fingerprint
            and record.harness_version == metadata.version("stability-harness")
            and record.model.fingerprint == model_fingerprint(load_model(spec.model).model)
        )
        return self.judge(record, path) if same else None

    def _found_editors(self, model: str, depth: int | None) -> list[LoadedEditor]:
        """The suite's editors, with their settings for a model of that name and so many blocks."""
        from stability.editors import find_editor

        if not self.file.spec.editors:
            raise UsageError("the suite names no editors; give one with --editor, such as --editor rome")
        return [
            find_editor(entry.name, entry.settings, model, called=entry.called, depth=depth)
            for entry in self.file.spec.editors
        ]

    def _holds(self, record: Record) -> bool:
        return all(verdict.status != "fail" for verdict in self.judge(record).judgement.verdicts)


def judge(record: Record | str | Path, suite: Suite | str | Path) -> Report:
    """Judge a record, or the run.json at a path, by a suite, or the suite file at a path."""
    by = suite if isinstance(suite, Suite) else Suite.load(suite)
    if isinstance(record, Record):
        return by.judge(record)
    return by.judge(read_record(Path(record)), Path(record))


def gate(
    base: str | Path,
    edited: str | Path,
    suite: Suite | str | Path | None = None,
    *,
    level: str = "weights",
    edits: str | Path | None = None,
    out: str | Path | None = None,
    listener: Listener | None = None,
) -> Report:
    """Judge an edited checkpoint on disk against the one that it was made from; see `stability.gate.gate`.

    `level` is `weights`, `activations` or `tasks`; `edits` a file of the edits that were made. With `out`,
    run.json and the reports are written there.

    Raises:
        UsageError: the suite or the level is wrong.
        MeasurementError: a file is missing, cut short or a pickle, or a model cannot be loaded.
    """
    from stability.gate import Level, default_suite
    from stability.gate import gate as measure

    if level not in list(Level):
        raise UsageError(f"no level is called {level!r}; there are {', '.join(Level)}")
    by = suite if isinstance(suite, Suite) else Suite.load(suite or default_suite())
    words = ["stability", "gate", str(base), str(edited)]
    words += ["--suite", str(by.file.path)] if by.file.path not in (None, default_suite()) else []
    words += ["--level", level, *(["--edits", str(edits)] if edits else []), *by.changes.arguments()]
    record = measure(
        str(base),
        str(edited),
        by.file,
        listener,
        level=Level(level),
        edits=None if edits is None else Path(edits),
        command=shlex.join(words),
    )
    path = None if out is None else Path(out, RECORD_FILE)
    if path is not None:
        write_record(record, path)
    report = by.judge(record, path)
    if out is not None:
        report.write(out)
    return report


def _word(name: str) -> str:
    """An editor's name as part of a folder's: `./mine.py:edit` is mine, `reset(rome)` is reset-rome."""
    outer, bracket, inner = name.removesuffix(")").partition("(")
    if bracket:
        return f"{_word(outer)}-{_word(inner)}"
    file = Path(name.split(":")[0])
    return file.stem if file.suffix == ".py" else name.replace(":", ".").replace("/", ".")


def _load(spec: Any, model: Any, tokenizer: Any, trust_remote_code: bool) -> Any:
    from stability.models import LoadedModel, load_model, model_name

    if model is None or isinstance(model, str):
        return load_model(spec.model, trust_remote_code=trust_remote_code)
    if tokenizer is None:
        raise UsageError(
            "a model that is given as an object needs its tokenizer: run(model=..., tokenizer=...)"
        )
    return LoadedModel(model=model, tokenizer=tokenizer, name=model_name(model))


def _depth(spec: ModelSpec, model: Any) -> int | None:
    """The number of blocks of a model that is named, or given as an object; None if there is no telling."""
    from stability.models import map_model, model_depth

    if model is None or isinstance(model, str):
        return model_depth(spec)
    try:
        return map_model(model).n_layers
    except ModelError:  # said in full when the model is measured
        return None
