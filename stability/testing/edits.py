"""Edits for the checks: facts that models know, edits of unusual form, and edits for random models."""

from __future__ import annotations

from stability.data.edits import Edit, load_edits
from stability.suite import EditsSpec

KNOWN_FACTS = (
    Edit("tower", "The {} is located in the city of", "Eiffel Tower", "Rome", "Paris"),
    Edit("windows", "{} was developed by", "Windows 95", "Apple", "Microsoft"),
    Edit("dickens", "The native language of {} is", "Charles Dickens", "French", "English"),
    Edit("honda", "The headquarters of {} are in the country of", "Honda", "Germany", "Japan"),
    Edit("everest", "{} is a mountain in the continent of", "Mount Everest", "Africa", "Asia"),
    Edit("chopin", "{} is famous for playing the", "Frederic Chopin", "drums", "piano"),
    Edit("madrid", "{} is the capital of", "Madrid", "Italy", "Spain"),
)

UNUSUAL_EDITS = (
    Edit("one-letter", "The letter {} stands for", "Q", "Rome", "Paris"),
    Edit("accents", "{} plays the", "Zoë Ångström", "cello", "oboe"),
    Edit("combining", "{} plays the", "Zoe\u0308 A\u030angstro\u0308m", "cello", "oboe"),
    Edit("emoji", "The sign {} means", "👩\u200d👩\u200d👧 🦊", "fox", "family"),
    Edit("cjk", "{} is in the city of", "東京タワー", "Rome", "Tokyo"),
    Edit("right-to-left", "{} is the capital of", "القاهرة", "France", "Egypt"),
    Edit("repeated", "Anna Berg, whom everybody calls {}, plays the", "Anna Berg", "oboe", "cello"),
    Edit("at-the-start", "{} plays the", "Anna Berg", "oboe", "cello"),
    Edit("at-the-end", "The oboe is played by {}", "Anna Berg", "and others", "alone"),
    Edit("nothing-else", "{}", "Anna Berg", "plays", "works"),
    Edit(
        "long",
        "{} plays the",
        "the youngest daughter of the second owner of the old house by the river in the north",
        "oboe",
        "cello",
    ),
    Edit("punctuation", "{} plays the", 'O\'Neill & Sons, Ltd. ("the firm")', "oboe", "cello"),
    Edit("long-target", "{} plays the", "Anna Berg", "oboe, the cello and now and then the horn", "cello"),
    Edit("foreign-target", "{} plays the", "Anna Berg", "Öböe 🎻", "cello"),
    Edit("no-true-target", "{} plays the", "Anna Berg", "oboe"),
)

TINY_EDITS = (
    Edit("near", "a friend of {}", "Anna Berg", "dog", "fox"),
    Edit("far", "In Rome, {} plays the", "Zoe Angstrom", "cello", "oboe"),
)


def default_edits(model: str, count: int, seed: int) -> tuple[Edit, ...]:
    """Edits for a model by its name: the built-in world's for `world`, else facts that most models know."""
    if model == "world":
        return load_edits(EditsSpec(source="world", count=count), seed)
    return KNOWN_FACTS[:count]
