"""CounterFact in one level, as EasyEdit takes it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stability.data.edits.plugin.edit import Edit
from stability.data.edits.steps.fields import template, texts
from stability.parts import FormHead, part


@part(
    FormHead(
        "flat",
        "CounterFact, flat, as EasyEdit takes it: prompt with the subject filled in, subject, target_new, "
        "ground_truth, rephrase_prompt, locality_prompt",
        fields=frozenset({"target_new"}),
        without=frozenset({"requested_rewrite"}),
    )
)
def flat(entry: Mapping[str, Any], number: int) -> Edit:
    """An entry in EasyEdit's form."""
    name = str(entry.get("case_id", number))
    true = entry.get("ground_truth")
    return Edit(
        id=name,
        prompt=template(entry["prompt"], entry["subject"], name),
        subject=entry["subject"],
        target=entry["target_new"].strip(),
        target_true=true.strip() if true else None,
        paraphrase_prompts=texts(entry.get("rephrase_prompt")),
        neighborhood_prompts=texts(entry.get("locality_prompt")),
    )
