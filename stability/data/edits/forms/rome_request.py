"""A request as ROME's and MEMIT's code takes it: the inside of CounterFact's `requested_rewrite`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stability.data.edits.plugin.edit import Edit
from stability.data.edits.plugin.fields import identifier, optional_text, spaced, template, text
from stability.parts import FormHead, part


@part(
    FormHead(
        "rome_request",
        "a request as ROME's and MEMIT's code takes it: prompt with {}, subject, target_new with str, and if "
        "there is one target_true with str",
        fields=frozenset({"prompt", "subject", "target_new.str"}),
        without=frozenset({"requested_rewrite"}),
    )
)
def rome_request(entry: Mapping[str, Any], number: int) -> Edit:
    """A request of ROME's."""
    subject = text(entry, "subject")
    true = optional_text(entry, "target_true.str")
    return Edit(
        id=identifier(entry, "case_id", number),
        prompt=template(text(entry, "prompt"), subject, "prompt"),
        subject=subject,
        target=text(entry, "target_new.str").strip(),
        target_true=None if true is None else true.strip(),
        space=spaced(entry, otherwise=True),
    )
