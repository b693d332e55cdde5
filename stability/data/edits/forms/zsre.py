"""zsRE as published with MEND."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stability.data.edits.plugin.edit import Edit
from stability.data.edits.steps.fields import template, texts
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
    if entry["alt"] == "":
        return None
    return Edit(
        id=str(entry.get("case_id", number)),
        prompt=template(entry["src"], entry["subject"], str(number)),
        subject=entry["subject"],
        target=entry["alt"].strip(),
        paraphrase_prompts=texts(entry.get("rephrase")),
    )
