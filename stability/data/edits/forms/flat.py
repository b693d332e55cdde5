"""CounterFact in one level, as EasyEdit takes it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stability.data.edits.plugin.edit import Edit
from stability.data.edits.plugin.fields import first_text, identifier, spaced, template, text, texts
from stability.parts import FormHead, part


@part(
    FormHead(
        "flat",
        "CounterFact, flat, as EasyEdit takes it: prompt with the subject filled in, subject, target_new, "
        "ground_truth, rephrase_prompt, and locality_prompt if ground_truth answers it",
        fields=frozenset({"target_new"}),
        without=frozenset({"requested_rewrite", "target_new.str", "locality"}),
    )
)
def flat(entry: Mapping[str, Any], number: int) -> Edit:
    """An entry in EasyEdit's form; its locality prompt only if the old answer answers it."""
    subject = text(entry, "subject")
    true, answer = first_text(entry, "ground_truth"), first_text(entry, "locality_ground_truth")
    shares_answer = answer is None or answer in texts(entry, "ground_truth")
    return Edit(
        id=identifier(entry, "case_id", number),
        prompt=template(text(entry, "prompt"), subject, "prompt"),
        subject=subject,
        target=text(entry, "target_new").strip(),
        target_true=true.strip() if true else None,
        paraphrase_prompts=texts(entry, "rephrase_prompt"),
        neighborhood_prompts=texts(entry, "locality_prompt") if shares_answer else (),
        space=spaced(entry, target="target_new"),
    )
