"""The published forms of an edit request, each read into an `Edit`.

- ours: id, prompt with {}, subject, target, target_true, paraphrase_prompts, neighborhood_prompts
- CounterFact as published with ROME: requested_rewrite{prompt with {}, subject, target_new, target_true}
- CounterFact, flat, as EasyEdit takes it: prompt with the subject filled in, target_new, ground_truth,
  rephrase_prompt, locality_prompt
- zsRE as published with MEND: src, subject, alt, rephrase (an edit has no true target to compare with)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stability.data.edits.edit import Edit
from stability.errors import DataError

OURS = {"id", "prompt", "subject", "target", "target_true", "paraphrase_prompts", "neighborhood_prompts"}


def parse_edit(entry: Any, number: int) -> Edit:
    """Read one entry, whatever its form.

    Raises:
        DataError: it has none of the forms, or a field of the wrong kind.
    """
    if not isinstance(entry, Mapping):
        raise DataError(f"edit {number} is a {type(entry).__name__}, not a mapping of fields")
    try:
        if "requested_rewrite" in entry:
            return _counterfact(entry, number)
        if "target_new" in entry:
            return _flat(entry, number)
        if "src" in entry and "alt" in entry:
            return _zsre(entry, number)
        if {"prompt", "subject", "target"} <= entry.keys():
            return _ours(entry, number)
    except (KeyError, TypeError) as error:
        raise DataError(f"edit {number}: a field is missing or of the wrong kind: {error}") from error
    raise DataError(
        f"edit {number} has the fields {', '.join(sorted(map(str, entry)))}; expected prompt, subject "
        "and target, or the fields of CounterFact or zsRE as published"
    )


def _template(filled: str, subject: str, name: str) -> str:
    """The prompt with its subject taken out."""
    if subject not in filled:
        raise DataError(f"edit {name}: the subject {subject!r} does not occur in the prompt {filled!r}")
    return filled.replace(subject, "{}", 1)


def _words(value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        return (value,)
    return tuple(str(item) for item in value or ())


def _ours(entry: Mapping[str, Any], number: int) -> Edit:
    if unknown := entry.keys() - OURS:
        raise DataError(
            f"edit {number}: unknown field {sorted(unknown)[0]!r}; known: {', '.join(sorted(OURS))}"
        )
    true = entry.get("target_true")
    return Edit(
        id=str(entry.get("id", number)),
        prompt=str(entry["prompt"]),
        subject=str(entry["subject"]),
        target=str(entry["target"]).strip(),
        target_true=None if true is None else str(true).strip(),
        paraphrase_prompts=_words(entry.get("paraphrase_prompts")),
        neighborhood_prompts=_words(entry.get("neighborhood_prompts")),
    )


def _counterfact(entry: Mapping[str, Any], number: int) -> Edit:
    rewrite = entry["requested_rewrite"]
    return Edit(
        id=str(entry.get("case_id", number)),
        prompt=rewrite["prompt"],
        subject=rewrite["subject"],
        target=rewrite["target_new"]["str"].strip(),
        target_true=rewrite["target_true"]["str"].strip(),
        paraphrase_prompts=_words(entry.get("paraphrase_prompts")),
        neighborhood_prompts=_words(entry.get("neighborhood_prompts")),
    )


def _flat(entry: Mapping[str, Any], number: int) -> Edit:
    name = str(entry.get("case_id", number))
    true = entry.get("ground_truth")
    return Edit(
        id=name,
        prompt=_template(entry["prompt"], entry["subject"], name),
        subject=entry["subject"],
        target=entry["target_new"].strip(),
        target_true=true.strip() if true else None,
        paraphrase_prompts=_words(entry.get("rephrase_prompt")),
        neighborhood_prompts=_words(entry.get("locality_prompt")),
    )


def _zsre(entry: Mapping[str, Any], number: int) -> Edit:
    return Edit(
        id=str(entry.get("case_id", number)),
        prompt=_template(entry["src"], entry["subject"], str(number)),
        subject=entry["subject"],
        target=entry["alt"].strip(),
        paraphrase_prompts=_words(entry.get("rephrase")),
    )
