"""An edit as a request, in the two forms that the public systems take."""

from __future__ import annotations

from typing import Any

from stability.data.edits import Edit

NO_TRUTH = "<|endoftext|>"  # what kmeng01/memit gives zsRE's edits, which have no true target


def nested(edit: Edit) -> dict[str, Any]:
    """The form of ROME's authors: `{}` in the prompt, targets as `{"str": ...}`."""
    return {
        "case_id": int(edit.id) if edit.id.isdecimal() else edit.id,
        "prompt": edit.prompt,
        "subject": edit.subject,
        "target_new": {"str": edit.target},
        "target_true": {"str": edit.target_true if edit.target_true is not None else NO_TRUTH},
        "paraphrase_prompts": list(edit.paraphrase_prompts),
        "neighborhood_prompts": list(edit.neighborhood_prompts),
    }


def flat(edit: Edit) -> dict[str, Any]:
    """EasyEdit's form: the prompt filled in, targets as text, empty mappings for missing values."""
    request: dict[str, Any] = {
        "case_id": edit.id,
        "prompt": edit.filled,
        "subject": edit.subject,
        "target_new": edit.target,
        "ground_truth": edit.target_true,
        "portability": {},
        "locality": {},
    }
    if edit.target_true is not None:
        request["target_neg"] = edit.target_true  # what DPO learns to avoid
    if edit.paraphrase_prompts:
        request["rephrase_prompt"] = edit.paraphrase_prompts[0]
    if edit.neighborhood_prompts and edit.target_true is not None:
        truths = [edit.target_true] * len(edit.neighborhood_prompts)
        request["locality"] = {
            "neighborhood": {"prompt": list(edit.neighborhood_prompts), "ground_truth": truths}
        }
        from stability.models import statement

        first = edit.neighborhood_prompts[0]
        request["loc_prompt"] = statement(first, edit.target_true, edit.space)  # what WISE trains on
    return request
