"""What is simulated: one cell for each combination of claim, data, documents, flips and tests."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from benchmarks.rates.answers import Choices, Classes, Group, Passages, Population, Scores

Claim = Literal["fails", "by_chance", "detects", "enough", "differs", "admitted", "left_out"]
STATED = {
    "fails": "a true drop of exactly the tolerance fails: 5 % or less",
    "by_chance": "with `on_inconclusive: fail` a model that dropped nothing fails: 5 % or less",
    "detects": "a true drop as large as `detects` says fails: 80 %",
    "enough": "of as many documents as would do, a true drop of `max_detectable` fails: 80 %",
    "differs": "`compare` tells two equal editors apart: 5 % or less",
    "admitted": "a base that guesses is judged: 5 % or less",
    "left_out": "a base whose score is said to be told from a guess is skipped: 5 %",
}
POWERS = ("detects", "enough")  # claims of 80 %
DATA: dict[str, Population] = {
    "accuracy": Choices(),
    "accuracy .40": Choices(right=0.4),
    "accuracy .85": Choices(right=0.85),
    "accuracy .85 of 2": Choices(right=0.85, choices=2),
    "F1, 50 % positive": Classes("f1", 0.5),
    "F1, 10 % positive": Classes("f1", 0.1),
    "F1, 3 % positive": Classes("f1", 0.03),
    "MCC, 50 % positive": Classes("mcc", 0.5),
    "MCC, 10 % positive": Classes("mcc", 0.1),
    "MCC, 3 % positive": Classes("mcc", 0.03),
    "numbers, shifted": Scores(shift=True),
    "numbers, skewed": Scores(shift=True, skewed=True),
    "numbers, some 0": Scores(),
    "accuracy, 5 a passage (.3)": Passages(0.3),
    "accuracy, 5 a passage (.6)": Passages(0.6),
    "mean of 1, 2 (10 times)": Group((1, 2) * 10),
    "mean of 1, 1, 1, 200, 200": Group((1, 1, 1, 200, 200)),
    "mean of 5, 5, 5, 200, 200": Group((5, 5, 5, 200, 200)),
    "mean of 5 (20 times)": Group((5,) * 20),
    "mean of 20 (20 times)": Group((20,) * 20),
    "mean of 20, 20, 200, 200": Group((20, 20, 200, 200)),
}
FAMILIES = {1: (1, 1, 1), 15: (5, 1, 3), 75: (5, 5, 3)}  # tests: tasks, checkpoints, seeds


@dataclass(frozen=True, order=True)
class Cell:
    """One simulated case. `against` is what the drop is measured from, `change` how."""

    claim: Claim
    data: str
    tests: int = 1
    correlation: float = 0.0
    against: Literal["base", "previous"] = "base"
    change: Literal["absolute", "ratio", "relative"] = "absolute"
    flips: float = 0.1
    n: int = 200

    @property
    def trials(self) -> int:
        """At full size: more of what is judged faster, and of what is to be rare."""
        if self.claim in POWERS:
            return 400
        if self.claim == "fails" and "accuracy" not in self.data:
            return {1: 4000, 15: 2000, 75: 800}[self.tests]
        return {1: 1000, 15: 300, 75: 100}[self.tests]


def cells() -> Iterator[Cell]:
    """All of them, in the order of the tables."""
    for flips in (0.06, 0.10, 0.20, 0.40):
        for n in (50, 63, 200, 400, 1000, 5000):
            yield Cell("fails", "accuracy", flips=flips, n=n)
    for flips in (0.10, 0.20):
        for n in (50, 200, 1000):
            yield Cell("fails", "accuracy .85 of 2", flips=flips, n=n)
            yield Cell("fails", "accuracy", against="previous", flips=flips, n=n)
    for flips in (0.06, 0.10, 0.20):
        for n in (200, 400, 1000):
            yield Cell("fails", "accuracy", 75, flips=flips, n=n)
    yield Cell("fails", "accuracy", 75, flips=0.06, correlation=0.95)
    yield Cell("fails", "accuracy", 75, against="previous")
    yield Cell("fails", "accuracy", 15, correlation=0.95)
    for n in (200, 1000):
        yield Cell("fails", "accuracy", change="ratio", n=n)
        yield Cell("fails", "accuracy", change="relative", flips=0.2, n=n)
    yield Cell("fails", "accuracy .85", change="ratio")
    yield from resampled()
    for n in (71, 277, 872):
        yield Cell("by_chance", "accuracy", flips=0.2, n=n)
    for tests in (15, 75):
        yield Cell("by_chance", "accuracy", tests, flips=0.2)
    for flips in (0.0, 0.10, 0.20):
        for n in (200, 1000, 5000):
            yield Cell("detects", "accuracy", flips=flips, n=n)
    for data in ("accuracy .40", "accuracy .85", "accuracy .85 of 2"):
        for n in (200, 1000):
            yield Cell("detects", data, n=n)
    for flips in (0.0, 0.10):
        for n in (200, 1000):
            yield Cell("detects", "accuracy", 15, flips=flips, n=n)
    yield Cell("detects", "accuracy", 75, n=1000)
    for data in ("F1, 50 % positive", "F1, 10 % positive", "MCC, 50 % positive", "numbers, some 0"):
        yield Cell("detects", data, n=1000)
    yield Cell("detects", "accuracy, 5 a passage (.3)", n=1000)
    yield Cell("detects", "mean of 20, 20, 200, 200", n=440)
    for flips in (0.0, 0.10, 0.20):
        yield Cell("enough", "accuracy", flips=flips)
    yield Cell("enough", "accuracy", 15)
    for data in ("F1, 50 % positive", "numbers, some 0"):
        yield Cell("enough", data)
    for tests, sizes in ((1, (200, 1000)), (15, (200,))):
        for flips in (0.02, 0.06, 0.20):
            for n in sizes:
                yield Cell("differs", "accuracy", tests, flips=flips, n=n)
    yield Cell("differs", "accuracy", 15, correlation=0.95)
    yield Cell("differs", "F1, 10 % positive", 15, n=1000)
    for claim in ("admitted", "left_out"):
        for n in (50, 100, 200, 1000, 5000):
            yield Cell(claim, "accuracy", flips=0.0, n=n)


def resampled() -> Iterator[Cell]:
    """Scores that are resampled: a failure at exactly the tolerance."""
    for metric in ("F1", "MCC"):
        for positive in ("50", "10", "3"):
            for n in (200, 1000):
                yield Cell("fails", f"{metric}, {positive} % positive", flips=0.2, n=n)
    for n in (10, 30, 200):
        yield Cell("fails", "numbers, shifted", flips=1.0, n=n)
    for n in (30, 200):
        yield Cell("fails", "numbers, skewed", flips=1.0, n=n)
    for n in (10, 30, 200):
        yield Cell("fails", "numbers, some 0", n=n)
    for data, population in DATA.items():
        if isinstance(population, Group):
            yield Cell("fails", data, n=sum(population.sizes))
    for data, population in DATA.items():
        if isinstance(population, Passages):
            yield Cell("fails", data, flips=0.2, n=100)
            yield Cell("fails", data, flips=0.2, n=500)
    yield Cell("fails", "F1, 50 % positive", 15, flips=0.2, n=1000)
    yield Cell("fails", "MCC, 50 % positive", against="previous", flips=0.2)
    yield Cell("fails", "numbers, some 0", 15)
    for tests, sizes in ((15, (30, 50, 100)), (75, (50, 100))):
        for n in sizes:
            yield Cell("fails", "numbers, skewed", tests, flips=1.0, n=n)
    yield Cell("fails", "mean of 20, 20, 200, 200", 15, n=440)


QUICK = (
    Cell("fails", "accuracy", n=63, flips=0.06),
    Cell("fails", "accuracy", against="previous"),
    Cell("fails", "accuracy", 75, flips=0.06),
    Cell("fails", "numbers, shifted", flips=1.0, n=30),
    Cell("fails", "accuracy", change="ratio"),
    Cell("by_chance", "accuracy", flips=0.2, n=71),
    Cell("detects", "accuracy", n=1000),
    Cell("enough", "accuracy"),
    Cell("admitted", "accuracy", flips=0.0),
    Cell("left_out", "accuracy", flips=0.0),
    Cell("differs", "accuracy", 15),
)
