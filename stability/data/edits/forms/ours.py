"""Our own form of an edit request: the fields of `Edit`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stability.data.edits.plugin.edit import Edit
from stability.data.edits.plugin.fields import FieldError, identifier, optional_text, spaced, text, texts
from stability.parts import FormHead, part

FIELDS = (
    "id",
    "prompt",
    "subject",
    "target",
    "target_true",
    "paraphrase_prompts",
    "neighborhood_prompts",
    "space",
)


@part(
    FormHead(
        "ours",
        "prompt with {}, subject, target, and if there are any id, target_true, paraphrase_prompts, "
        "neighborhood_prompts, and space: whether one stands between prompt and target",
        fields=frozenset({"prompt", "subject", "target"}),
        without=frozenset({"requested_rewrite", "target_new", "alt"}),
    )
)
def ours(entry: Mapping[str, Any], number: int) -> Edit:
    """An entry in our form; a field that it does not have is an error."""
    if unknown := sorted(entry.keys() - set(FIELDS)):
        raise FieldError(f"unknown field {unknown[0]!r}; known: {', '.join(sorted(FIELDS))}")
    true = optional_text(entry, "target_true")
    return Edit(
        id=identifier(entry, "id", number),
        prompt=text(entry, "prompt"),
        subject=text(entry, "subject"),
        target=text(entry, "target").strip(),
        target_true=None if true is None else true.strip(),
        paraphrase_prompts=texts(entry, "paraphrase_prompts"),
        neighborhood_prompts=texts(entry, "neighborhood_prompts"),
        space=spaced(entry, target="target"),
    )
