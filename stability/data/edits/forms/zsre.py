"""zsRE as published with MEND."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stability.data.edits.plugin.edit import Edit
from stability.data.edits.plugin.fields import identifier, spaced, template, text, texts
from stability.parts import FormHead, part


@part(
    FormHead(
        "zsre",
        "zsRE as published with MEND: src, subject, alt, rephrase; there is no true target to compare with",
        fields=frozenset({"src", "alt"}),
        without=frozenset({"requested_rewrite", "target_new"}),
    )
)
def zsre(entry: Mapping[str, Any], number: int) -> Edit | None:
    """An entry of zsRE; None where its target is empty, as some are."""
    target, subject = text(entry, "alt").strip(), text(entry, "subject")
    if not target:
        return None
    return Edit(
        id=identifier(entry, "case_id", number),
        prompt=template(text(entry, "src"), subject, "src"),
        subject=subject,
        target=target,
        paraphrase_prompts=texts(entry, "rephrase"),
        space=spaced(entry, otherwise=True),
    )
