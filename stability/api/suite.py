"""A suite, ready to run or to judge by."""

from __future__ import annotations

import json
import logging
import shlex
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field, replace
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stability.api.folder import (
    RunIdentity,
    kept_words,
    prepare_folder,
    prepare_horizon,
    prepare_to_resume,
    remove_search,
    search_folder,
)
from stability.api.given import Bench, Given, found_editors
from stability.api.report import Report, write_files
from stability.baselines import baselines_folder, baselines_for, is_compared, keep, refusal
from stability.errors import RecordError, StabilityError, UsageError
from stability.files import HORIZON_FILE, RECORD_FILE
from stability.judge import judge as judge_record
from stability.judge.verdict import OtherSuite, plain
from stability.record import Record, Replaced, read_record
from stability.record.file import write_atomically
from stability.record.schema import Isolation
from stability.suite import SuiteFile, load_suite, parse_suite
from stability.suite.loader import warned
from stability.suite.overrides import Overrides, override
from stability.writer import sole_writer

if TYPE_CHECKING:
    from torch import nn

    from stability.models.tokens import Tokenizer
    from stability.run import Experiment, Listener
    from stability.run.horizon.search import Horizon

LOG = logging.getLogger(__name__)
MOST_NAMED = 3  # editors that a report's folder is named by


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
        return cls(warned(parse_suite(text)))

    @classmethod
    def of(cls, record: Record) -> Suite:
        """The suite that a record was made by, as it was read then.

        Raises:
            SuiteError: this version does not read it any more.
        """
        path = Path(record.suite_path) if record.suite_path else None
        return cls(parse_suite(record.suite_text, path, is_recorded=True))

    def override(self, changes: Overrides) -> Suite:
        """The suite with its model, editors, edits, seeds, checkpoints or settings replaced."""
        return replace(self, file=override(self.file, changes), changes=changes)

    def judge(self, record: Record, saved: Path | None = None) -> Report:
        """What this suite says of a record; needs no model.

        `saved` is the path of the record, for the command that makes a baseline of it.
        """
        spec = self.file.spec
        earlier = baselines_for(record, self.baselines_of(record), saved) if is_compared(spec) else None
        judgement = judge_record(spec, record, earlier)
        return Report(record, replace(judgement, other=self._in_place_of_that_of(record, saved)))

    def _in_place_of_that_of(self, record: Record, saved: Path | None) -> OtherSuite | None:
        """This suite with the command that judges by it again; None if the record was made by it."""
        baselines = None if self.baselines is None else str(self.baselines)
        if self.file.text == record.suite_text and baselines in (None, record.replaced.baselines):
            return None
        if saved is None or self.file.path is None:
            return OtherSuite(self.file)
        words = ["stability", "judge", str(saved), "--suite", str(self.file.path)]
        return OtherSuite(self.file, shlex.join([*words, *(["--baselines", baselines] if baselines else [])]))

    def baselines_of(self, record: Record) -> Path:
        """The folder of the baselines that a record is compared with."""
        return self.baselines or baselines_folder(self.file.path or record.suite_path)

    def update_baseline(self, record: Record, editor: str) -> tuple[str, bool]:
        """Keep an editor's runs as its baseline: returns the outcome in words, and whether they were kept.

        They are not if no check compares the editor with a baseline, or if a run of it is not complete.
        """
        mine = record.model_copy(
            update={"runs": tuple(run for run in record.runs if run.editor.name == editor)}
        )
        if not is_compared(self.file.spec, editor):
            return f"no baseline of {editor}: no check of it is 'relative_to: previous'", False
        if reason := refusal(mine):
            return f"no baseline of {editor}: {reason}", False
        kept = keep(mine, self.baselines_of(mine), replace=True)
        return ", ".join(f"{'replaced' if one.replaced else 'saved'} {one.path}" for one in kept), True

    def run(
        self,
        editor: str | Callable[..., Any] | object | None = None,
        *,
        model: str | nn.Module | None = None,
        tokenizer: Tokenizer | None = None,
        out: str | Path | None = None,
        overwrite: bool = False,
        listener: Listener | None = None,
        trust_remote_code: bool = False,
        bench: Bench | None = None,
        isolation: Isolation = "none",
        resume: bool = False,
    ) -> Report:
        """Edit and measure, then judge.

        `editor` is a name, a function, or an object with an `edit` method; without it the suite's own editors
        run. `model` is a name, a folder, or a loaded model, which then needs its `tokenizer`; it is left as
        it was found. With `out`, run.json is written there after every checkpoint and the reports at the end;
        a folder with the record of another run, or of an unfinished one, is refused unless `overwrite` is
        true. A `bench` that an earlier run of this suite on this model was given saves measuring its base
        again. With the `isolation` "process" each run has a process of its own, forked from this one, where
        the model is on the CPU of a Linux system: what the editor does besides, and however it ends, ends
        with that run. With `resume`, a run whose record is in `out` and did not finish is gone on with: what
        has ended is kept, and the rest is made from where it was left, to the record that it would have had.

        Raises:
            UsageError: the suite, an editor's name or a setting is wrong, or `out` is refused, as is a folder
                that another process writes into.
            MeasurementError: nothing could be measured. What fails later is in the record and the verdicts.
            RecordError: the disk is full; the record is as it was after the last checkpoint before.
        """
        if resume and (overwrite or out is None):
            raise UsageError("a run is gone on with in the folder of its record (out), without replacing it")
        given = Given(editor, model, tokenizer, listener, trust_remote_code, bench, isolation)
        suite = self._with(given)
        if out is None:
            return suite._run(given, None)
        with sole_writer(Path(out)):
            earlier = None
            if run := suite._identity(given):
                earlier = prepare_to_resume(Path(out), run, suite.file) if resume else None
                if earlier is None:
                    prepare_folder(Path(out), run, suite.file, overwrite=overwrite)
            return suite._run(given, Path(out, RECORD_FILE), earlier)

    def horizon(
        self,
        editor: str | Callable[..., Any] | object | None = None,
        *,
        model: str | nn.Module | None = None,
        tokenizer: Tokenizer | None = None,
        every: bool = False,
        out: str | Path | None = None,
        overwrite: bool = False,
        listener: Listener | None = None,
        trust_remote_code: bool = False,
        bench: Bench | None = None,
        resume: bool = False,
    ) -> Horizon:
        """The largest number of edits at which the suite still holds, for every editor at every seed.

        Arguments as for `run`; `every` measures after every batch instead of bisecting. With `out`,
        horizon.json is written there; that of another run is refused unless `overwrite` is true. A `bench`
        that a run of this suite was given holds what that run measured, and that is not measured again. With
        `resume` a search that did not finish, and left in `out` how far it had come, is gone on with.

        Raises:
            UsageError: the suite, an editor's name or a setting is wrong, or `out` is refused.
            MeasurementError: nothing could be measured. What fails later is in the horizon's `error`.
        """
        known = None if bench is None or bench.experiment is None else bench.experiment.record.runs
        given = Given(editor, model, tokenizer, listener, trust_remote_code, bench)
        suite = self._with(given)
        with nullcontext() if out is None else sole_writer(Path(out)):
            if out is not None and (run := suite._identity(given)):
                prepare_horizon(Path(out), run, overwrite=overwrite, resume=resume)
            from stability.run.horizon.search import find_horizons

            editors = given.editors(suite.file)
            experiment = suite._experiment(given, None)
            experiment.record = experiment.record.model_copy(update={"runs": known or ()})
            found = find_horizons(
                experiment,
                list(editors),
                every=every,
                use_runs=known is not None,
                folder=None if out is None else search_folder(Path(out)),
                is_resumed=resume,
            )
            if out is not None:
                content = json.dumps(plain(found.as_dict()), indent=1) + "\n"
                write_atomically(Path(out) / HORIZON_FILE, content)
                remove_search(Path(out))
        return found

    def _run(self, given: Given, path: Path | None, earlier: Record | None = None) -> Report:
        """Run what was given; with a path, its record is kept there and its reports beside it.

        An `earlier` record is gone on with; if all its runs have ended, it is judged and that is all.

        They are written of what there is if this is interrupted, too.
        """
        from stability.run import run_suite
        from stability.run.points.fit import is_anything_left, refuse_other_editors

        editors = given.editors(self.file)
        if earlier is not None and path is not None:
            refuse_other_editors(path, earlier, [editor.info for editor in editors])
            if not is_anything_left(earlier, editors, self.file.spec.run.seeds):
                report = self.judge(earlier, path)
                write_files(report, path.parent)
                return report
        experiment = self._experiment(given, path, earlier)
        try:
            report = self.judge(run_suite(experiment, editors), path)
        except KeyboardInterrupt:
            if path is not None and experiment.record.runs:
                self.write_cut_off(experiment.record, path)
            raise
        except RecordError as error:
            raise RecordError(f"{error}; {kept_words(path)}") from error
        if path is not None:
            write_files(report, path.parent)
        return report

    def write_cut_off(self, record: Record, path: Path) -> None:
        """Judge what was measured before an interrupt, and write it; where that is not possible, say so."""
        try:
            write_files(self.judge(record, path), path.parent)
        except StabilityError as error:
            LOG.warning("the reports of what was measured are not written: %s", error)

    def _with(self, given: Given) -> Suite:
        """The suite with what was given by name."""
        changes = given.named(self.changes)
        return self if changes == self.changes else self.override(changes)

    def _identity(self, given: Given) -> RunIdentity | None:
        """What a run of what was given is called by; None if there are no editors."""
        spec, labels = self.file.spec, given.labels(self.file)
        seeds = frozenset(spec.run.seeds)
        return (
            RunIdentity(spec.name, self.file.path, given.model_name(self.file), labels, seeds)
            if labels
            else None
        )

    def _experiment(self, given: Given, path: Path | None, earlier: Record | None = None) -> Experiment:
        stops = self.file.spec.run.stop_on == "first_failure"
        return given.experiment(
            self.file,
            path=path,
            command=self.command(),
            replaced=self.replaced(),
            keep_going=self._holds if stops else lambda record: True,
            earlier=earlier,
        )

    def _holds(self, record: Record) -> bool:
        return all(verdict.status != "fail" for verdict in self.judge(record).judgement.verdicts)

    def command(self) -> str:
        """The shell command that runs this again; empty for a suite that is in no file."""
        if self.file.path is None:
            return ""
        words = ["stability", "run", str(self.file.path), *self.changes.arguments()]
        return shlex.join([*words, *(["--baselines", str(self.baselines)] if self.baselines else [])])

    def replaced(self) -> Replaced:
        """The values that replace those of the suite, as stored in a record."""
        named = None if self.baselines is None else str(self.baselines)
        return Replaced(**asdict(self.changes), baselines=named)

    def folder(self, root: str | Path = "reports") -> Path:
        """The default folder of a run: ROOT/SUITE-EDITOR-SEED."""
        spec = self.file.spec
        editors = [_word(entry.called) for entry in spec.editors]
        if len(editors) > MOST_NAMED:
            editors = [f"{len(editors)}-editors"]
        words = [spec.name, *editors, *map(str, spec.run.seeds)]
        return Path(root, "-".join(words))

    def reuse(self, path: Path) -> Report | None:
        """Judge the record at `path`, if a run of this suite now would only measure the same again.

        That is so when it is complete, and harness, model, editors with their settings, the files that the
        suite names, and all of it but its bounds are the same. The model is loaded to be compared, but not
        edited.
        """
        from stability.models import load_model, model_fingerprint

        try:
            record = read_record(path)
        except RecordError:
            return None
        spec = self.file.spec
        found = [editor.info for editor in found_editors(self.file)]
        wanted = {(editor.name, editor.fingerprint, seed) for editor in found for seed in spec.run.seeds}
        complete = {
            (run.editor.name, run.editor.fingerprint, run.seed)
            for run in record.runs
            if run.status == "complete"
        }
        same = (
            wanted == complete
            and record.measured_fingerprint == self.file.measured_fingerprint
            and record.inputs_fingerprint == self.file.inputs_fingerprint
            and record.harness_version == metadata.version("stability-harness")
            and record.model.fingerprint == model_fingerprint(load_model(spec.model).model)
        )
        return self.judge(record, path) if same else None


def judge(record: Record | str | Path, suite: Suite | str | Path) -> Report:
    """Judge a record, or the run.json at a path, by a suite, or the suite file at a path."""
    by = suite if isinstance(suite, Suite) else Suite.load(suite)
    if isinstance(record, Record):
        return by.judge(record)
    return by.judge(read_record(Path(record)), Path(record))


def _word(name: str) -> str:
    """An editor's name as part of a folder's: `./mine.py:edit` is mine-edit, `reset(rome)` is reset-rome."""
    outer, bracket, inner = name.removesuffix(")").partition("(")
    if bracket:
        return f"{_word(outer)}-{_word(inner)}"
    written, _, function = name.rpartition(":") if ".py:" in name else (name, "", "")
    file = Path(written)
    if file.suffix != ".py":
        return name.replace(":", ".").replace("/", ".")
    folders = () if file.is_absolute() else (part for part in file.parent.parts if part != "..")
    return "-".join([*folders, file.stem, *([function] if function else [])])
