"""The text of the world: what the model is trained on, and what it is measured on.

A document is a string of a few sentences: facts through their taught templates, some behind an opener, and
small talk. Training text also holds the tasks' items, each a document of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from random import Random

from stability.world.exam import training_items
from stability.world.facts import Fact, World
from stability.world.opinions import small_talk

OPENERS = (
    "As everyone knows,",
    "Believe it or not,",
    "By the way,",
    "To this day,",
    "In fact,",
    "It is said that",
    "Of course,",
    "The letter says that",
)
OPENED = 0.3
SMALL_TALK = 0.2
TASK_DOCUMENTS = 0.66


def fact_sentence(rng: Random, fact: Fact) -> str:
    """The fact through one of its taught templates, at times behind an opener."""
    template = rng.choice(fact.taught)
    if rng.random() < OPENED:
        if not template.startswith("{}"):
            template = template[0].lower() + template[1:]
        template = f"{rng.choice(OPENERS)} {template}"
    return fact.sentence(template)


def document(rng: Random, facts: Sequence[Fact], sentences: int) -> str:
    """So many sentences about these facts, with small talk between them."""
    return " ".join(
        small_talk(rng) if rng.random() < SMALL_TALK else fact_sentence(rng, rng.choice(facts))
        for _ in range(sentences)
    )


def training_documents(
    world: World,
    seed: int | str = 0,
    subjects: Sequence[str] | None = None,
    task_documents: float = TASK_DOCUMENTS,
) -> Iterator[str]:
    """Training text without end, about all subjects or only these.

    Of the documents a share of `task_documents` (about a third of the tokens at the default) are items of the
    four tasks, about those subjects alone that may be edited.
    """
    rng = Random(f"training-{seed}")
    chosen = tuple(subjects) if subjects is not None else world.subjects
    facts = world.facts_about(chosen)
    examined = set(world.examined)
    items = training_items(rng, world, tuple(subject for subject in chosen if subject not in examined))
    while True:
        if rng.random() < task_documents:
            yield next(items).text
        else:
            yield document(rng, facts, rng.randint(2, 10))


def heldout_documents(world: World, count: int = 320, seed: int = 0) -> list[str]:
    """Documents that training does not hold, for activations, probes, perplexity and KL divergence.

    They speak of the examined subjects only, so that what an edit of an editable subject rightly changes does
    not occur in them. 320 documents are about 21,800 tokens; none is longer than the model's context.
    """
    rng = Random(f"heldout-{seed}")
    facts = world.facts_about(world.examined)
    return [document(rng, facts, rng.randint(6, 8)) for _ in range(count)]


def covariance_documents(world: World, count: int = 2000, seed: int = 1) -> list[str]:
    """Text like that of training, for the second moments of keys that ROME and its kin need."""
    return list(islice(training_documents(world, f"covariance-{seed}"), count))


def fact_documents(world: World, count: int, seed: int = 0) -> list[str]:
    """Documents about all subjects of a world, without the tasks' items: news, if it is another world."""
    return list(islice(training_documents(world, f"facts-{seed}", task_documents=0.0), count))
