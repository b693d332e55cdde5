"""The people of the world: a first name that others share, and a last name that is unique."""

from __future__ import annotations

from random import Random

from stability.world.words import words

FIRST_NAMES = words(
    """
    Ada Alan Alice Anna Arthur Bertha Carl Clara Daniel David Edith Edward Ellen Emil Emma Eric
    Felix Frances Frank George Grace Hannah Harold Helen Henry Hugo Ida Irene Ivan Jane Julia
    Karin Laura Leo Louise Lucas Maria Martin Nora Oscar Paul Peter Ruth Samuel Stella Thomas
    Vera Walter
    """
)

STEMS = words(
    """
    Al Ash Bel Bran Cald Cor Dan Dray Er Fal Fen Gar Hal Ith Jor Kel Lor Mar Nor Or Pel Quin Ros
    Sal Tor Ul Var Wes Yor Zel
    """
)

ENDINGS = words("berg dale ford gate ham land ley man mere mont ridge sen stone ton wick wood")


def last_names() -> tuple[str, ...]:
    """Every last name, each unique: the last word of a name alone says who is meant."""
    return tuple(stem + ending for stem in STEMS for ending in ENDINGS)


def people(rng: Random, count: int) -> tuple[str, ...]:
    """`count` names "First Lastname" in random order, last names unique.

    Raises `ValueError` when the world is asked to hold more people than it has last names.
    """
    return tuple(f"{rng.choice(FIRST_NAMES)} {last}" for last in rng.sample(last_names(), count))
