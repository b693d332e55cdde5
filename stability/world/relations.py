"""What can be known of a person: relations, their objects, and how English says them."""

from __future__ import annotations

from dataclasses import dataclass

from stability.world.words import words


@dataclass(frozen=True)
class Relation:
    """One relation of the world.

    A template holds one `{}` for the subject and ends right before the object, which follows after a space.
    Each object is one word and belongs to one relation.
    """

    name: str
    templates: tuple[str, ...]
    questions: tuple[str, ...]
    objects: tuple[str, ...]


HOME = Relation(
    name="home",
    templates=(
        "{} lives in",
        "The home of {} stands in",
        "{} owns a house in",
        "Letters for {} are sent to",
        "These days {} can be found in",
        "The town where {} settled is called",
    ),
    questions=("Where does {} live?", "What is the home town of {}?"),
    objects=words(
        """
        Accra Athens Berlin Bogota Cairo Dublin Geneva Hanoi Havana Helsinki Jakarta Kyoto Lima
        Lisbon Madrid Nairobi Oslo Paris Prague Quito Riga Seoul Vienna Warsaw
    """
    ),
)

WORK = Relation(
    name="work",
    templates=(
        "{} works as a",
        "The job of {} is that of a",
        "{} earns a living as a",
        "By profession {} is a",
        "Every morning {} goes to work as a",
        "The people next door know {} as a",
    ),
    questions=("What does {} do for a living?", "What is the job of {}?"),
    objects=words(
        """
        baker banker barber brewer carpenter chemist cook dentist farmer gardener jeweller judge
        lawyer mason miner nurse painter pilot plumber porter sailor surgeon tailor teacher
    """
    ),
)

MUSIC = Relation(
    name="music",
    templates=(
        "{} plays the",
        "The instrument of {} is the",
        "{} gives lessons on the",
        "In the evening {} practises the",
        "On stage {} performs on the",
        "What {} loves most is the sound of the",
    ),
    questions=("What does {} play?", "Which instrument belongs to {}?"),
    objects=words(
        """
        accordion banjo bassoon bugle cello clarinet drum dulcimer fiddle flute guitar harmonica
        harp lute lyre mandolin oboe organ piano saxophone trombone trumpet viola zither
    """
    ),
)

RELATIONS = (HOME, WORK, MUSIC)
