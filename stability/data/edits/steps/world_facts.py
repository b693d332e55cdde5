"""Edits of the built-in world: another object for a fact that the built-in model knows."""

from __future__ import annotations

from random import Random

from stability.data.edits.plugin.edit import Edit
from stability.world import build_world

NEIGHBORS = 10


def world_edits(seed: int, *, examined: bool = False) -> tuple[Edit, ...]:
    """Every editable subject once, in a random order, then once more in another relation, and so on.

    With `examined` the same for the examined subjects: not for a run, which is judged by what becomes of
    them, but for editors that learn from examples before it.

    The neighbors are examined subjects, which no edit touches: what they lose is damage. The paraphrases are
    the relation's other phrasings, those withheld from training among them.
    """
    world = build_world()
    rng = Random(f"world-edits-{seed}")
    untouched = set(world.examined)
    chosen = world.examined if examined else world.editable
    by_subject = {subject: list(world.facts_about((subject,))) for subject in chosen}
    for facts in by_subject.values():
        rng.shuffle(facts)
    edits: list[Edit] = []
    for turn in range(min(len(facts) for facts in by_subject.values())):
        subjects = list(chosen)
        rng.shuffle(subjects)
        for subject in subjects:
            fact = by_subject[subject][turn]
            neighbors = [other for other in world.neighbours(fact) if other.subject in untouched]
            edits.append(
                Edit(
                    id=f"{subject} / {fact.relation.name}",
                    prompt=fact.template,
                    subject=subject,
                    target=rng.choice(fact.other_objects),
                    target_true=fact.object,
                    paraphrase_prompts=tuple(
                        fact.prompt(template) for template in fact.templates if template != fact.template
                    ),
                    neighborhood_prompts=tuple(
                        other.prompt(other.template) for other in neighbors[:NEIGHBORS]
                    ),
                )
            )
    return tuple(edits)
