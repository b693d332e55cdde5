"""The facts of the world: who has which relation to what, drawn from a seed."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from random import Random

from stability.world.names import people
from stability.world.relations import RELATIONS, Relation

SUBJECTS = 480
EXAMINED = 160
WITHHELD_SHARE = 0.25
WITHHELD_TEMPLATES = 2


@dataclass(frozen=True)
class Fact:
    """One fact: `object` follows any of the templates, filled with `subject`, after a space.

    `withheld` are the templates that training never joins with this subject in this relation: empty for most
    facts, two for a fixed share of them. What the model says there is recall through a paraphrase.
    """

    subject: str
    relation: Relation
    object: str
    withheld: tuple[str, ...] = ()

    @property
    def template(self) -> str:
        """The relation's first template, which is never withheld: the prompt of an edit."""
        return self.relation.templates[0]

    @property
    def templates(self) -> tuple[str, ...]:
        """Every template of the relation."""
        return self.relation.templates

    @property
    def taught(self) -> tuple[str, ...]:
        """The templates through which training states this fact."""
        return tuple(template for template in self.relation.templates if template not in self.withheld)

    @property
    def other_objects(self) -> tuple[str, ...]:
        """The relation's objects without this fact's own: what an edit may put in its place."""
        return tuple(other for other in self.relation.objects if other != self.object)

    def prompt(self, template: str) -> str:
        """`template` with the subject filled in; the object follows after a space."""
        return template.replace("{}", self.subject)

    def sentence(self, template: str) -> str:
        """The fact, stated through `template`."""
        return f"{self.prompt(template)} {self.object}."


@dataclass(frozen=True)
class World:
    """Everything that is true.

    The subjects fall into two parts. The tasks' test documents and the held-out text speak of the `examined`
    only, so that no edit of an `editable` subject makes one of their right answers wrong: what drops there is
    damage.
    """

    facts: tuple[Fact, ...]
    editable: tuple[str, ...]
    examined: tuple[str, ...]

    @property
    def subjects(self) -> tuple[str, ...]:
        """All subjects, the editable ones first."""
        return self.editable + self.examined

    @cached_property
    def _by_name(self) -> dict[tuple[str, str], Fact]:
        return {(fact.subject, fact.relation.name): fact for fact in self.facts}

    @cached_property
    def _sharing(self) -> dict[tuple[str, str], tuple[Fact, ...]]:
        sharing: dict[tuple[str, str], tuple[Fact, ...]] = {}
        for fact in self.facts:
            key = (fact.relation.name, fact.object)
            sharing[key] = (*sharing.get(key, ()), fact)
        return sharing

    def fact(self, subject: str, relation: str) -> Fact:
        """The fact about `subject` in the relation of that name; `KeyError` if there is none."""
        return self._by_name[subject, relation]

    def facts_about(self, subjects: tuple[str, ...]) -> tuple[Fact, ...]:
        """The facts about these subjects, subject by subject."""
        return tuple(self.fact(subject, relation.name) for subject in subjects for relation in RELATIONS)

    def neighbours(self, fact: Fact) -> tuple[Fact, ...]:
        """The facts of other subjects that share this fact's object in its relation."""
        sharing = self._sharing[fact.relation.name, fact.object]
        return tuple(other for other in sharing if other.subject != fact.subject)


def build_world(seed: int = 0) -> World:
    """The world of a seed; the shipped model knows that of seed 0.

    Within a relation every object belongs to equally many subjects.
    """
    rng = Random(f"world-{seed}")
    subjects = people(rng, SUBJECTS)
    facts: list[Fact] = []
    for relation in RELATIONS:
        objects = list(relation.objects) * (SUBJECTS // len(relation.objects))
        rng.shuffle(objects)
        paraphrased = set(rng.sample(subjects, int(SUBJECTS * WITHHELD_SHARE)))
        for subject, obj in zip(subjects, objects, strict=True):
            withheld = (
                rng.sample(relation.templates[1:], WITHHELD_TEMPLATES) if subject in paraphrased else ()
            )
            facts.append(Fact(subject, relation, obj, tuple(withheld)))
    return World(tuple(facts), editable=subjects[:-EXAMINED], examined=subjects[-EXAMINED:])
