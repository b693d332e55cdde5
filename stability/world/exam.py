"""The four tasks as plain questions with answers, for training and for test.

Training asks about the editable subjects only, tests about the examined ones only; sentiment tests also keep
their combinations of words to themselves. So no test document can occur in training text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random

from stability.world.facts import Fact, World
from stability.world.opinions import VERDICTS, draw
from stability.world.words import words

YES_NO = ("yes", "no")
SENTIMENTS = ("positive", "negative")
CHOICES = 4
SAME_RELATION = 0.75
FORMS = "Question: Answer: Review: Sentiment: Sentence: Acceptable: First: Second: Same:"


@dataclass(frozen=True)
class Item:
    """One document of a task: the right choice follows `prompt` after a space."""

    prompt: str
    choices: tuple[str, ...]
    label: int

    @property
    def text(self) -> str:
        """The prompt with its right answer."""
        return f"{self.prompt} {self.choices[self.label]}"


def choice(rng: Random, fact: Fact) -> Item:
    """A question about a fact, with four objects of its relation to choose from."""
    choices = [fact.object, *rng.sample(fact.other_objects, CHOICES - 1)]
    rng.shuffle(choices)
    question = rng.choice(fact.relation.questions).replace("{}", fact.subject)
    return Item(f"Question: {question} Answer:", tuple(choices), choices.index(fact.object))


def sentiment(rng: Random, person: str, *, for_test: bool = False) -> Item:
    """An opinion: is it positive or negative?"""
    praise = rng.random() < 0.5
    blanks = draw(rng, praise=praise, for_test=for_test)
    sentence = rng.choice(VERDICTS).format(person=person, **blanks)
    return Item(f"Review: {sentence} Sentiment:", SENTIMENTS, 0 if praise else 1)


def acceptability(rng: Random, fact: Fact) -> Item:
    """A true sentence, or one with its words in disorder: does it read like English?"""
    template = rng.choice(fact.taught)
    accepted = rng.random() < 0.5
    if not accepted:
        template = _spoil(rng, template)
    return Item(f"Sentence: {fact.sentence(template)} Acceptable:", YES_NO, 0 if accepted else 1)


def pair(rng: Random, facts: tuple[Fact, ...], world: World) -> tuple[Item, Item]:
    """Two items with the same first sentence: do both sentences state the same object for the same relation?

    The second sentence of a "yes" shares the object, that of a "no" does not but mostly speaks of the same
    relation; subjects always differ. As each first sentence comes with both answers, and each second one may,
    neither tells the answer alone. Raises `ValueError` when no two of the facts share an object.
    """
    among = {fact.subject for fact in facts}
    if not any(other.subject in among for fact in facts for other in world.neighbours(fact)):
        raise ValueError("no two of these subjects share an object, so no pair of sentences can")
    while True:
        first, other = rng.sample(facts, 2)
        if rng.random() < SAME_RELATION:
            other = world.fact(other.subject, first.relation.name)
        same = [fact for fact in world.neighbours(first) if fact.subject in among]
        if same and other.object != first.object and other.subject != first.subject:
            break
    opening = f"First: {_state(rng, first)} Second:"
    return (
        Item(f"{opening} {_state(rng, rng.choice(same))} Same:", YES_NO, 0),
        Item(f"{opening} {_state(rng, other)} Same:", YES_NO, 1),
    )


def training_items(rng: Random, world: World, subjects: tuple[str, ...]) -> Iterator[Item]:
    """Items without end: per question one opinion, two sentences and four pairs."""
    facts = world.facts_about(subjects)
    while True:
        yield choice(rng, rng.choice(facts))
        yield sentiment(rng, rng.choice(subjects))
        yield acceptability(rng, rng.choice(facts))
        yield acceptability(rng, rng.choice(facts))
        yield from pair(rng, facts, world)
        yield from pair(rng, facts, world)


def exam_choice(world: World, relation: str) -> list[Item]:
    """One question for each examined subject."""
    rng = Random(f"test-choice-{relation}")
    return [choice(rng, world.fact(subject, relation)) for subject in world.examined]


def exam_sentiment(world: World, count: int = 400) -> list[Item]:
    """Opinions of examined subjects, in combinations that training does not hold."""
    rng = Random("test-sentiment")
    return _distinct(count, lambda: [sentiment(rng, rng.choice(world.examined), for_test=True)])


def exam_acceptability(world: World, count: int = 400) -> list[Item]:
    """Sentences about examined subjects."""
    rng = Random("test-acceptability")
    facts = world.facts_about(world.examined)
    return _distinct(count, lambda: [acceptability(rng, rng.choice(facts))])


def exam_pair(world: World, count: int = 400) -> list[Item]:
    """Pairs of sentences about examined subjects, half of them the same."""
    rng = Random("test-pair")
    facts = world.facts_about(world.examined)
    return _distinct(count, lambda: list(pair(rng, facts, world)))


def _distinct(count: int, make: Callable[[], list[Item]]) -> list[Item]:
    items: dict[str, Item] = {}
    while len(items) < count:
        items.update((item.prompt, item) for item in make())
    return list(items.values())[:count]


def _state(rng: Random, fact: Fact) -> str:
    return fact.sentence(rng.choice(fact.taught))


def _spoil(rng: Random, template: str) -> str:
    """`template` with all words or two neighbours in another order, or a word said twice or left out."""
    sound = template.split()
    while True:
        spoilt, at = list(sound), rng.randrange(len(sound))
        kind = rng.choice(("shuffle", "swap", "swap", "twice", "out"))
        if kind == "swap" and "{}" not in sound[at : at + 2] and at + 1 < len(sound):
            spoilt[at], spoilt[at + 1] = spoilt[at + 1], spoilt[at]
        elif kind == "shuffle":
            rng.shuffle(spoilt)
        elif kind == "twice" and sound[at] != "{}":
            spoilt.insert(at, sound[at])
        elif kind == "out" and sound[at] in _NEEDED:
            del spoilt[at]
        if spoilt != sound:
            return " ".join(spoilt)


_NEEDED = frozenset(words("a as for in is of on that the to where"))
