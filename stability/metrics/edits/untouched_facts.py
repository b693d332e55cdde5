"""Damage as such: whether facts that the unedited model knows, and that nobody edits, still hold."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stability.metrics.plugin.metric import Context, Fitted, Metric, Skipped
from stability.parts import MetricHead
from stability.record import Reading, Sample

if TYPE_CHECKING:
    from stability.data.edits import Edit


class UntouchedFacts(Metric):
    """The share of known facts, of subjects that no edit is about, whose true target is still said.

    A fact is known, and still said, if every token of `target_true` is the argmax, teacher-forced. The facts
    are the first `untouched.count` of the edits' own source, in the order of the first seed, that the
    unedited model knows. Left out is every fact whose subject an edit of the run has, at any seed.
    """

    head = MetricHead(
        "untouched_facts",
        "share of the facts the unedited model knows, edited by nobody, that still hold",
        over="scalar",
        cost="on request",
        unedited=1.0,
    )

    depends_on = ("edits",)

    def __init__(self) -> None:
        self._places: list[int] = []
        self._facts: list[Edit] = []

    def fit(self, context: Context) -> None:
        """Choose the facts."""
        from stability.metrics.scoring.known import known_first

        free = _free(context)
        count = context.suite.untouched.count
        self._places = known_first(context.model, context.tokenizer, free, count)
        self._facts = [free[place] for place in self._places]

    def fitted(self) -> Fitted:
        """Which facts were chosen."""
        return Fitted({"places": self._places})

    def load_fitted(self, context: Context, fitted: Fitted) -> bool:
        """Take over the choice."""
        free, places = _free(context), fitted.values["places"]
        if any(place >= len(free) for place in places):
            return False
        self._places, self._facts = places, [free[place] for place in places]
        return True

    def measure(self, context: Context) -> Reading:
        """A single value between 0 and 1; skipped where the model knows no fact that is not edited."""
        from stability.metrics.scoring.known import known

        edited = {edit.subject for edit in context.edits}
        facts = [fact for fact in self._facts if fact.subject not in edited]
        if not facts:
            raise Skipped("the unedited model knows none of the facts that are not edited")
        held = sum(known(context.model, context.tokenizer, facts))
        sample = Sample.of_all(len(facts), context.suite.untouched.count, "facts")
        return self.single(held / len(facts), sample=sample)


def _free(context: Context) -> list[Edit]:
    """The facts of the edits' source of whose subjects no edit of the run is."""
    from stability.data.edits import load_stream

    run = context.suite.run
    edited = {edit.subject for edits in context.streams.values() for edit in edits}
    stream = load_stream(run.edits.model_copy(update={"count": 1}), run.seeds[0])
    return [fact for fact in stream if fact.subject not in edited]
