import pytest

from stability.errors import UsageError
from stability.suite import parse_suite
from stability.suite.overrides import Overrides, override

SUITE = parse_suite(
    """
schema: 1
name: x
editors: [{rome: {layers: [3], v_lr: 0.1}}, "./mine.py:edit"]
run: {edits: {count: 20}, checkpoints: [5]}
checks: {norm: {metric: weight_norm, assert: "<= 2"}}
"""
)


def test_nothing_replaced_is_the_same_suite():
    assert override(SUITE, Overrides()).spec == SUITE.spec


def test_each_part_can_be_replaced():
    spec = override(
        SUITE, Overrides(model="gpt2", editors=("memit",), edits=7, seeds=(1, 2), checkpoints=(3,))
    ).spec
    assert spec.model.name == "gpt2"
    assert [editor.name for editor in spec.editors] == ["memit"]
    assert (spec.run.edits.count, spec.run.seeds, spec.run.schedule()) == (7, (1, 2), (3, 7))


def test_an_editor_named_again_keeps_the_suites_settings():
    assert override(SUITE, Overrides(editors=("rome",))).spec.editors[0].settings == {
        "layers": [3],
        "v_lr": 0.1,
    }


def test_an_editor_is_picked_and_set_by_its_label_and_a_wrapper_by_its_own_name():
    suite = parse_suite(
        "schema: 1\nname: x\neditors: [rome, {name: rome, as: slow, settings: {v_lr: 0.1}}, "
        "{sphere: {editor: memit}}]\nchecks: {a: {metric: weight_norm, assert: '> 0'}}\n"
    )
    picked = override(
        suite, Overrides(editors=("slow", "sphere(memit)"), settings=("sphere.alpha=0.2", "slow.v_lr=3"))
    )
    slow, sphere = picked.spec.editors
    assert (slow.called, slow.settings) == ("slow", {"v_lr": 3})
    assert (sphere.called, sphere.settings) == ("sphere(memit)", {"editor": "memit", "alpha": 0.2})
    fresh = override(suite, Overrides(editors=("rect(rome)",), settings=("rect.kept=0.5",))).spec.editors[0]
    assert (fresh.called, fresh.settings) == ("rect(rome)", {"kept": 0.5})


def test_settings_reach_the_editor_and_the_sections():
    spec = override(
        SUITE,
        Overrides(settings=("rome.layers=[17]", "mine.lr=1e-3", "run.edits.batch=5", "model.dtype=bfloat16")),
    ).spec
    assert spec.editors[0].settings == {"layers": [17], "v_lr": 0.1}
    assert spec.editors[1].settings == {"lr": "1e-3"} or spec.editors[1].settings == {"lr": 1e-3}
    assert spec.run.edits.batch == 5
    assert spec.model.dtype == "bfloat16"


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("rome.layers", "expected KEY=VALUE"),
        ("checks.norm.assert='<= 9'", "checks are changed in the suite file only"),
        ("memit.layers=[1]", "no editor or section is called 'memit'"),
        ("run.edits.cuont=3", "command line: run.edits.cuont"),
        ("run.edits.count=[", "is not a YAML value"),
        ("run=3", "no editor or section is called 'run'"),
        ("rome=3", "no editor or section is called 'rome'"),
        ("run.edits.count.x=3", "holds a value"),
    ],
)
def test_a_wrong_setting_is_refused(setting, message):
    with pytest.raises(UsageError) as caught:
        override(SUITE, Overrides(settings=(setting,)))
    assert message in str(caught.value)


def test_the_arguments_say_the_same_again():
    changes = Overrides("gpt2", ("rome",), 3, (1,), (2,), ("rome.layers=[1]",))
    assert changes.arguments() == (
        "--model gpt2 --editor rome --edits 3 --seed 1 --checkpoint 2 --set rome.layers=[1]".split()
    )
