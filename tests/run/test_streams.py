"""Which edits a run makes, of facts that the built-in model knows and of some that it does not."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from stability.data.edits import Edit, load_stream
from stability.errors import DataError
from stability.metrics.scoring import known as knowing
from stability.models import LoadedModel, load_model
from stability.run.listener import Silent
from stability.run.streams import Streams, load_streams
from stability.store import Store
from stability.suite import EditsSpec, ModelSpec
from stability.suite.schema import RunSpec


@pytest.fixture(scope="module")
def world() -> LoadedModel:
    return load_model(ModelSpec(device="cpu"))


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten facts, every other one with a true target that is not true."""
    facts = load_stream(EditsSpec(source="world", count=1), 0)[:10]
    wrong = [
        replace(fact, id=str(number), target_true=fact.target if number % 2 else fact.target_true)
        for number, fact in enumerate(facts)
    ]
    path = tmp_path_factory.mktemp("facts") / "mixed.json"
    path.write_text(json.dumps([{k: v for k, v in asdict(one).items() if v is not None} for one in wrong]))
    return path


def streams(world: LoadedModel, path: Path, store: Store, count: int, **spec: bool) -> Streams:
    edits = EditsSpec(source="file", path=str(path), count=count, **spec)
    return load_streams(RunSpec(edits=edits, seeds=(0, 1)), world, store, Silent())


def numbers(edits: tuple[Edit, ...]) -> list[int]:
    return [int(edit.id) for edit in edits]


def test_only_facts_that_the_model_knows_are_edited_in_the_same_order(
    world: LoadedModel, mixed: Path, tmp_path: Path
):
    everything = streams(world, mixed, Store(tmp_path), 10)
    found = streams(world, mixed, Store(tmp_path), 3, known=True)
    assert everything.passed_over == {}
    for seed in (0, 1):
        order = numbers(everything.edits[seed])
        right = [number for number in order if number % 2 == 0]
        assert numbers(found.edits[seed]) == right[:3]
        assert found.passed_over[seed] == order.index(right[2]) - 2


def test_the_model_is_not_asked_twice_what_it_knows(
    world: LoadedModel, mixed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    first = streams(world, mixed, Store(tmp_path), 3, known=True)
    monkeypatch.setattr(knowing, "score_targets", None)
    assert streams(world, mixed, Store(tmp_path), 3, known=True) == first


def test_a_run_of_more_facts_than_the_model_knows_is_refused(world: LoadedModel, mixed: Path, tmp_path: Path):
    with pytest.raises(DataError, match=r"of 10 facts the model knows 5, the run asks for 6"):
        streams(world, mixed, Store(tmp_path), 6, known=True)


def test_a_fact_without_a_true_target_or_longer_than_the_context_is_not_known(world: LoadedModel):
    (fact,) = load_stream(EditsSpec(source="world", count=1), 0)[:1]
    long = replace(fact, prompt=fact.prompt + " and" * 2000)
    asked = [replace(fact, target_true=None), fact, long]
    assert knowing.known(world.model, world.tokenizer, asked) == [False, True, False]
    assert knowing.known_first(world.model, world.tokenizer, asked, 5) == [1]
