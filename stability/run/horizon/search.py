"""The stability horizon: the largest number of edits at which a suite still holds, found by bisection."""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from stability.editors import LoadedEditor
from stability.errors import StabilityError
from stability.record import Checkpoint, EditorInfo, Problem, Run
from stability.run.experiment import Experiment
from stability.run.horizon.point import Answer, PointSuite
from stability.run.horizon.walk import Walk


@dataclass(frozen=True)
class SeedHorizon:
    """The horizon at one seed.

    `edits` is the last number of edits that held, and at `failed_at` the suite did not; None if it held at
    all that were asked for, so that the horizon is higher. `error` says what could not be measured
    there, or at all. `measurements` counts how often the model was measured, `edits_made` the edits, and
    `edits_repeated` those of them that had been made before.
    """

    seed: int
    edits: int
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
    """The horizon of one editor over seeds; `median` is a seed's own, the lower one of two."""

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
    def key_dimension(self) -> float | None:
        """d_k of the edited matrices, the smallest; None if nothing was edited."""
        found = [seed.edits / seed.per_key_dimension for seed in self.seeds if seed.per_key_dimension]
        return min(found, default=None)


@dataclass(frozen=True)
class Horizon:
    """What a search has found: the content of horizon.json."""

    suite: str
    model: str
    model_fingerprint: str
    asked: int  # the most edits that were tried
    batch: int
    every: bool  # measured after every batch, not bisected
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
    experiment: Experiment, editors: list[LoadedEditor], *, every: bool = False, use_runs: bool = False
) -> Horizon:
    """The horizon of every editor at every seed of the experiment's suite.

    With `every`, measured after every batch; with `use_runs`, what the experiment's record holds of the
    editors' runs is not measured again.
    """
    spec = experiment.suite.spec
    point = PointSuite.of(spec)
    found = []
    for editor in editors:
        seeds = []
        for seed in spec.run.seeds:
            known = next(
                (run for run in experiment.record.runs if (run.editor, run.seed) == (editor.info, seed)), None
            )
            run = known if use_runs else None
            seeds.append(find_horizon(experiment, editor, seed, point, every=every, run=run))
        found.append(EditorHorizon(editor.info, tuple(seeds)))
    return Horizon(
        suite=spec.name,
        model=experiment.record.model.name,
        model_fingerprint=experiment.record.model.fingerprint,
        asked=spec.run.edits.count,
        batch=spec.run.edits.batch,
        every=every,
        left_out=point.left_out,
        editors=tuple(found),
    )


def find_horizon(
    experiment: Experiment,
    editor: LoadedEditor,
    seed: int,
    point: PointSuite,
    *,
    every: bool = False,
    run: Run | None = None,
) -> SeedHorizon:
    """The largest number of edits N such that the suite holds after every batch up to N.

    The suite is judged at its checkpoints until one does not hold, then in the middle of the gap between
    that one and the last that did, until the gap is empty. That is the horizon if, between these two
    checkpoints, it does not hold again once it has failed, and if it holds between checkpoints that hold.
    `every` assumes neither, and asks after every batch. A `run` gives its checkpoints as measured already.
    """
    experiment.listener.stage(f"{editor.info.name} · seed {seed}: horizon")
    with (
        tempfile.TemporaryDirectory(prefix="stability-horizon-") as folder,
        Walk(experiment, editor, seed, Path(folder)) as walk,
    ):
        asking = _HorizonSearch(experiment, editor, seed, point, walk, run)
        stops = walk.stops
        first = stops if every else experiment.suite.spec.run.schedule()
        try:
            held, failed = _bracket(asking.holds, (0, *first))
            if failed is not None:
                held, failed = _bisect(asking.holds, held, failed, (0, *stops))
        except StabilityError as error:
            return asking.gave_up(str(error))
        return asking.found(held, failed)


def _bracket(holds: Callable[[int], bool], points: tuple[int, ...]) -> tuple[int, int | None]:
    """The last of the points that holds before the first that does not, and that one."""
    held = points[0]
    for point in points[1:]:
        if not holds(point):
            return held, point
        held = point
    return held, None


def _bisect(holds: Callable[[int], bool], held: int, failed: int, stops: tuple[int, ...]) -> tuple[int, int]:
    """Two neighbouring stops; the first holds and the second does not."""
    low, high = stops.index(held), stops.index(failed)
    while high - low > 1:
        middle = (low + high) // 2
        if holds(stops[middle]):
            low = middle
        else:
            high = middle
    return stops[low], stops[high]


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
    ) -> None:
        self._experiment = experiment
        self._point = point
        self._walk = walk
        self._blank = Run(editor=editor.info, seed=seed)
        self._known = {checkpoint.edits: checkpoint for checkpoint in run.checkpoints} if run else {}
        self._run = run
        self._answers: dict[int, Answer] = {}
        self._changed: frozenset[str] = frozenset()
        self._measurements = 0

    def holds(self, edits: int) -> bool:
        """Whether the suite holds after so many edits; the point is kept, if it does."""
        if edits in self._known and self._run is not None:
            answer = self._judge(self._known[edits], self._run)
        elif self._walk.go_to(edits):
            self._experiment.listener.stage(f"measuring after {edits} edits")
            self._measurements += 1
            end = self._walk.end
            ended = end is not None and end.at == edits and end.broken
            run = self._blank.model_copy(update={"edits": tuple(self._walk.outcomes[:edits])})
            if end is not None and ended:
                run = run.model_copy(update={"status": "failed", "error": Problem.of(end.error)})
            answer = self._judge(self._walk.measure(self._point.metrics), run)
            if not answer.harm:
                self._walk.keep()
        else:
            return False
        self._answers[edits] = answer
        return not answer.harm and answer.is_measured

    def _judge(self, checkpoint: Checkpoint, run: Run) -> Answer:
        self._changed |= set(checkpoint.changed)
        alone: dict[str, Any] = {"checkpoints": (checkpoint,), "edits": run.edits[: checkpoint.edits]}
        if run.status != "failed" or (run.failed_at is not None and checkpoint.edits < run.failed_at):
            alone |= {"status": "complete", "error": None, "failed_at": None}
        return self._point.answer(self._experiment.record, run.model_copy(update=alone))

    def found(self, held: int, failed: int | None) -> SeedHorizon:
        """The horizon between two neighbours."""
        if failed is None:
            return self._horizon(held, None, (), "")
        answer = self._answers.get(failed)
        if answer is None:
            end = self._walk.end
            error = str(end.error) if end else ""
            return self._horizon(held, failed, (error,) if error else (), error)
        reasons = answer.reasons or ("nothing that the suite asks of could be looked at",)
        return self._horizon(held, failed, reasons, "" if answer.is_measured else reasons[0])

    def gave_up(self, error: str) -> SeedHorizon:
        """The search ended for another reason than the suite; then the last stop that held is no horizon."""
        held = max((edits for edits, answer in self._answers.items() if not answer.harm), default=0)
        return self._horizon(held, None, (), error)

    def _horizon(
        self, edits: int, failed_at: int | None, reasons: tuple[str, ...], error: str
    ) -> SeedHorizon:
        model = self._experiment.record.model
        dimensions = [matrix.d_in for matrix in model.matrices if matrix.name in self._changed]
        return SeedHorizon(
            seed=self._blank.seed,
            edits=edits,
            failed_at=failed_at,
            reasons=reasons,
            per_key_dimension=edits / min(dimensions) if dimensions else None,
            measurements=self._measurements,
            edits_made=self._walk.edits_made,
            edits_repeated=self._walk.edits_repeated,
            tried={edits: not answer.harm for edits, answer in sorted(self._answers.items())},
            error=error,
        )
