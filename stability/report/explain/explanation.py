"""What an explanation consists of."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Remedy:
    """Something to try.

    `command` runs it, where a command does and the program takes it for this editor; else it is empty.
    `effect` is what the record itself shows of it, where it holds a run of it; else it is empty.
    """

    words: str
    command: str = ""
    effect: str = ""


@dataclass(frozen=True)
class Explanation:
    """What a verdict means, in two sentences at most, what the literature saw of it, and what to try.

    `seen` names its source; it is empty where the literature says nothing. The best remedy stands first.
    """

    meaning: str
    seen: str = ""
    remedies: tuple[Remedy, ...] = ()
