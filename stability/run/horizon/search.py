"""The stability horizon: the largest number of edits at which a suite still holds, found by bisection."""

from __future__ import annotations

import math
import statistics
import tempfile
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from stability.editors import LoadedEditor
from stability.errors import RecordError, StabilityError
from stability.record import Checkpoint, EditorInfo, Problem, Record, Run
from stability.run.experiment import Experiment
from stability.run.horizon.bounds import HorizonBounds, Predicate, Search
from stability.run.horizon.point import Answer, PointSuite
from stability.run.horizon.progress import SearchFolder, SearchProgress
from stability.run.horizon.walk import Walk
from stability.run.points.fit import (
    refuse_other_editors,
    refuse_other_material,
    refuse_other_suite,
    versions_of,
)
from stability.run.points.folder import run_folder
from stability.suite.schema import RunSpec


@dataclass(frozen=True)
class SeedHorizon:
    """The horizon at one seed.

    `edits` is the last number of edits at which the suite held, or rather held than not, and at `failed_at`
    it did not; None if it held at all that were asked for, so that the horizon is higher. Beyond noise, it
    was shown to hold up to `at_least`, and shown not to right after `at_most` (None: nowhere). `error` says
    what could not be measured there, or at all. `measurements` counts how often the model was measured,
    `edits_made` the edits, and `edits_repeated` those of them that had been made before.
    """

    seed: int
    edits: int
    at_least: int
    at_most: int | None
    failed_at: int | None
    reasons: tuple[str, ...]
    per_key_dimension: float | None
    measurements: int
    edits_made: int
    edits_repeated: int
    tried: dict[int, bool]
    error: str = ""


@dataclass(frozen=True)
class EditorHorizon:
    """The horizon of one editor over seeds; `median` is a seed's own, the lower one of two.

    Whatever the documents leave open at each seed is left open for the median and the worst of the seeds.
    """

    editor: EditorInfo
    seeds: tuple[SeedHorizon, ...]

    @property
    def median(self) -> int:
        """In edits."""
        return statistics.median_low(seed.edits for seed in self.seeds)

    @property
    def worst(self) -> int:
        """In edits."""
        return min(seed.edits for seed in self.seeds)

    @property
    def median_at(self) -> tuple[int, int | None]:
        """At least and at most, as shown at the seeds; None: no end was shown."""
        return self._at(statistics.median_low)

    @property
    def worst_at(self) -> tuple[int, int | None]:
        """The same of the worst."""
        return self._at(min)

    @property
    def orders(self) -> tuple[int, int | None] | None:
        """Between the seeds' ends: the median over all orders of edits, with `orders_confidence`."""
        return (self._at(min)[0], self._at(max)[1]) if len(self.seeds) > 1 else None

    @property
    def orders_confidence(self) -> float:
        """That of S orders not all are on one side of their median: 1 - 2 · 2^-S."""
        return 1 - 2.0 ** (1 - len(self.seeds))

    def _at(self, choose: Callable[[list[float]], float]) -> tuple[int, int | None]:
        most = choose([math.inf if seed.at_most is None else seed.at_most for seed in self.seeds])
        return int(choose([seed.at_least for seed in self.seeds])), None if math.isinf(most) else int(most)

    @property
    def key_dimension(self) -> float | None:
        """d_k of the edited matrices, the smallest; None if nothing was edited."""
        found = [seed.edits / seed.per_key_dimension for seed in self.seeds if seed.per_key_dimension]
        return min(found, default=None)


@dataclass(frozen=True)
class Horizon:
    """What a search has found: the content of horizon.json."""

    suite: str
    suite_path: str | None
    model: str
    model_fingerprint: str
    asked: int  # the most edits that were tried
    batch: int
    every: bool  # measured after every batch, not bisected
    looks: int  # numbers of edits, over all seeds, that could be asked at: the tests for noise pay for them
    left_out: dict[str, str]  # checks, and why they were not asked
    editors: tuple[EditorHorizon, ...]

    @property
    def error(self) -> str:
        """What could not be measured; empty if every horizon is the suite's own."""
        return next((seed.error for editor in self.editors for seed in editor.seeds if seed.error), "")

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        editors = [
            {
                "editor": editor.editor.name,
                "fingerprint": editor.editor.fingerprint,
                "settings": editor.editor.settings,
                "median": editor.median,
                "worst": editor.worst,
                "median_at": editor.median_at,
                "worst_at": editor.worst_at,
                "orders": editor.orders,
                "orders_confidence": editor.orders_confidence,
                "held_throughout": all(seed.failed_at is None for seed in editor.seeds),
                "median_per_key_dimension": _share(editor.median, editor.key_dimension),
                "worst_per_key_dimension": _share(editor.worst, editor.key_dimension),
                "seeds": [asdict(seed) for seed in editor.seeds],
            }
            for editor in self.editors
        ]
        return {"schema_version": 1, **asdict(self), "editors": editors}


def _share(edits: int, dimension: float | None) -> float | None:
    return None if dimension is None else edits / dimension


def find_horizons(
    experiment: Experiment,
    editors: list[LoadedEditor],
    *,
    every: bool = False,
    use_runs: bool = False,
    folder: Path | None = None,
    is_resumed: bool = False,
) -> Horizon:
    """The horizon of every editor at every seed of the experiment's suite.

    With `every`, measured after every batch; with `use_runs`, what the experiment's record holds of the
    editors' runs is not measured again. In the `folder` a search leaves how far it has come, and one that
    `is_resumed` goes on from there.

    Raises:
        UsageError: what is in the folder is of something else.
        RecordError: how far it has come cannot be read, or cannot be written any more.
    """
    spec = experiment.suite.spec
    point = PointSuite.of(spec)
    found = []
    with (
        tempfile.TemporaryDirectory(prefix="stability-horizon-") if folder is None else nullcontext(folder)
    ) as root:
        for editor in editors:
            seeds = []
            for seed in spec.run.seeds:
                known = next(
                    (run for run in experiment.record.runs if (run.editor, run.seed) == (editor.info, seed)),
                    None,
                )
                run = known if use_runs else None
                place = SearchFolder(
                    run_folder(Path(root), editor.info.name, seed), is_resumed, is_lasting=folder is not None
                )
                seeds.append(find_horizon(experiment, editor, seed, point, place, every=every, run=run))
            found.append(EditorHorizon(editor.info, tuple(seeds)))
    return Horizon(
        suite=spec.name,
        suite_path=experiment.record.suite_path,
        model=experiment.record.model.name,
        model_fingerprint=experiment.record.model.fingerprint,
        asked=spec.run.edits.count,
        batch=spec.run.edits.batch,
        every=every,
        looks=looks(spec.run),
        left_out=point.left_out,
        editors=tuple(found),
    )


def find_horizon(
    experiment: Experiment,
    editor: LoadedEditor,
    seed: int,
    point: PointSuite,
    place: SearchFolder,
    *,
    every: bool = False,
    run: Run | None = None,
) -> SeedHorizon:
    """The largest number of edits N such that the suite holds after every batch up to N.

    The suite is judged at its checkpoints until one does not hold, then in the middle of the gap between
    that one and the last that did, until the gap is empty; so for what is shown to hold, for what holds by
    its values, and for what is not shown to fail. That is the horizon if, between these two
    checkpoints, it does not hold again once it has failed, and if it holds between checkpoints that hold.
    `every` assumes neither, and asks after every batch. A `run` gives its checkpoints as measured already.
    In its `place` the search leaves how far it has come, and goes on from there if that is to be resumed.
    """
    experiment.listener.stage(f"{editor.info.name} · seed {seed}: horizon")
    place.begin()
    earlier = place.read()
    if earlier is not None:
        refuse_other(place.folder, earlier.record, experiment, editor.info)
        experiment.record = experiment.record.model_copy(update={"started": earlier.record.started})
    with Walk(experiment, editor, seed, place.folder) as walk:
        asking = _HorizonSearch(experiment, editor, seed, point, walk, run, place)
        if earlier is not None:
            asking.take_up(earlier)
        search = asking.search
        try:
            bounds = search.every() if every else search.bisect(experiment.suite.spec.run.schedule())
        except RecordError:  # it cannot be kept: what was measured before is on the disk
            raise
        except StabilityError as error:
            return asking.gave_up(str(error))
        return asking.found(bounds)


def refuse_other(place: Path, record: Record, experiment: Experiment, editor: EditorInfo) -> None:
    """Refuse what an earlier search has left, if it was one of something else: `UsageError` says of what."""
    now = experiment.record
    refuse_other_suite(place, record, experiment.suite, versions_of(now))
    refuse_other_editors(place, record, [editor])
    refuse_other_material(place, record, now.model, now.text_fingerprint, experiment.streams)


def looks(run: RunSpec) -> int:
    """How many numbers of edits could be asked at, over all seeds."""
    return -(-run.edits.count // run.edits.batch) * len(run.seeds)


class _HorizonSearch:
    """Asks the suite at one number of edits after another, and remembers what it said."""

    def __init__(
        self,
        experiment: Experiment,
        editor: LoadedEditor,
        seed: int,
        point: PointSuite,
        walk: Walk,
        run: Run | None,
        place: SearchFolder,
    ) -> None:
        self._experiment = experiment
        self._point = point
        self._walk = walk
        self._blank = Run(editor=editor.info, seed=seed)
        self._known = {checkpoint.edits: checkpoint for checkpoint in run.checkpoints} if run else {}
        self._run = run
        self._looks = looks(experiment.suite.spec.run)
        self.search = Search(self.ask, walk.stops)
        self._changed: frozenset[str] = frozenset()
        self._measurements = 0
        self._place = place
        self._measured: dict[int, Checkpoint] = {}
        if place.is_lasting:
            walk.when_due = self._save

    def take_up(self, progress: SearchProgress) -> None:
        """Go on with an earlier search: what it has measured is not measured again."""
        (run,) = progress.record.runs
        self._walk.take_up(progress.walk)
        self._measured = {checkpoint.edits: checkpoint for checkpoint in run.checkpoints}
        self._measurements = progress.measurements

    def _save(self) -> None:
        """Leave how far the search has come."""
        walk = self._walk.progress()
        checkpoints = tuple(self._measured.values())
        run = self._blank.model_copy(update={"edits": walk.outcomes, "checkpoints": checkpoints})
        record = self._experiment.record.model_copy(update={"runs": (run,)})
        self._place.write(SearchProgress(record=record, measurements=self._measurements, walk=walk))

    def ask(self, edits: int, wanted: Predicate) -> Answer | None:
        """What the suite says after so many edits; the point is kept if that is what is wanted."""
        if edits in self._known and self._run is not None:
            return self._judge(self._known[edits], self._run)
        if edits in self._measured:
            return self._judge(self._measured[edits], self._run_at(edits))
        if not self._walk.go_to(edits):
            return None
        self._experiment.listener.stage(f"measuring after {edits} edits")
        self._measurements += 1
        self._measured[edits] = self._walk.measure(self._point.metrics)
        answer = self._judge(self._measured[edits], self._run_at(edits))
        if wanted(answer):
            self._walk.keep()
        if self._place.is_lasting:
            self._save()
        return answer

    def _run_at(self, edits: int) -> Run:
        """The run up to there; failed, if that is where the model broke."""
        end = self._walk.end
        run = self._blank.model_copy(update={"edits": tuple(self._walk.outcomes[:edits])})
        if end is not None and end.at == edits and end.broken:
            return run.model_copy(update={"status": "failed", "error": Problem.of(end.error)})
        return run

    def _judge(self, checkpoint: Checkpoint, run: Run) -> Answer:
        self._changed |= set(checkpoint.changed)
        alone: dict[str, Any] = {"checkpoints": (checkpoint,), "edits": run.edits[: checkpoint.edits]}
        if run.status != "failed" or (run.failed_at is not None and checkpoint.edits < run.failed_at):
            alone |= {"status": "complete", "error": None, "failed_at": None}
        return self._point.one_of(self._looks, self._experiment.record, run.model_copy(update=alone))

    def found(self, bounds: HorizonBounds) -> SeedHorizon:
        """The horizon that the search ended with."""
        reasons, error = self._reasons(bounds.failed)
        return self._horizon(bounds, reasons, error or self._reasons(bounds.fails)[1])

    def _reasons(self, edits: int | None) -> tuple[tuple[str, ...], str]:
        """Why the suite does not hold after so many edits, and what could not be measured there."""
        if edits is None:
            return (), ""
        answer = self.search.answers[edits]
        if answer is None:
            end = self._walk.end
            error = str(end.error) if end else ""
            return ((error,) if error else ()), error
        reasons = answer.reasons or ("nothing that the suite asks of could be looked at",)
        return reasons, "" if answer.is_measured else reasons[0]

    def gave_up(self, error: str) -> SeedHorizon:
        """The search ended for another reason than the suite; then the last stop that held is no horizon."""
        held = max((edits for edits, answer in self._answers.items() if answer.holds), default=0)
        shown = max((edits for edits, answer in self._answers.items() if answer.is_shown_to_hold), default=0)
        return self._horizon(HorizonBounds(shown, held, None, None), (), error)

    @property
    def _answers(self) -> dict[int, Answer]:
        return {edits: answer for edits, answer in sorted(self.search.answers.items()) if answer is not None}

    def _horizon(self, bounds: HorizonBounds, reasons: tuple[str, ...], error: str) -> SeedHorizon:
        model = self._experiment.record.model
        dimensions = [matrix.d_in for matrix in model.matrices if matrix.name in self._changed]
        below = [stop for stop in (0, *self._walk.stops) if bounds.fails is not None and stop < bounds.fails]
        return SeedHorizon(
            seed=self._blank.seed,
            edits=bounds.held,
            at_least=bounds.shown,
            at_most=max(below, default=None),
            failed_at=bounds.failed,
            reasons=reasons,
            per_key_dimension=bounds.held / min(dimensions) if dimensions else None,
            measurements=self._measurements,
            edits_made=self._walk.edits_made,
            edits_repeated=self._walk.edits_repeated,
            tried={edits: answer.holds for edits, answer in self._answers.items()},
            error=error,
        )
