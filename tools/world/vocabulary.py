"""Every word that the world's texts can hold."""

from __future__ import annotations

import re

from stability.world import exam, names, opinions, text
from stability.world.relations import RELATIONS

UNKNOWN, END, PADDING = "<unk>", "<eos>", "<pad>"
SPECIAL = (UNKNOWN, END, PADDING)


def words() -> list[str]:
    """The vocabulary, sorted, without the special tokens."""
    phrases = [*names.FIRST_NAMES, *names.last_names()]
    for relation in RELATIONS:
        phrases += [*relation.templates, *relation.questions, *relation.objects]
        phrases += [template[0].lower() + template[1:] for template in relation.templates]
    for group in (opinions.PRAISE, opinions.BLAME, opinions.THINGS, opinions.PLACES, opinions.TIMES):
        phrases += group
    phrases += [*opinions.ADVERBS, *opinions.VERDICTS, *opinions.SMALL_TALK, *text.OPENERS]
    phrases += [*exam.YES_NO, *exam.SENTIMENTS, exam.FORMS]
    blank = re.compile(r"\{\w*\}")
    return sorted({word for phrase in phrases for word in re.findall(r"\w+|[^\w\s]", blank.sub(" ", phrase))})


def name_words() -> frozenset[str]:
    """The words of people's names, which stand for nothing else."""
    return frozenset((*names.FIRST_NAMES, *names.last_names()))


def answer_words() -> frozenset[str]:
    """The words that answer something: every object and every task's choices."""
    objects = [obj for relation in RELATIONS for obj in relation.objects]
    return frozenset((*objects, *exam.YES_NO, *exam.SENTIMENTS))
