"""CounterFact as published with ROME."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stability.data.edits.plugin.edit import Edit
from stability.data.edits.plugin.fields import identifier, spaced, text, texts
from stability.parts import FormHead, part


@part(
    FormHead(
        "counterfact",
        "CounterFact as published with ROME: requested_rewrite with prompt, subject, target_new and "
        "target_true, paraphrase_prompts, neighborhood_prompts",
        fields=frozenset({"requested_rewrite"}),
    )
)
def counterfact(entry: Mapping[str, Any], number: int) -> Edit:
    """An entry of CounterFact."""
    return Edit(
        id=identifier(entry, "case_id", number),
        prompt=text(entry, "requested_rewrite.prompt"),
        subject=text(entry, "requested_rewrite.subject"),
        target=text(entry, "requested_rewrite.target_new.str").strip(),
        target_true=text(entry, "requested_rewrite.target_true.str").strip(),
        paraphrase_prompts=texts(entry, "paraphrase_prompts"),
        neighborhood_prompts=texts(entry, "neighborhood_prompts"),
        space=spaced(entry, otherwise=True),
    )
