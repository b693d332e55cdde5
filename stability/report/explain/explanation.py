"""The parts of an explanation."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Remedy:
    """Something to try.

    `command` runs it; empty if there is no command, or none that the program accepts for this editor.
    `effect` is what the record itself shows about it; empty if the record has no run of it.
    """

    words: str
    command: str = ""
    effect: str = ""


@dataclass(frozen=True)
class Explanation:
    """What a verdict means, in two sentences at most, what the literature reports, and what to try.

    `seen` names its source; it is empty if the literature has nothing on it. The best remedy comes first.
    """

    meaning: str
    seen: str = ""
    remedies: tuple[Remedy, ...] = ()
