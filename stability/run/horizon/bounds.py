"""Where a suite stops holding, and between which numbers of edits its tests for noise show that."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from stability.run.horizon.point import Answer

Predicate = Callable[[Answer], bool]


@dataclass(frozen=True)
class HorizonBounds:
    """The horizon as estimated, `held`, and as shown: at least `shown`, and below `fails`.

    At `failed`, the number after `held`, some value is past its bound. `failed` and `fails` are None if there
    is no such number. Without tests for noise `shown` is `held`, and `fails` is `failed`.
    """

    shown: int
    held: int
    failed: int | None
    fails: int | None


class Search:
    """Asks a suite at one number of edits after another.

    `ask` is given a number of edits and what it is asked for; it answers None if the editor cannot come so
    far. `stops` are the numbers at which it can be asked, rising, after 0, where the suite holds.
    """

    def __init__(self, ask: Callable[[int, Predicate], Answer | None], stops: Sequence[int]) -> None:
        self._ask = ask
        self._stops = (0, *stops)
        self.answers: dict[int, Answer | None] = {}

    def bisect(self, first: Sequence[int]) -> HorizonBounds:
        """Ask at the numbers `first`, then halve the gap, for what is shown, for what holds, for what fails.

        They rise in this order, so each is looked for above the one before.
        """
        shown, _ = self._boundary(lambda answer: answer.is_shown_to_hold, 0, first)
        held, failed = self._boundary(lambda answer: answer.holds, shown, first)
        _, fails = self._boundary(lambda answer: answer.does_not_fail, held, first)
        return HorizonBounds(shown, held, failed, fails)

    def every(self) -> HorizonBounds:
        """Ask at every number until one is shown to fail; estimate where the values pass their bounds.

        That is where the fewest of them are on the wrong side.
        """
        asked, shown, fails = [0], 0, None
        for stop in self._stops[1:]:
            if shown == asked[-1] and self._is(lambda answer: answer.is_shown_to_hold, stop):
                shown = stop
            asked.append(stop)
            if not self._is(lambda answer: answer.does_not_fail, stop):
                fails = stop
                break
        holds = [self._is(lambda answer: answer.holds, stop) for stop in asked]
        wrong = [holds[: at + 1].count(False) + holds[at + 1 :].count(True) for at in range(len(asked))]
        at = wrong.index(min(wrong))
        return HorizonBounds(shown, asked[at], asked[at + 1] if at + 1 < len(asked) else None, fails)

    def _boundary(self, predicate: Predicate, low: int, first: Sequence[int]) -> tuple[int, int | None]:
        """Two neighbouring stops, of which the first is so and the second is not; None if all are so."""
        held, failed = low, None
        for stop in first:
            if stop > low and not self._is(predicate, stop):
                failed = stop
                break
            held = max(held, stop)
        if failed is None:
            return held, None
        failed = min(stop for stop in self.answers if stop > held and not self._is(predicate, stop))
        held = max((stop for stop in self.answers if held < stop < failed), default=held)
        left, right = self._stops.index(held), self._stops.index(failed)
        while right - left > 1:
            middle = (left + right) // 2
            if self._is(predicate, self._stops[middle]):
                left = middle
            else:
                right = middle
        return self._stops[left], self._stops[right]

    def _is(self, predicate: Predicate, stop: int) -> bool:
        if stop == 0:
            return True
        if stop not in self.answers:
            self.answers[stop] = self._ask(stop, predicate)
        answer = self.answers[stop]
        return answer is not None and predicate(answer)
