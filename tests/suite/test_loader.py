import json
import pickle
import re
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from stability.errors import SuiteError, SuiteProblem
from stability.suite import SuiteSpec, load_suite, parse_suite

CHECKS = "checks: {norm: {metric: weight_norm, assert: '<= 2'}}"


def problems(text: str) -> list[str]:
    with pytest.raises(SuiteError) as caught:
        parse_suite(text, Path("bad.stability.yaml"))
    assert str(caught.value).splitlines() == [str(problem) for problem in caught.value.problems]
    return [str(problem) for problem in caught.value.problems]


def test_every_mistake_is_reported_at_once_with_its_line():
    found = problems(
        "schema: 1\n"
        "name: bad\n"
        "run:\n"
        "  edits: {count: none}\n"
        "checks:\n"
        "  norm: {metric: weight_norm, asert: '<= 2', severity: bad}\n"
        "  late: {metric: activation_norm, where: {layers: lat}, assert: at least 70}\n"
    )
    assert [line.split(" ")[0] for line in found] == [
        "bad.stability.yaml:4:",
        "bad.stability.yaml:6:",
        "bad.stability.yaml:6:",
        "bad.stability.yaml:6:",
        "bad.stability.yaml:7:",
        "bad.stability.yaml:7:",
    ]
    assert "run.edits.count: input should be a valid integer" in found[0]
    assert "checks.norm.asert: unknown key; did you mean 'assert'?" in found[1]
    assert "checks.norm.assert: this key is required" in found[2]
    assert "checks.norm.severity: 'bad' is not one of 'fail' or 'warn'" in found[3]
    assert "checks.late.assert: cannot read 'at least 70'; write e.g. '<= 2.0'" in found[4]
    assert "checks.late.where.layers: cannot read layers 'lat'; write one of edited" in found[5]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [", "bad.stability.yaml:1: not valid YAML"),
        (
            "name: a\nname: b\n",
            "bad.stability.yaml:2: not valid YAML: 'name' is written twice (first on line 1)",
        ),
        ("", "bad.stability.yaml:1: a suite is a mapping"),
        (f"# what it is for\n\nschema: 1\n{CHECKS}", "bad.stability.yaml:3: name: this key is required"),
        (
            f"schema: 1\nname: x\ntasks: {{qqq: 1}}\n{CHECKS}",
            "unknown key; known here: batch_size, data, include_path, limit, num_fewshot, require_data, trust_code",
        ),
        ("- 1", "a suite is a mapping"),
        ("{[1]: 2}", "a key must be a plain word"),
        (f"schema: 2\nname: x\n{CHECKS}", "schema: 2 is not one of 1"),
        ("schema: 1\nname: x\nchecks: {}", "a suite without checks would pass anything"),
        (f"schema: 1\nname: a/b\n{CHECKS}", "names the report's folder"),
        (f"schema: 1\nname: x\neditors: [3]\n{CHECKS}", "an editor is a name, or one name with its settings"),
        (
            f"schema: 1\nname: x\neditors: [{{rome: {{}}, memit: {{}}}}]\n{CHECKS}",
            "an editor is a name, or one name with its settings",
        ),
        (
            f"schema: 1\nname: x\nrun: {{seeds: [1, 1]}}\n{CHECKS}",
            "seeds must be a list of different numbers",
        ),
        (
            f"schema: 1\nname: x\nrun: {{edits: {{count: 20, batch: 10}}, checkpoints: [5]}}\n{CHECKS}",
            "checkpoint 5 falls inside a batch of 10 edits",
        ),
        ("a: !!python/object/apply:os.system [ls]", "could not determine a constructor"),
    ],
)
def test_a_wrong_file_says_what_is_wrong(text, message):
    assert message in "\n".join(problems(text))


@pytest.mark.parametrize(
    ("check", "message"),
    [
        ("{metric: frozen_weights, assert: '== 0'}", "frozen_weights needs 'may_change'"),
        ("{metric: task_score, assert: '>= -0.05', noise: {}}", "noise is judged on drops"),
        ("{metric: weight_norm, change: absolute, assert: '<= 1'}", "needs 'relative_to'"),
        ("{metric: weight_norm, aggregate: avg, assert: '<= 1'}", "cannot aggregate by 'avg'"),
        ("{metric: weight_norm, where: {layers: []}, assert: '<= 1'}", "layers is an empty list"),
        ("{metric: weight_norm, where: {layers: 7-3}, assert: '<= 1'}", "write '3-7'"),
        ("{metric: weight_norm, where: {matrices: mlp}, assert: '<= 1'}", "no matrices are called 'mlp'"),
        ("{metric: task_score, where: {task: a}, for_each: {task: b}, assert: '>= 1'}", "not in both"),
        (
            "{metric: weigth_norm, assert: '<= 1'}",
            "no metric is called 'weigth_norm'; did you mean 'weight_norm'?",
        ),
    ],
)
def test_a_check_that_makes_no_sense_is_refused(check, message):
    assert message in "\n".join(problems(f"schema: 1\nname: x\nchecks:\n  c: {check}\n"))


DROP = "metric: task_score, where: {task: a}, relative_to: base, change: absolute, assert: '>= -0.05'"


@pytest.mark.parametrize(
    ("check", "is_told"),
    [
        (f"{{{DROP}}}", True),
        (f"{{{DROP.replace('base', 'previous')}}}", True),
        (f"{{{DROP}, noise: {{}}}}", False),
        ("{metric: task_score, where: {task: a}, assert: '>= 0.5'}", False),
        ("{metric: activation_norm, relative_to: base, assert: '>= 0.6'}", False),
        ("{metric: task_score, where: {task: a}, relative_to: base, assert: '<= 1.5'}", False),
    ],
)
def test_a_drop_that_is_not_tested_for_noise_is_told_so_when_the_suite_is_read(
    check, is_told, caplog, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    Path("s.yaml").write_text(f"schema: 1\nname: x\nchecks:\n  c: {check}\n")
    load_suite("s.yaml")
    said = [record.getMessage() for record in caplog.records]
    line = "s.yaml:4: checks.c: a drop that is chance fails this check; write 'noise: {confidence: 0.95}' to"
    assert [message.startswith(line) for message in said] == ([True] if is_told else [])


def test_noise_in_a_ratio_needs_a_bound_that_a_ratio_can_fall_below():
    check = f"{{{DROP.replace('absolute', 'ratio')}, noise: {{}}}}"
    said = "\n".join(problems(f"schema: 1\nname: x\nchecks:\n  c: {check}\n"))
    assert "no ratio of scores falls below 0: write 'change: absolute'" in said
    parse_suite(f"schema: 1\nname: x\nchecks:\n  c: {check.replace('-0.05', '0.95')}\n")


def test_a_missing_file_is_one_line():
    with pytest.raises(SuiteError, match=r"^nowhere.yaml: no such file"):
        load_suite("nowhere.yaml")


def test_layers_may_be_words_numbers_ranges_and_lists():
    suite = parse_suite(
        "schema: 1\nname: x\nchecks:\n"
        "  a: {metric: weight_norm, where: {layers: late}, assert: '<= 1'}\n"
        "  b: {metric: weight_norm, where: {layers: 3}, assert: '<= 1'}\n"
        "  c: {metric: weight_norm, where: {layers: '13-15'}, assert: '<= 1'}\n"
        "  d: {metric: weight_norm, where: {layers: [13-14, 17]}, assert: '<= 1'}\n"
    )
    assert [check.where.layers for check in suite.spec.checks.values()] == [
        "late",
        (3,),
        (13, 14, 15),
        (13, 14, 17),
    ]


def test_the_last_edit_is_always_a_checkpoint():
    suite = parse_suite(
        f"schema: 1\nname: x\nrun: {{edits: {{count: 30}}, checkpoints: [50, 10, 0, 20, 10]}}\n{CHECKS}"
    )
    assert suite.spec.run.schedule() == (10, 20, 30)


def test_the_line_of_a_check_is_known():
    suite = parse_suite("schema: 1\nname: x\nchecks:\n  a:\n    metric: weight_norm\n    assert: '<= 1'\n")
    assert suite.line("checks", "a") == 4
    assert suite.line("checks", "a", "assert") == 6
    assert suite.line("checks", "a", "where") == 4


def test_an_editor_is_called_by_its_label_or_with_the_one_that_it_wraps():
    suite = parse_suite(
        "schema: 1\nname: x\neditors:\n- rome\n- {name: rome, as: slow, settings: {v_lr: 0.1}}\n"
        "- {sphere: {editor: {memit: {layers: [1]}}}}\n- {reset: {editor: {rect: {editor: rome}}}}\n"
        f"- {{mine: {{editor: 3}}}}\n{CHECKS}"
    )
    called = [editor.called for editor in suite.spec.editors]
    assert called == ["rome", "slow", "sphere(memit)", "reset(rect(rome))", "mine"]


@pytest.mark.parametrize(
    ("editors", "check", "says"),
    [
        ("[rome, rome]", "", "suite:3: editors: two editors are called 'rome'; give one a label"),
        (
            "[rome]",
            ", only: [memit]",
            "suite:5: checks.a.only: no editor of this suite is called 'memit'; it has rome",
        ),
        ("[rome]", ", except: memit", "suite:5: checks.a.except: no editor of this suite is called 'memit'"),
        (
            "[{prune: {editor: {world: memit}}}]",
            "",
            "suite:3: editors.0.settings: an editor is a name, or one name with its settings, such as {rome:",
        ),
        (
            "[{prune: {editor: {reset: {editor: {name: [5]}}}}}]",
            "",
            "suite:3: editors.0.settings: editor.settings: editor.name: Input should be a valid string",
        ),
        ("[rome]", ", only: rome, except: rome", "suite:5: checks.a: write 'only' or 'except', not both"),
    ],
)
def test_editors_that_cannot_be_told_apart_or_found_are_refused(editors, check, says):
    text = f"schema: 1\nname: x\neditors: {editors}\nchecks:\n  a: {{metric: weight_norm, assert: '> 0'{check}}}\n"
    with pytest.raises(SuiteError, match=re.escape(says)):
        parse_suite(text)


def test_bounds_and_editors_do_not_change_what_is_measured():
    text = f"schema: 1\nname: x\n{CHECKS}"
    base = parse_suite(text).measured_fingerprint
    assert parse_suite(text.replace("<= 2", "<= 3") + "\neditors: [rome]").measured_fingerprint == base
    assert parse_suite(text + "\nrun: {seeds: [1]}").measured_fingerprint != base
    assert parse_suite(text + "\ntext: {tokens: 99}").measured_fingerprint != base


def test_fields_that_documents_are_clustered_by_are_measured_for_the_tasks_of_their_check():
    def check(noise: str) -> str:
        return f"""
schema: 1
name: x
checks:
  a: {{metric: task_score, for_each: {{task: [boolq, copa]}}, relative_to: base, change: absolute,
       assert: '>= -0.05', noise: {{{noise}}}}}
  b: {{metric: task_score, where: {{task: rte}}, relative_to: base, change: absolute, assert: '>= -0.05'}}
"""

    plain, clustered = parse_suite(check("confidence: 0.95")), parse_suite(check("cluster: passage"))
    assert clustered.spec.clusters == {"boolq": ("passage",), "copa": ("passage",)}
    assert plain.spec.clusters == {}
    assert "clusters" not in plain.measured
    assert clustered.measured_fingerprint != plain.measured_fingerprint


def test_metrics_that_are_only_recorded_are_measured_as_those_that_a_check_names():
    text = f"schema: 1\nname: x\n{CHECKS}"
    base = parse_suite(text).measured
    assert parse_suite(text + "\nrecord: []").measured == base
    assert parse_suite(text + "\nrecord: weight_norm").measured == base
    named = parse_suite(text + "\nrecord: [fluency, ./mine.py:Metric]").measured
    assert named == {**base, "metrics": sorted({*base["metrics"], "fluency", "./mine.py:Metric"})}
    assert parse_suite(text + "\nrecord: all").measured_fingerprint not in (base, named)


@pytest.mark.parametrize(
    ("record", "says"),
    [
        ("[perplexity, fluencie]", "4: record.1: no metric is called 'fluencie'; did you mean 'fluency'?"),
        ("task_score", "4: record.0: task_score needs a task; name it in a check"),
        ("[tensor_differences]", "4: record.0: no run measures tensor_differences; leave it out"),
        ("[7]", "4: record.0: input should be a valid string, got 7"),
        ("{fluency: true}", "4: record: input should be a valid tuple"),
    ],
)
def test_what_cannot_be_recorded_is_refused_at_its_line(record, says):
    text = f"schema: 1\nname: x\n{CHECKS}\nrecord: {record}\n"
    assert any(says in line for line in problems(text)), problems(text)


def test_the_suites_that_come_with_the_project_load():
    files = sorted(Path(__file__).parents[2].glob("suites/*.stability.yaml"))
    assert files
    for file in files:
        assert load_suite(file).spec.checks


def test_the_schema_describes_what_the_loader_reads():
    schema = SuiteSpec.model_json_schema(by_alias=True)
    assert json.dumps(schema)
    assert {"schema", "name", "checks"} <= set(schema["required"])
    assert "assert" in schema["$defs"]["CheckSpec"]["properties"]


@given(st.text(max_size=200))
def test_no_text_ends_in_anything_but_a_suite_or_a_suite_error(text):
    try:
        parse_suite(text)
    except SuiteError as error:
        assert error.problems


yaml_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(
    st.dictionaries(
        st.sampled_from(
            ["schema", "name", "model", "editors", "run", "text", "checks", "may_change", "record"]
        ),
        yaml_values,
    )
)
def test_no_values_end_in_anything_but_a_suite_or_a_suite_error(content):
    try:
        parse_suite(yaml.safe_dump(content))
    except SuiteError as error:
        assert error.problems


def test_a_mistake_is_data_beside_its_line_of_text():
    with pytest.raises(SuiteError) as caught:
        parse_suite("schema: 1\nname: x\nchecks:\n  n: {metric: weight_norm}\n", Path("a.yaml"))
    [mistake] = caught.value.problems
    assert mistake == SuiteProblem("this key is required", "a.yaml", 4, "checks.n.assert")
    assert str(mistake) == str(caught.value) == "a.yaml:4: checks.n.assert: this key is required"
    again = pickle.loads(pickle.dumps(caught.value))
    assert (again.problems, str(again)) == ((mistake,), str(caught.value))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("{where: {layers: [0-99999999999]}}", "there is no layer 99999999999"),
        ("{where: {layers: '1-" + "9" * 400 + "'}}", "cannot read layers"),
        ("{aggregate: 5}", "cannot aggregate by 5"),
        ("{at: !!int abc}", "not valid YAML: 'abc' is no int"),
        ("{at: " + "9" * 5_000 + "}", "not valid YAML"),
        ("&a {b: *a}", "nested too deep"),
    ],
)
def test_a_value_that_would_take_hours_or_break_the_reader_is_a_mistake_like_any_other(value, message):
    text = (
        f"schema: 1\nname: a\nchecks:\n  norm: {{metric: weight_norm, assert: '<= 2', severity: {value}}}\n"
    )
    if "{" in value and "&" not in value:
        text = text.replace(f"severity: {value}", value[1:-1])
    found = problems(text)
    assert any(message in line for line in found)


def test_megabytes_of_a_value_are_cut_in_the_message():
    assert all(len(line) <= 2_000 for line in problems(f"schema: 1\nname: {'/' * 200_000}\n{CHECKS}"))
