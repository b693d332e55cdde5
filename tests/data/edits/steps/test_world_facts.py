from stability.data.edits.steps.world_facts import world_edits
from stability.world import build_world


def test_no_edit_touches_an_examined_subject_and_all_neighbors_are_examined():
    world = build_world()
    edits = world_edits(0)
    assert {edit.subject for edit in edits} == set(world.editable)
    examined = " ".join(world.examined)
    for edit in edits:
        assert edit.neighborhood_prompts
        for prompt in edit.neighborhood_prompts:
            assert any(subject in prompt for subject in world.examined), (prompt, examined[:50])


def test_subjects_come_round_only_when_all_have_been_edited():
    world = build_world()
    first = world_edits(3)[: len(world.editable)]
    assert len({edit.subject for edit in first}) == len(world.editable)


def test_an_edit_asks_for_something_new():
    assert all(edit.target != edit.target_true for edit in world_edits(0))


def test_the_neighbors_share_the_true_object():
    world = build_world()
    owners = {fact.prompt(template): fact for fact in world.facts for template in fact.templates}
    for edit in world_edits(1)[:50]:
        assert {owners[prompt].object for prompt in edit.neighborhood_prompts} == {edit.target_true}
