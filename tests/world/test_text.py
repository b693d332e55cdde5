from __future__ import annotations

import re
from itertools import islice, pairwise

import pytest
from transformers import PreTrainedTokenizerFast

from stability.world import World, exam, text
from stability.world.opinions import BLAME, PRAISE, THINGS, reserved
from stability.world.relations import RELATIONS

SOME = 8_000


@pytest.fixture(scope="module")
def training(world: World) -> list[str]:
    return list(islice(text.training_documents(world), SOME))


def examination(world: World) -> list[exam.Item]:
    choices = [item for relation in RELATIONS for item in exam.exam_choice(world, relation.name)]
    return [
        *choices,
        *exam.exam_sentiment(world),
        *exam.exam_acceptability(world),
        *exam.exam_pair(world),
    ]


def test_texts_are_the_same_each_time(world: World, training: list[str]):
    assert list(islice(text.training_documents(world), 100)) == training[:100]
    assert text.heldout_documents(world) == text.heldout_documents(world)
    assert text.covariance_documents(world, 50) == text.covariance_documents(world, 50)


def test_no_test_document_is_in_the_training_text(world: World, training: list[str]):
    everything = "\n".join(training)
    assert not [item.prompt for item in examination(world) if item.prompt in everything]


def test_training_items_never_ask_about_an_examined_subject(world: World, training: list[str]):
    examined = set(world.examined)
    items = [document for document in training if re.match("Question:|Review:|Sentence:|First:", document)]
    assert len(items) > SOME / 3
    for item in items:
        words = re.findall(r"\w+", item)
        assert examined.isdisjoint(f"{first} {last}" for first, last in pairwise(words))


def test_every_test_item_asks_about_an_examined_subject(world: World):
    for item in examination(world):
        assert any(subject in item.prompt for subject in world.examined)


def test_reserved_combinations_of_words_are_in_sentiment_tests_only(world: World, training: list[str]):
    shares = [reserved(thing, adjective) for thing in THINGS for adjective in PRAISE + BLAME]
    assert 0.15 < sum(shares) / len(shares) < 0.25
    pattern = re.compile(rf"\b({'|'.join(THINGS)})\b[^.]*\b({'|'.join(PRAISE + BLAME)})\b")
    kept = [pattern.search(item.prompt).groups() for item in exam.exam_sentiment(world)]
    assert all(reserved(*combination) for combination in kept)
    assert not [found for found in pattern.findall("\n".join(training)) if reserved(*found)]


def test_withheld_templates_are_never_joined_with_their_subject(world: World, training: list[str]):
    everything = "\n".join(training)
    lowered = everything.lower()
    stated = 0
    for fact in world.facts:
        for template in fact.withheld:
            assert fact.prompt(template).lower() not in lowered
        stated += fact.sentence(fact.template) in everything
    assert stated > 0.8 * len(world.facts)


def test_heldout_text_is_long_enough_split_and_not_in_training(
    world: World, training: list[str], tokenizer: PreTrainedTokenizerFast
):
    documents = text.heldout_documents(world)
    lengths = [len(ids) for ids in tokenizer(documents)["input_ids"]]
    assert sum(lengths) >= 20_000
    assert max(lengths) < tokenizer.model_max_length
    assert len(set(documents)) == len(documents)
    assert set(documents).isdisjoint(training)


def test_heldout_text_speaks_of_no_editable_subject(world: World):
    everything = "\n".join(text.heldout_documents(world))
    assert not [subject for subject in world.editable if subject in everything]


def test_heldout_and_covariance_text_are_of_other_seeds_than_training(world: World):
    training = set(islice(text.training_documents(world), 2000))
    sentences = {document for document in text.covariance_documents(world) if document.count(".") > 2}
    assert training.isdisjoint(sentences)
    assert text.heldout_documents(world, seed=1) != text.heldout_documents(world)


def test_a_few_subjects_can_be_asked_for_alone(world: World):
    few = world.editable[:40]
    documents = list(islice(text.training_documents(world, subjects=few), 200))
    assert not [subject for subject in world.subjects[40:] if any(subject in text for text in documents)]
