"""Keys as a tracker may have them: every one allowed, and no two the same."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stability.trackers.steps.series import Key


def spelled(
    keys: Iterable[Key], forbidden: re.Pattern[str], longest: int, joint: str = "/", filler: str = "_"
) -> dict[Key, str]:
    """A name for each key: its words, joined.

    What `forbidden` matches in a word becomes `filler`, as does a word that is empty or dots alone, which a
    path cannot have. A name is cut to `longest` characters; one that is taken already, whatever its case,
    ends in a number of its own.
    """
    names: dict[Key, str] = {}
    taken: set[str] = set()
    for key in keys:
        whole = joint.join(forbidden.sub(filler, word).strip(" .") or filler for word in key)
        name, number = _cut(whole, longest), 1
        while name.casefold() in taken:
            number += 1
            ending = f"_{number}"
            name = _cut(whole, longest - len(ending)) + ending
        taken.add(name.casefold())
        names[key] = name
    return names


def _cut(name: str, longest: int) -> str:
    """At most that many characters, the last of which may end a path."""
    return name[:longest].rstrip("/ .")


def flattened(content: Mapping[str, Any], before: Key = ()) -> dict[Key, Any]:
    """The leaves of nested mappings, by the words that lead to them; an empty mapping is a leaf."""
    leaves: dict[Key, Any] = {}
    for word, value in content.items():
        if isinstance(value, Mapping) and value:
            leaves |= flattened(value, (*before, word))
        else:
            leaves[*before, word] = value
    return leaves
