"""CounterFact as published with ROME."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stability.data.edits.plugin.edit import Edit
from stability.data.edits.steps.fields import texts
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
    rewrite = entry["requested_rewrite"]
    return Edit(
        id=str(entry.get("case_id", number)),
        prompt=rewrite["prompt"],
        subject=rewrite["subject"],
        target=rewrite["target_new"]["str"].strip(),
        target_true=rewrite["target_true"]["str"].strip(),
        paraphrase_prompts=texts(entry.get("paraphrase_prompts")),
        neighborhood_prompts=texts(entry.get("neighborhood_prompts")),
    )
