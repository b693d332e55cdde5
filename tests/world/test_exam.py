from __future__ import annotations

from collections import Counter
from random import Random

import pytest
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline

from stability.world import World, exam
from stability.world.relations import RELATIONS


def test_examinations_are_the_same_each_time(world: World):
    assert exam.exam_choice(world, "home") == exam.exam_choice(world, "home")
    assert exam.exam_sentiment(world) == exam.exam_sentiment(world)
    assert exam.exam_acceptability(world) == exam.exam_acceptability(world)
    assert exam.exam_pair(world) == exam.exam_pair(world)


@pytest.mark.parametrize("relation", [relation.name for relation in RELATIONS])
def test_a_choice_offers_the_true_object_among_four_of_the_relation(world: World, relation: str):
    items = exam.exam_choice(world, relation)
    assert len(items) == len(world.examined)
    for item, subject in zip(items, world.examined, strict=True):
        fact = world.fact(subject, relation)
        assert item.choices[item.label] == fact.object
        assert len(set(item.choices)) == 4
        assert set(item.choices) <= set(fact.relation.objects)
    places = Counter(item.label for item in items)
    assert min(places.values()) > len(items) / 8


@pytest.mark.parametrize("task", ["sentiment", "acceptability", "pair"])
def test_examinations_are_distinct_and_balanced(world: World, task: str):
    items = getattr(exam, f"exam_{task}")(world)
    assert len({item.prompt for item in items}) == len(items) == 400
    assert 0.42 < sum(item.label for item in items) / len(items) < 0.58


def test_a_spoilt_sentence_is_no_sentence_of_the_world(world: World):
    sound = {fact.sentence(template) for fact in world.facts for template in fact.templates}
    rng = Random(0)
    for fact in world.facts:
        item = exam.acceptability(rng, fact)
        sentence = item.prompt.removeprefix("Sentence: ").removesuffix(" Acceptable:")
        assert (sentence in sound) == (item.choices[item.label] == "yes")


def test_a_pair_says_yes_when_both_objects_are_the_same(world: World):
    for item in exam.exam_pair(world):
        first, second = (part.rstrip(" .") for part in _sentences(item))
        assert (first.split()[-1] == second.split()[-1]) == (item.choices[item.label] == "yes")


def test_pairs_of_subjects_that_share_nothing_are_refused(world: World):
    with pytest.raises(ValueError, match="no two of these subjects share an object"):
        exam.pair(Random(0), world.facts[:1], world)


@pytest.mark.parametrize("side", [0, 1])
def test_one_sentence_of_a_pair_does_not_tell_the_answer(world: World, side: int):
    items = exam.exam_pair(world)
    one = make_pipeline(CountVectorizer(ngram_range=(1, 3), token_pattern=r"\w+"), LogisticRegression())
    scores = cross_val_score(one, [_sentences(item)[side] for item in items], [item.label for item in items])
    assert scores.mean() <= 0.6


def _sentences(item: exam.Item) -> tuple[str, str]:
    first, second = item.prompt.removeprefix("First: ").removesuffix(" Same:").split(" Second: ")
    return first, second
