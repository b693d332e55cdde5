"""KnowEdit's ZsRE, WikiData-recent and WikiData-counterfact."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from stability.data.edits.plugin.edit import Edit
from stability.data.edits.plugin.fields import (
    FieldError,
    first_text,
    identifier,
    kind,
    nested_texts,
    shown,
    spaced,
    template,
    text,
    texts,
)
from stability.parts import FormHead, part


@part(
    FormHead(
        "knowedit",
        "KnowEdit's ZsRE, WikiData-recent and WikiData-counterfact: prompt with the subject filled in, "
        "subject, target_new, ground_truth, rephrase_prompt, and of locality the prompts that ground_truth "
        "answers",
        fields=frozenset({"target_new", "locality"}),
        without=frozenset({"requested_rewrite", "target_new.str"}),
    )
)
def knowedit(entry: Mapping[str, Any], number: int) -> Edit:
    """An entry of KnowEdit; of several true answers, which are names of one thing, the first."""
    subject = text(entry, "subject")
    true = first_text(entry, "ground_truth")
    return Edit(
        id=identifier(entry, "case_id", number),
        prompt=template(text(entry, "prompt"), subject, "prompt"),
        subject=subject,
        target=text(entry, "target_new").strip(),
        target_true=None if true is None else true.strip(),
        paraphrase_prompts=texts(entry, "rephrase_prompt"),
        neighborhood_prompts=tuple(_neighborhood(entry)),
        space=spaced(entry, target="target_new"),
    )


def _neighborhood(entry: Mapping[str, Any]) -> Iterator[str]:
    """Prompts of locality with the edit's true answer: another's would be scored against the wrong one."""
    true = set(texts(entry, "ground_truth"))
    groups = entry["locality"]
    if groups is None:
        return
    if not isinstance(groups, Mapping):
        raise FieldError(f"locality: expected an object, got {kind(groups)}")
    for name, questions in groups.items():
        field = f"locality.{shown(name)}"
        if questions is not None and not isinstance(questions, list):
            raise FieldError(f"{field}: expected a list, got {kind(questions)}")
        for place, question in enumerate(questions or ()):
            if not isinstance(question, Mapping):
                raise FieldError(f"{field}[{place}]: expected an object, got {kind(question)}")
            answers = nested_texts(question.get("ground_truth", []), f"{field}[{place}].ground_truth")
            if true & set(answers):
                yield from nested_texts(question.get("prompt"), f"{field}[{place}].prompt")
