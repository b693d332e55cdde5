"""Measuring one model: everything that is fitted on the unedited model, then one checkpoint after another."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from functools import partial

import torch
from torch import nn

from stability.data.edits import Edit
from stability.errors import MeasurementError, ProblemKind, UsageError, with_type
from stability.imports import in_one_line
from stability.metrics import Context, Metric, Skipped, edit_outcomes, metrics_of
from stability.models import (
    Snapshot,
    TokenizedText,
    View,
    map_model,
    measurable,
    pad_id,
    pad_right,
    space_between,
)
from stability.models.memory import kind_of
from stability.models.modes import evaluating, random_state
from stability.models.tokens import Tokenizer
from stability.parts import METRICS
from stability.record import Checkpoint, EditOutcome, Problem, Reading
from stability.run.costs import measuring_costs
from stability.run.listener import Listener, Silent
from stability.run.unedited import UneditedFigures
from stability.store import Store
from stability.suite import SuiteSpec

Reported = Sequence[Mapping[str, float]]
"""What an editor says of each edit of a batch, in figures by name."""

WEIGHT_METRICS = ("matrix", "parameter")
PROMPTS = 8  # that wrapped matrices are tried on
# Running a model may raise torch's own errors (out of memory, a shape that an editor changed), and those of
# a wrapper's code.
MODEL_ERRORS = (
    RuntimeError,
    MemoryError,
    TypeError,
    ValueError,
    LookupError,
    AttributeError,
    ArithmeticError,
    AssertionError,
)


class Examination:
    """The measuring side of a run. Built on the unedited model, which it keeps a pristine copy of.

    With `only`, it takes the readings of these metrics and no others. What a store has of the unedited model
    is read, and what it has not is kept there. `streams` are the edits that are to be made, by seed.
    """

    def __init__(
        self,
        model: nn.Module,
        tokenizer: Tokenizer,
        suite: SuiteSpec,
        text: TokenizedText,
        listener: Listener | None = None,
        only: frozenset[str] | None = None,
        store: Store | None = None,
        streams: Mapping[int, tuple[Edit, ...]] | None = None,
    ) -> None:
        self.tokenizer = tokenizer
        self.suite = suite
        self.text = text
        self.snapshot = Snapshot(model)
        self._listener = listener or Silent()
        self._metrics = metrics_for(suite, only)
        self._unfit: dict[str, Problem] = {}
        self._base = Context(
            model, tokenizer, map_model(model), self.snapshot, suite, text, streams=streams or {}
        )
        self.unedited = UneditedFigures(self._base, store)
        self.base = self._measure_base()

    def _measure_base(self) -> Checkpoint:
        started = time.perf_counter()
        context = self._base
        known: dict[str, Reading] = {}
        with evaluating(context.model), random_state():
            context.base = self.unedited.observe()
            for name, metric in self._metrics.items():
                self._listener.stage(f"unedited model: {name}")
                try:
                    reading = self.unedited.fit(name, metric, partial(_reading, name, metric, context))
                    if reading is not None:
                        known[name] = reading
                except MeasurementError as error:
                    self._unfit[name] = Problem.of(error)
                except _errors_of(name) as error:
                    self._unfit[name] = _raised(name, error)
            if self.unedited.read:
                self._listener.stage(f"unedited model: from the store ({', '.join(self.unedited.read)})")
        return self._checkpoint(context, started, known=known)

    def outcomes(
        self, model: object, edits: Sequence[Edit], reported: Reported | None = None
    ) -> list[EditOutcome]:
        """How the model, or what an editor made of it, answers each edit now, right after it was made.

        What the editor `reported` of each is put with it.

        Raises:
            MeasurementError: it cannot be asked.
        """
        model = measurable(model)
        with evaluating(model), random_state():
            try:
                return _with_reports(edit_outcomes(model, self.tokenizer, edits), reported)
            except MODEL_ERRORS as error:
                raise _cannot_be_run(error) from error

    def ask(
        self, model: object, edits: Sequence[Edit], reported: Reported
    ) -> tuple[list[EditOutcome], MeasurementError | None]:
        """The `outcomes`; of a model that cannot be asked, such as one that gives NaN, those of no answer."""
        try:
            return self.outcomes(model, edits, reported), None
        except MeasurementError as error:
            return _with_reports([_no_answer(edit) for edit in edits], reported), error

    def checkpoint(
        self,
        model: object,
        edits: tuple[Edit, ...],
        outcomes: tuple[EditOutcome, ...],
        seed: int,
        only: frozenset[str] | None = None,
    ) -> Checkpoint:
        """Every reading of the model, or of what an editor made of it, as it is after these edits.

        With `only`, the readings of these metrics and no others.

        Raises:
            MeasurementError: measuring has altered the model.
            ModelError: there is no language model in it that can be mapped as the unedited one is.
        """
        started = time.perf_counter()
        model = measurable(model)
        found = map_model(model, like=self._base.map)
        context = Context(
            model=model,
            tokenizer=self.tokenizer,
            map=found,
            snapshot=self.snapshot,
            suite=self.suite,
            text=self.text,
            seed=seed,
            edits=edits,
            outcomes=outcomes,
            base=self._base.base,
        )
        try:
            context.view = View(model, found, self.snapshot, self._prompts(edits))
            with evaluating(model), random_state():
                context.changed = context.view.changed
        except MODEL_ERRORS as error:
            raise _cannot_be_run(error) from error
        return self._checkpoint(context, started, only)

    def view(self, model: object) -> View:
        """The model, or what an editor made of it, by the names of the unedited one.

        Raises:
            ModelError: there is no language model in it that can be mapped as the unedited one is.
        """
        model = measurable(model)
        return View(model, map_model(model, like=self._base.map), self.snapshot)

    def _prompts(self, edits: tuple[Edit, ...]) -> torch.Tensor | None:
        """The prompts of the last edits, [prompts, tokens]: where a wrapper, if anywhere, does something."""
        rows = [self.tokenizer(edit.filled)["input_ids"] for edit in edits[-PROMPTS:]]
        return pad_right(rows, pad_id(self.tokenizer))[0] if rows else None

    def _checkpoint(
        self,
        context: Context,
        started: float,
        only: frozenset[str] | None = None,
        known: Mapping[str, Reading] | None = None,
    ) -> Checkpoint:
        """The readings: those that are known already, and what is measured now."""
        stored = context.view.stored
        kept = {name: stored[name].detach().clone() for name in context.view.differing}
        known = known or {}
        readings: dict[str, Reading] = {}
        errors = dict(self._unfit)
        skipped: dict[str, Problem] = {}
        with evaluating(context.model), random_state():
            for name in sorted(self._metrics, key=lambda name: name != "nonfinite"):
                metric = self._metrics[name]
                if name in errors or (only is not None and name not in only):
                    continue
                broken = _broken(readings)
                if broken and metric.head.over not in WEIGHT_METRICS:
                    errors[name] = broken
                    continue
                try:
                    readings[name] = known.get(name) or _measured(name, metric, context)
                except Skipped as reason:
                    skipped[name] = Problem.of(reason)
                except MeasurementError as error:
                    errors[name] = Problem.of(error)
                except _errors_of(name) as error:
                    errors[name] = _raised(name, error)
        self._check_untouched(context, kept)
        return Checkpoint(
            edits=len(context.edits),
            changed=context.changed,
            readings=dict(sorted(readings.items())),
            errors=dict(sorted(errors.items())),
            skipped=dict(sorted(skipped.items())),
            costs=measuring_costs(started),
        )

    def _check_untouched(self, context: Context, kept: dict[str, torch.Tensor]) -> None:
        now = View(context.model, context.map, self.snapshot)
        altered = now.differing ^ context.view.differing | now.stored.keys() ^ context.view.stored.keys()
        altered |= {
            name
            for name, value in kept.items()
            if name in now.stored and not _same(now.stored[name].detach(), value)
        }
        if altered:
            raise MeasurementError(
                f"measuring altered the model: {', '.join(sorted(altered)[:3])}", kind="not_repeatable"
            )


def _cannot_be_run(error: Exception) -> MeasurementError:
    kind = kind_of(error, "model_unusable")
    return MeasurementError(f"the edited model cannot be run: {with_type(error)}", kind=kind)


def _raised(metric: str, error: Exception) -> Problem:
    """What came out of measuring: of a metric of ours, the model's doing; of another, who knows."""
    otherwise: ProblemKind = "model_unusable" if metric in METRICS.built_in() else "not_measured"
    return Problem(kind=kind_of(error, otherwise), message=with_type(error))


def metrics_for(suite: SuiteSpec, only: frozenset[str] | None = None) -> dict[str, Metric]:
    """What is measured for a suite, by name: what it asks for, and what is measured in any case.

    With `only`, no others than these.

    Raises:
        UsageError: a metric that a check names cannot be found or made.
    """
    kinds = metrics_of(suite)
    made = {name: _made(name, kind) for name, kind in kinds.items() if only is None or name in only}
    return {
        name: metric for name, metric in made.items() if name in suite.metric_names or metric.wanted(suite)
    }


def _made(name: str, kind: type[Metric]) -> Metric:
    """The metric; `UsageError` if one of others cannot be made."""
    if name in METRICS.built_in():
        return kind()
    with in_one_line(f"metric {name}: making it", UsageError):
        return kind()


def _errors_of(metric: str) -> tuple[type[Exception], ...]:
    """The errors that measuring may raise; a metric that is not built in may raise any."""
    return MODEL_ERRORS if metric in METRICS.built_in() else (Exception,)


def _measured(name: str, metric: Metric, context: Context) -> Reading:
    """A metric's reading; `MeasurementError` if it is not what the metric's head says."""
    reading = metric.measure(context)
    over = reading.over if isinstance(reading, Reading) else f"a {type(reading).__name__}"
    if over != metric.head.over:
        raise MeasurementError(f"metric {name}: its reading is over {over}, its head says {metric.head.over}")
    return reading


def _reading(name: str, metric: Metric, context: Context) -> Reading | None:
    """The reading; None if there is none, for whatever reason: the checkpoint will say which."""
    errors: tuple[type[Exception], ...] = (*_errors_of(name), Skipped, MeasurementError)
    try:
        return _measured(name, metric, context)
    except errors:
        return None


def _same(left: torch.Tensor, right: torch.Tensor) -> bool:
    """Equal, a NaN being equal to a NaN."""
    return torch.equal(torch.nan_to_num(left), torch.nan_to_num(right)) and torch.equal(
        left.isnan(), right.isnan()
    )


def _broken(readings: dict[str, Reading]) -> Problem | None:
    """Why nothing but the weights can be measured, once a weight or a logit is not finite."""
    reading = readings.get("nonfinite")
    count = int(sum(reading.values.values())) if reading else 0
    if not count:
        return None
    message = f"not scored: {count} weights or logits are not finite"
    return Problem(kind="not_finite", message=message, count=count)


def _no_answer(edit: Edit) -> EditOutcome:
    return EditOutcome(
        id=edit.id,
        prompt=edit.prompt,
        subject=edit.subject,
        target=edit.target,
        target_true=edit.target_true,
        space=bool(space_between(edit.filled, edit.target, edit.space)),
    )


def _with_reports(outcomes: Sequence[EditOutcome], reported: Reported | None) -> list[EditOutcome]:
    if reported is None:
        return list(outcomes)
    return [
        outcome.model_copy(update={"reported": dict(figures)})
        for outcome, figures in zip(outcomes, reported, strict=True)
    ]
