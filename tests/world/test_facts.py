from __future__ import annotations

import subprocess
import sys
from collections import Counter

import pytest

from stability.world import World, build_world
from stability.world.facts import EXAMINED, SUBJECTS
from stability.world.names import last_names
from stability.world.relations import RELATIONS


def test_a_seed_always_makes_the_same_world_and_another_seed_another():
    assert build_world(0) == build_world(0)
    assert build_world(0).facts != build_world(1).facts


def test_hash_randomisation_does_not_change_the_world(world: World):
    program = "from stability.world import build_world; print(repr(build_world().facts[:50]))"
    shown = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert shown == {repr(world.facts[:50]) + "\n"}


def test_every_last_name_belongs_to_one_subject(world: World):
    assert len(set(last_names())) == len(last_names()) >= SUBJECTS
    assert len({subject.split()[-1] for subject in world.subjects}) == len(world.subjects) == SUBJECTS


def test_every_subject_has_one_fact_in_each_relation(world: World):
    assert len(world.facts) == SUBJECTS * len(RELATIONS)
    for fact in world.facts:
        assert world.fact(fact.subject, fact.relation.name) is fact
        assert fact.object in fact.relation.objects


def test_an_unknown_subject_is_a_key_error(world: World):
    with pytest.raises(KeyError):
        world.fact("Nobody Nowhere", "home")


def test_objects_belong_to_one_relation_and_are_shared_evenly(world: World):
    objects = [obj for relation in RELATIONS for obj in relation.objects]
    assert len(objects) == len(set(objects))
    counts = Counter((fact.relation.name, fact.object) for fact in world.facts)
    assert len(set(counts.values())) == 1


def test_templates_hold_one_blank_and_end_right_before_the_object():
    for relation in RELATIONS:
        assert len(relation.templates) >= 6
        assert len(relation.objects) >= 24
        for template in relation.templates:
            assert template.count("{}") == 1
            assert template == template.strip()
            assert not template.endswith("{}")


def test_two_templates_are_withheld_for_a_quarter_of_the_facts_and_never_the_first(world: World):
    paraphrased = [fact for fact in world.facts if fact.withheld]
    assert len(paraphrased) == len(world.facts) // 4
    for fact in paraphrased:
        assert len(set(fact.withheld)) == 2
        assert fact.template not in fact.withheld
        assert set(fact.taught) | set(fact.withheld) == set(fact.templates)


def test_neighbours_are_other_subjects_with_the_same_object(world: World):
    for fact in world.facts[::97]:
        neighbours = world.neighbours(fact)
        assert len(neighbours) == SUBJECTS // len(fact.relation.objects) - 1
        assert all(other.object == fact.object and other.relation == fact.relation for other in neighbours)
        assert fact.subject not in {other.subject for other in neighbours}


def test_other_objects_are_the_relations_without_the_true_one(world: World):
    fact = world.facts[0]
    assert sorted((*fact.other_objects, fact.object)) == sorted(fact.relation.objects)


def test_editable_and_examined_subjects_are_apart(world: World):
    assert set(world.editable).isdisjoint(world.examined)
    assert len(world.examined) == EXAMINED
    assert world.editable + world.examined == world.subjects


def test_importing_the_world_imports_no_torch():
    program = (
        "import sys, stability.world, stability.world.text, tools.world.vocabulary;"
        "assert not {'torch', 'transformers', 'lm_eval'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", program], env={"PYTHONPATH": ":".join(sys.path)}, check=True)
