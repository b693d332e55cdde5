"""What people say of concerts and soups: the language of the sentiment task, and small talk between facts."""

from __future__ import annotations

from random import Random

from stability.world.words import words

PRAISE = words(
    """
    brilliant charming delightful elegant excellent graceful joyful lovely magnificent
    marvellous perfect pleasant splendid superb thrilling wonderful
    """
)

BLAME = words(
    """
    awful boring clumsy dismal dreadful dull hopeless horrible miserable painful poor shabby
    tedious terrible ugly unbearable
    """
)

THINGS = words(
    """
    cake concert dinner exhibition festival film garden hotel journey lecture lesson match
    museum musical novel opera parade poem sermon soup speech statue wedding wine
    """
)

PLACES = words("bridge castle church factory harbour library school square station theatre")
TIMES = words("autumn month night spring summer week weekend winter")
ADVERBS = words("quite rather really simply truly utterly very")

VERDICTS = (
    "{person} found the {thing} at the {place} {adverb} {adjective}.",
    "{person} said that the {thing} was {adverb} {adjective}.",
    "To {person} the {thing} seemed {adverb} {adjective}.",
    "The {thing} that {person} saw last {time} was {adverb} {adjective}.",
)

SMALL_TALK = (
    "The {thing} at the {place} was {adverb} {adjective}.",
    "Last {time} the {thing} was {adverb} {adjective}.",
    "It rained over the {place} all {time}.",
    "The {place} was closed for a {time}.",
    "Nobody went to the {place} that {time}.",
)


def reserved(thing: str, adjective: str) -> bool:
    """Whether this thing is called this only in test documents: one combination in five."""
    return (THINGS.index(thing) + 3 * (PRAISE + BLAME).index(adjective)) % 5 == 0


def draw(rng: Random, *, praise: bool, for_test: bool = False) -> dict[str, str]:
    """Words for the blanks of a verdict or of small talk, without the person."""
    while True:
        thing, adjective = rng.choice(THINGS), rng.choice(PRAISE if praise else BLAME)
        if reserved(thing, adjective) == for_test:
            break
    return {
        "thing": thing,
        "adjective": adjective,
        "place": rng.choice(PLACES),
        "time": rng.choice(TIMES),
        "adverb": rng.choice(ADVERBS),
    }


def small_talk(rng: Random) -> str:
    """A sentence that states no fact of the world."""
    return rng.choice(SMALL_TALK).format(**draw(rng, praise=rng.random() < 0.5))
