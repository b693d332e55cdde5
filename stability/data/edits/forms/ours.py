"""Our own form of an edit request: the fields of `Edit`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stability.data.edits.plugin.edit import Edit
from stability.data.edits.steps.fields import texts
from stability.errors import DataError
from stability.parts import FormHead, part

FIELDS = ("id", "prompt", "subject", "target", "target_true", "paraphrase_prompts", "neighborhood_prompts")


@part(
    FormHead(
        "ours",
        "prompt with {}, subject, target, and if there are any id, target_true, paraphrase_prompts, "
        "neighborhood_prompts",
        fields=frozenset({"prompt", "subject", "target"}),
        without=frozenset({"requested_rewrite", "target_new", "alt"}),
    )
)
def ours(entry: Mapping[str, Any], number: int) -> Edit:
    """An entry in our form; a field that it does not have is an error."""
    if unknown := sorted(entry.keys() - set(FIELDS)):
        raise DataError(f"edit {number}: unknown field {unknown[0]!r}; known: {', '.join(sorted(FIELDS))}")
    true = entry.get("target_true")
    return Edit(
        id=str(entry.get("id", number)),
        prompt=str(entry["prompt"]),
        subject=str(entry["subject"]),
        target=str(entry["target"]).strip(),
        target_true=None if true is None else str(true).strip(),
        paraphrase_prompts=texts(entry.get("paraphrase_prompts")),
        neighborhood_prompts=texts(entry.get("neighborhood_prompts")),
    )
