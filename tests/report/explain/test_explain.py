"""Why a check did not hold: meaning, sources, remedies, what the record shows of them, and their commands."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import typer
from hypothesis import given, settings
from hypothesis import strategies as st

from stability.editors import find_editor
from stability.judge import Bracket, Judgement, NoiseFigures, Verdict, judge
from stability.judge.noise import exact
from stability.judge.noise.drops import ProportionDrop
from stability.parts import EDITORS, METRICS
from stability.record import EditorInfo, GateCall, Problem, Record, Replaced, Run
from stability.report.explain.documents import documents, documents_to_settle
from stability.report.explain.evidence import Evidence
from stability.report.explain.explain import AGAINST, EXPLAINED, Explanation, explain, explanation_lines
from stability.report.explain.index import Index
from stability.report.explain.method import method_of
from stability.report.explain.remedies import REMEDIES
from stability.report.explain.rerun import Rerun
from stability.report.explain.texts import TEXTS
from stability.suite import parse_suite
from stability.suite.overrides import Overrides, override
from tests.examples import examples

PATH = "suites/norm-growth.stability.yaml"
SUITE = """
schema: 1
name: norm-growth
model: world
editors: [{editors}]
run: {{edits: {{source: world, count: 120}}, checkpoints: [20, 40, 60, 80, 100]}}
may_change: {{layers: [1, 2, 3], matrices: [mlp_out]}}
checks:
  norm: {{metric: weight_norm, where: {{matrices: edited}}, relative_to: base, assert: "<= 2.0"}}
  imbalance: {{metric: weight_norm, where: {{matrices: edited}}, relative_to: unedited, assert: "<= 2.0"}}
  late: {{metric: activation_norm, where: {{layers: late}}, relative_to: base, assert: "between 0.90 and 1.1"}}
  kept: {{metric: retention, assert: ">= 0.90"}}
  edits_took: {{metric: edit_success, assert: ">= 0.90"}}
"""


def info(name: str, given: dict[str, Any] | None = None, called: str | None = None) -> Any:
    """An editor as a record has it, with every setting filled in for the built-in model."""
    return find_editor(name, given, "world", called=called, depth=8).info


def ran(records: ModuleType, editor: Any, growth: float = 0.016, **figures: float) -> Run:
    """A run of an editor; `figures` replace a metric's single value at every checkpoint."""
    _, run = records.whole_run(growth=growth)
    points = [
        point.model_copy(
            update={
                "readings": point.readings
                | {name: records.scalar(value) for name, value in figures.items() if name in point.readings}
            }
        )
        for point in run.checkpoints
    ]
    return run.model_copy(update={"editor": editor, "checkpoints": tuple(points)})


def judged(
    records: ModuleType, runs: Sequence[Run], editors: str = "memit", suite: str = SUITE, **more: Any
) -> tuple[Record, Judgement]:
    text = suite.format(editors=editors) if suite is SUITE else suite
    file = parse_suite(text, is_recorded=True)
    base = records.whole_run()[0]
    content = {
        ("suite_text"): text,
        "suite_path": PATH,
        "command": f"stability run {PATH}",
        "measured": file.measured,
    }
    record = records.record(base, runs, **content | more)
    return record, judge(file.spec, record)


def verdict(judgement: Judgement, check: str, editor: str = "memit") -> Verdict:
    [found] = [one for one in judgement.verdicts if (one.check, one.editor) == (check, editor)]
    return found


def explained(pair: tuple[Record, Judgement], check: str, editor: str = "memit") -> Explanation:
    found = explain(*pair, verdict(pair[1], check, editor))
    assert found is not None
    return found


def words(explanation: Explanation) -> str:
    return "\n".join(remedy.words for remedy in explanation.remedies)


def worse(one: Verdict, value: float | None, **more: Any) -> Verdict:
    """The verdict with another worst value."""
    return replace(one, worst=replace(one.worst, value=value), **more)


def command_of(explanation: Explanation, containing: str) -> str:
    [found] = [remedy.command for remedy in explanation.remedies if containing in remedy.words]
    return found


def sentences(text: str) -> int:
    return len(re.findall(r"[.?!](?=\s|$)", text))


# -- the texts --


def test_no_text_is_left_over() -> None:
    assert set(TEXTS) <= set(METRICS.built_in())


def test_every_metric_says_what_it_means_to_be_past_an_end_and_every_remedy_named_is_there() -> None:
    for text in TEXTS.values():
        sides = [side for side in (text.high, text.low) if side]
        assert sides
        for side in sides:
            assert sentences(side.means) == 1
            assert set(side.remedies) <= set(REMEDIES)
            assert len(set(side.remedies)) == len(side.remedies)
    used = {
        name for text in TEXTS.values() for side in (text.high, text.low) if side for name in side.remedies
    }
    assert set(REMEDIES) - used <= {"versions"}  # goes with what is compared, whatever the metric


def test_the_paper_is_quoted_with_its_figures_and_no_cut_off_is_laid_to_it() -> None:
    weight, activation, probes = (
        TEXTS[name] for name in (("weight_norm"), "activation_norm", "probe_accuracy")
    )
    assert weight.high
    assert "Figure 1" in weight.high.seen
    assert "Figure 3" in weight.high.seen
    assert activation.low
    assert "Figure 4" in activation.low.seen
    assert probes.low
    assert "Figure 5" in probes.low.seen
    for side in (weight.high, activation.low, probes.low):
        assert "arXiv 2502.19416" in side.seen
        assert "states no cut-off" in side.seen


def test_every_built_in_editor_is_the_method_that_its_head_says() -> None:
    for name, part in EDITORS.built_in().items():
        editor = EditorInfo(name=name, source="built-in", settings={})
        assert method_of(editor).family == part.head.family
        assert method_of(editor).head == part.head


def test_a_wrapper_is_known_by_its_settings_where_a_suite_calls_it_by_a_label() -> None:
    wrappers = [name for name, part in EDITORS.built_in().items() if part.head.family == "wrapper"]
    assert {"frobenius", "sphere"} <= set(wrappers)
    for name in wrappers:
        method = method_of(info(name, {"editor": "memit"}, called="my own label"))
        assert (method.name, method.core.name, method.family) == (name, "memit", "closed form")


def test_a_wrapper_of_another_package_wraps_the_editor_in_the_record() -> None:
    inner = {"name": "memit", "as": None, "settings": info("memit").settings}
    editor = EditorInfo(
        name="sphere(memit)", source="entry point of other", settings={"editor": inner, "max_ratio": 1.2}
    )
    method = method_of(editor)
    assert (method.wrappers, method.core.name, method.family) == (("sphere",), "memit", "closed form")
    assert method.head.holds_back is None


def test_an_editor_of_ones_own_does_not_take_the_head_of_one_of_its_name() -> None:
    assert method_of(EditorInfo(name="memit", source="python object")).head.solves_batches is False
    assert method_of(EditorInfo(name="memit", source="built-in")).head.solves_batches is True


# -- what is said --


def test_a_norm_that_grew_is_explained_by_what_it_is_compared_with(records: ModuleType) -> None:
    pair = judged(records, [ran(records, info("memit"))])
    norm, imbalance = explained(pair, "norm"), explained(pair, "imbalance")
    assert "a multiple of what it was before editing" in norm.meaning
    assert "a multiple of the median in layers that nobody edited" in imbalance.meaning
    assert norm.meaning.split(". ")[1] != imbalance.meaning.split(". ")[1]
    assert norm.seen == imbalance.seen


def test_an_activation_that_shrank_means_something_else_than_one_that_grew(records: ModuleType) -> None:
    pair = judged(records, [ran(records, info("memit"))])
    low = explain(*pair, verdict(pair[1], "late"))
    high = explain(*pair, worse(verdict(pair[1], "late"), 1.9))
    assert low
    assert high
    assert "shorter" in low.meaning
    assert "falls" in low.seen
    assert "swollen" in high.meaning
    assert "the reverse" in high.seen


def test_what_passed_or_was_skipped_needs_no_explanation(records: ModuleType) -> None:
    pair = judged(records, [ran(records, info("memit"))])
    for status in ("pass", "skip"):
        assert explain(*pair, replace(verdict(pair[1], "norm"), status=status)) is None


def test_it_says_how_many_edits_held_as_edits_and_per_key_dimension(records: ModuleType) -> None:
    pair = judged(records, [ran(records, info("memit"))])
    norm = explained(pair, "norm")
    [fewer] = [remedy for remedy in norm.remedies if "edit at most" in remedy.words]
    assert "edit at most 40 facts into one model (N/d_k 0.078)" in fewer.words
    assert fewer.effect == "1.9 at 40 edits, 2.61 at 60"
    assert fewer.command == f"stability horizon {PATH} --editor memit"


def test_where_the_bracket_is_one_batch_wide_there_is_nothing_left_to_search(records: ModuleType) -> None:
    record, judgement = judged(records, [ran(records, info("memit"))])
    narrow = replace(verdict(judgement, "norm"), bracket=Bracket(59, 60))
    found = explain(record, judgement, narrow)
    assert found
    assert command_of(found, "edit at most 59") == ""


def test_a_bound_on_the_norm_is_tighter_than_the_checks_own(records: ModuleType) -> None:
    pair = judged(records, [ran(records, info("memit"))])
    strict = explain(*pair, replace(verdict(pair[1], "norm"), bound="<= 1.3"))
    assert strict
    assert command_of(strict, ("frobenius")).endswith(
        "--editor 'frobenius(memit)' --set frobenius.max_ratio=1.23"
    )
    impossible = explain(*pair, replace(verdict(pair[1], "norm"), bound="<= 1.0"))
    assert impossible
    assert "frobenius" not in words(impossible)


def test_a_bound_on_the_norm_allows_for_a_matrix_that_was_larger_to_begin_with(records: ModuleType) -> None:
    record, judgement = judged(records, [ran(records, info("memit"))])
    imbalance = verdict(judgement, "imbalance")
    larger = records.norms({imbalance.key: 1.5})
    base = record.base.model_copy(update={"readings": record.base.readings | {"weight_norm": larger}})
    found = explain(record.model_copy(update={"base": base}), judgement, imbalance)
    assert found
    assert command_of(found, "bound the norm").endswith("--set frobenius.max_ratio=1.26")  # 0.95 of 2 / 1.5


def test_a_version_compared_with_an_earlier_one_is_explained_as_such(records: ModuleType) -> None:
    pair = judged(records, [ran(records, info("memit"))])
    found = explain(*pair, replace(verdict(pair[1], "norm"), relative_to="previous"))
    assert found
    assert "earlier version" in found.meaning
    assert "stability baseline update RUN" in found.remedies[0].words
    assert "facts into one model" not in words(found)  # it is the version, not the number of edits


def test_of_the_suite_that_a_record_was_made_by_nobody_is_warned_again(
    records: ModuleType, caplog: pytest.LogCaptureFixture
) -> None:
    record, _ = judged(records, [ran(records, info("memit"))])
    untested = "where: {task: t}, relative_to: base, change: absolute, assert: '>= -0.05'"
    text = f"{record.suite_text}  drop: {{metric: task_score, {untested}}}\n"
    assert Rerun.of(record.model_copy(update={"suite_text": text}))
    assert not caplog.records


@pytest.mark.parametrize("status", ["inconclusive", "fail"])
def test_what_chance_may_explain_says_what_would_settle_it(gate: Any, status: str) -> None:
    record, judgement = gate()
    [unsure, *_] = [one for one in judgement.verdicts if one.status == "inconclusive"]
    found = explain(record, judgement, replace(unsure, status=status))
    assert found
    assert re.search(r"but (71|[35]00) documents do not tell that from chance", found.meaning)
    assert ("counts that as failed" in found.meaning) is (status == "fail")
    assert re.search(r"more documents: about [\d,]+ would do", found.remedies[0].words)
    assert "show no drop below" in found.remedies[0].words


def test_the_number_of_documents_that_would_settle_it_grows_with_the_square(gate: Any) -> None:
    record, judgement = gate()
    [unsure, *_] = [one for one in judgement.verdicts if one.status == "inconclusive"]

    def wanted(reach: float) -> int:
        changed = worse(
            unsure, -0.07, noise=replace(unsure.noise, interval=(-0.2, -0.07 + reach)), bound=">= -0.05"
        )
        found = explain(record, judgement, changed)
        assert found
        number = re.search(r"about ([\d,]+)", found.remedies[0].words)
        assert number
        return int(number[1].replace(",", ""))

    assert wanted(0.08) == pytest.approx(4 * wanted(0.04), rel=0.1)


@pytest.mark.parametrize("tests", [1, 15])
def test_as_many_documents_settle_a_drop_four_times_in_five(gate: Any, tests: int) -> None:
    record, judgement = gate()
    [unsure, *_] = [one for one in judgement.verdicts if one.status == "inconclusive"]
    asked, level, share, drop = documents(Evidence(Index(record, judgement), unsure)), 0.05 / tests, 0.2, 0.08
    assert asked
    measured = ProportionDrop(
        asked, round(asked * (share - drop) / 2), round(asked * (share + drop) / 2), asked // 2, 0
    )
    drop, share = measured.before - measured.now, (measured.gains + measured.losses) / asked
    figures = replace(unsure.noise, interval=measured.limits(1 - level), level=level)
    found = documents_to_settle(
        Evidence(Index(record, judgement), worse(unsure, -drop, noise=figures, bound=">= -0.05"))
    )
    assert found
    [power] = exact.power(found, 0.05, level, np.array([drop]), np.array([share]))
    assert 0.77 <= power <= 0.83


@pytest.mark.parametrize("tests", [1, 15])
def test_as_many_documents_detect_a_drop_four_times_in_five(tests: int) -> None:
    few, level = ProportionDrop(200, 10, 10, 120, 20, 0.25), 0.05 / tests
    enough = round(few.documents(0.10, 0.05, level))
    share = few.discordance(np.array([0.10]))
    [power] = exact.power(enough, 0.05, level, np.array([0.10]), share)
    assert 0.77 <= power <= 0.83


def test_a_limit_on_documents_is_what_is_raised(records: ModuleType) -> None:
    text = SUITE.format(editors="memit") + (
        "  task_drop: {metric: task_score, where: {task: choice}, relative_to: base, change: absolute,\n"
        '    assert: ">= -0.05", noise: {confidence: 0.95}}\n'
    )
    text = text.replace("run:", "tasks: {limit: 500}\nrun:")
    pair = judged(records, [ran(records, info("memit"), growth=0.01)], suite=text)
    unsure = worse(
        verdict(pair[1], "task_drop"),
        -0.06,
        status="inconclusive",
        problem=Problem(kind="within_noise", message=""),
        noise=NoiseFigures(interval=(-0.09, -0.03), level=0.05),
    )
    found = explain(*pair, unsure)
    assert found
    assert found.remedies[0].command == f"stability run {PATH} --editor memit --set tasks.limit=11000"


# -- what the record shows --


def three(records: ModuleType, **frobenius: float) -> tuple[Record, Judgement]:
    runs = [
        ran(records, info("memit")),
        ran(records, info("frobenius", {"editor": "memit", "max_ratio": 1.2}), growth=0.001, **frobenius),
        ran(records, info("frobenius(rome)"), growth=0.0005),
    ]
    return judged(records, runs, "memit, {frobenius: {editor: memit, max_ratio: 1.2}}, frobenius(rome)")


def test_a_remedy_that_the_record_holds_is_measured_and_first(records: ModuleType) -> None:
    found = explained(three(records), "norm")
    first = found.remedies[0]
    assert first.words.startswith(
        "bound the norm: frobenius(memit) scales each edited matrix back to 1.2 times"
    )
    assert first.effect == "frobenius(memit) in this record: 1.13 (held), against 6.82; edit success 0.98"
    assert first.command == f"stability run {PATH} --editor 'frobenius(memit)'"


def test_a_wrapper_round_another_editor_is_no_measurement_of_this_one(records: ModuleType) -> None:
    runs = [ran(records, info("memit")), ran(records, info("frobenius(rome)"), growth=0.0005)]
    found = explained(judged(records, runs, "memit, frobenius(rome)"), "norm")
    [bound] = [remedy for remedy in found.remedies if "frobenius(memit)" in remedy.words]
    assert bound.effect == ""
    assert any(remedy.words.startswith("edit with frobenius(rome)") for remedy in found.remedies)


def test_a_wrapper_round_the_same_editor_with_other_settings_is_no_measurement(records: ModuleType) -> None:
    other = info("frobenius", {"editor": {"memit": {"layers": [3]}}}, called="other")
    runs = [ran(records, info("memit")), ran(records, other, growth=0.001)]
    editors = "memit, {name: frobenius, as: other, settings: {editor: {memit: {layers: [3]}}}}"
    found = explained(judged(records, runs, editors), "norm")
    [bound] = [remedy for remedy in found.remedies if "frobenius(memit)" in remedy.words]
    assert bound.effect == ""


def test_a_wrapper_that_ran_by_a_label_is_found(records: ModuleType) -> None:
    tidy = info("reset", {"editor": "memit", "every": 5}, called="tidy")
    runs = [ran(records, info("memit")), ran(records, tidy, growth=0.001)]
    found = explained(
        judged(records, runs, "memit, {name: reset, as: tidy, settings: {editor: memit, every: 5}}"), "norm"
    )
    assert "every 5 edits" in found.remedies[0].words
    assert found.remedies[0].effect.startswith("tidy in this record: 1.13 (held)")
    assert found.remedies[0].command == f"stability run {PATH} --editor tidy"


def test_a_remedy_that_stops_editing_is_none(records: ModuleType) -> None:
    found = explained(three(records, edit_success=0.3), "norm")
    [bound] = [remedy for remedy in found.remedies if "frobenius(memit)" in remedy.words]
    assert bound is not found.remedies[0]
    assert bound.effect.endswith("against 6.82; but its edit success is 0.3")


def test_a_remedy_that_costs_another_check_says_so_and_comes_later(records: ModuleType) -> None:
    found = explained(three(records, retention=0.1), "norm")
    [bound] = [remedy for remedy in found.remedies if "frobenius(memit)" in remedy.words]
    assert bound is not found.remedies[0]
    assert bound.effect.endswith("but kept failed: 0.1, against 0.64")


def test_a_remedy_that_failed_too_is_last(records: ModuleType) -> None:
    runs = [ran(records, info("memit")), ran(records, info("alphaedit"), growth=0.012)]
    found = explained(judged(records, runs, "memit, alphaedit"), "norm")
    last = found.remedies[-1]
    assert "alphaedit" in last.words
    assert "(failed, too), against 6.82" in last.effect


def test_the_control_is_neither_a_remedy_nor_in_need_of_one(records: ModuleType) -> None:
    runs = [
        ran(records, info("memit")),
        ran(records, info("none"), growth=0.0, edit_success=0.0, retention=0.0),
    ]
    pair = judged(records, runs, "memit, none")
    assert "none" not in words(explained(pair, "norm")).split()
    for check in ("edits_took", "kept"):
        found = explained(pair, check, "none")
        assert "The editor is the control, which edits nothing" in found.meaning
        assert [remedy.words.split(":")[0] for remedy in found.remedies] == [
            "none is the control and edits nothing; leave it out of this check"
        ]


# -- what fits the editor --


def remedies_for(records: ModuleType, editor: Any, entry: str, check: str = "norm") -> Explanation:
    figures = {"edit_success": 0.2} if check == "edits_took" else {}
    return explained(judged(records, [ran(records, editor, **figures)], entry), check, editor.name)


def test_no_editor_is_told_to_be_itself(records: ModuleType) -> None:
    for name in ("alphaedit", "nas", "encore", "ft_l", "memit"):
        assert not re.search(rf"use {name}\b", words(remedies_for(records, info(name), name)))
    assert "alphaedit" not in words(remedies_for(records, info("nas"), "nas"))
    assert "frobenius(frobenius" not in words(remedies_for(records, info("frobenius(ft)"), "frobenius(ft)"))


def test_training_is_made_gentler_and_solving_is_not(records: ModuleType) -> None:
    trained = remedies_for(records, info("ft"), "ft")
    assert command_of(trained, "more gently") == f"stability run {PATH} --editor ft --set ft.lr=0.00025"
    assert command_of(trained, "use memit") == f"stability run {PATH} --editor memit"
    assert "gently" not in words(remedies_for(records, info("memit"), "memit"))
    assert "gently" not in words(remedies_for(records, info("mend"), "mend"))  # its lr is its training's


def test_a_setting_inside_of_a_wrapper_is_changed_there_and_the_rest_kept(records: ModuleType) -> None:
    given = {"editor": {"ft": {"num_steps": 30}}, "max_ratio": 3.0}
    entry = "{frobenius: {editor: {ft: {num_steps: 30}}, max_ratio: 3.0}}"
    found = remedies_for(records, info("frobenius", given), entry)
    line = command_of(found, "more gently")
    [editor] = taken(line, SUITE.format(editors=entry))
    assert editor.settings["editor"]["settings"]["lr"] == 0.00025
    assert editor.settings["editor"]["settings"]["num_steps"] == 30
    assert editor.settings["max_ratio"] == 3.0
    assert "max_ratio 1.5 in place of 3" in words(found)


def test_romes_two_keys_are_mended_first(records: ModuleType) -> None:
    entry = "{name: rome, as: old, settings: {key: original}}"
    found = remedies_for(records, info("rome", {"key": "original"}, called="old"), entry)
    assert found.remedies[0].command == f"stability run {PATH} --editor old --set old.key=mended"
    assert "R-ROME" not in words(remedies_for(records, info("rome"), "rome"))


def test_what_adds_modules_is_not_wrapped(records: ModuleType) -> None:
    entry = "{lora: {merge: false}}"
    assert "frobenius" not in words(remedies_for(records, info("lora", {"merge": False}), entry))
    assert "frobenius(lora)" in words(remedies_for(records, info("lora"), "lora"))


def test_edits_that_do_not_take_get_more_steps_or_room_not_less(records: ModuleType) -> None:
    plain = remedies_for(records, info("ft"), "ft", "edits_took")
    assert "num_steps 80 in place of 40" in words(plain)
    wrapped = remedies_for(records, info("rect(rome)"), "rect(rome)", "edits_took")
    assert "rect's kept 0.9 in place of 0.6" in words(wrapped)
    for found in (plain, wrapped):
        assert "bound the norm" not in words(found)
        assert "does nothing passes" in found.meaning


def own(records: ModuleType, check: str, **figures: float) -> Explanation:
    """What is said of an editor of somebody's own, with a learning rate, that a path names."""
    editor = info("memit").model_copy(
        update={"name": "./my editor.py:edit", "source": "path", "settings": {"lr": 0.2}}
    )
    return explained(
        judged(records, [ran(records, editor, **figures)], ("'./my editor.py:edit'")), check, editor.name
    )


def test_an_editor_of_ones_own_is_tuned_before_it_is_replaced(records: ModuleType) -> None:
    found = own(records, "norm")
    assert found.remedies[0].command == (
        f"stability run {PATH} --editor './my editor.py:edit' --set 'my editor.lr=0.05'"
    )
    line = command_of(found, "bound the norm")
    assert line == f"stability run {PATH} --editor 'frobenius(./my editor.py:edit)'"
    assert override(parse_suite(SUITE.format(editors="memit")), Overrides(editors=(shlex.split(line)[-1],)))


def test_an_editor_of_ones_own_whose_edits_never_take_is_looked_over(records: ModuleType) -> None:
    found = own(records, "edits_took", edit_success=0.0)
    assert [remedy.command for remedy in found.remedies] == ["stability check-editor './my editor.py:edit'"]


def test_what_is_no_number_is_treated_as_a_broken_model(records: ModuleType) -> None:
    record, judgement = judged(records, [ran(records, info("ft"))], "ft")
    found = explain(record, judgement, worse(verdict(judgement, "norm", "ft"), float("nan")))
    assert found
    assert "not a number" in found.meaning
    assert "more gently" in found.remedies[0].words


def test_an_editor_that_no_command_can_name_gets_words_only(records: ModuleType) -> None:
    editor = info("memit").model_copy(update={"name": "mine", "source": "python object", "settings": {}})
    found = remedies_for(records, editor, "memit")
    assert "frobenius(mine)" in words(found)
    for remedy in found.remedies:
        assert "mine" not in remedy.command


@pytest.mark.parametrize(
    "change",
    [
        {"gate": GateCall(base="base", edited="edited")},
        {"suite_path": None},
        {"suite_text": "no: suite"},
        {"replaced": Replaced(settings=("nobody.layers=[1]",))},
    ],
)
def test_a_record_that_no_command_runs_has_words_and_no_commands(
    records: ModuleType, change: dict[str, Any]
) -> None:
    found = explained(judged(records, [ran(records, info("memit"))], **change), "norm")
    assert len(found.remedies) > 2
    assert not any(remedy.command for remedy in found.remedies)


def test_a_checkpoint_on_disk_is_made_again_since_nobody_saw_it_edited(records: ModuleType) -> None:
    editor = info("memit").model_copy(update={"name": "edited", "source": "checkpoint", "settings": {}})
    run = ran(records, editor).model_copy(update={"edits": ()})
    pair = judged(records, [run], gate=GateCall(base="base", edited="edited"), suite_path=None)
    found = explained(pair, "norm", "edited")
    assert found.remedies[0].words == "make the checkpoint again, from the base, with fewer edits"
    assert "frobenius(the editor)" in words(found)
    assert not any(remedy.command for remedy in found.remedies)


def test_a_check_for_some_editors_only_gives_no_command_that_would_not_answer_it(records: ModuleType) -> None:
    text = SUITE.format(editors="memit").replace('"<= 2.0"', '"<= 2.0", only: memit')
    found = explained(judged(records, [ran(records, info("memit"))], suite=text), "norm")
    assert command_of(found, "frobenius") == ""
    assert command_of(found, "use alphaedit") == ""
    assert command_of(found, "edit at most").startswith("stability horizon")


# -- commands --


@cache
def program() -> Any:
    """The command line as click has it, to read options without running anything."""
    from stability.cli import app

    return typer.main.get_command(app)


def taken(line: str, text: str) -> list[Any]:
    """The editors that a command runs, as the program reads it: options, suite, each editor's settings."""
    name, verb, *arguments = shlex.split(line)
    assert name == "stability"
    options = program().commands[verb].make_context(verb, arguments).params
    if verb == "check-editor":
        return [loaded(options["editor"], "{}", options["model"], None)]
    assert str(options["suite"]) == PATH
    changes = Overrides(
        options["model"],
        tuple(options["editor"] or ()),
        options["edits"],
        tuple(options["seed"] or ()),
        tuple(options["checkpoint"] or ()),
        tuple(options["set"] or ()),
    )
    spec = override(parse_suite(text), changes).spec
    return [loaded(one.name, json.dumps(one.settings), spec.model.name, one.called) for one in spec.editors]


@cache
def loaded(name: str, given: str, model: str, called: str | None) -> Any:
    """An editor with its settings checked; many commands ask for the same."""
    return find_editor(name, json.loads(given), model, called=called, depth=8).info


WRITTEN = {
    "memit": ("memit", {}),
    "{memit: {layers: [1, 5]}}": ("memit", {"layers": [1, 5]}),
    "{name: memit, as: deep, settings: {layers: [2]}}": ("memit", {"layers": [2]}),
    "{name: rome, as: old, settings: {key: original}}": ("rome", {"key": "original"}),
    "ft": ("ft", {}),
    "ft_l": ("ft_l", {}),
    "lora": ("lora", {}),
    "full_ft": ("full_ft", {}),
    "mend": ("mend", {}),
    "cpt": ("cpt", {}),
    "nas": ("nas", {}),
    "none": ("none", {}),
    "frobenius(ft)": ("frobenius(ft)", {}),
    "{frobenius: {editor: {ft: {lr: 0.01}}, max_ratio: 9}}": (
        ("frobenius"),
        {"editor": {"ft": {"lr": 0.01}}, "max_ratio": 9},
    ),
    "{name: reset, as: tidy, settings: {editor: sphere(rome), every: 4}}": (
        ("reset"),
        {"editor": "sphere(rome)", "every": 4},
    ),
    "{rect: {editor: {sphere: {editor: memit, alpha: 0.3}}}}": (
        ("rect"),
        {"editor": {"sphere": {"editor": "memit", "alpha": 0.3}}},
    ),
    "{sphere(memit): {alpha: 0.3}}": ("sphere(memit)", {"alpha": 0.3}),
}


def everything(pair: tuple[Record, Judgement]) -> Iterator[Explanation]:
    """What is said of every metric at both ends of a bound, whatever was measured."""
    record, judgement = pair
    for one in {found.editor: found for found in judgement.verdicts}.values():
        for metric in TEXTS:
            for value in (-1.0, 9.0):
                for against in (None, "base", "unedited"):
                    changed = worse(
                        one,
                        value,
                        metric=metric,
                        status="fail",
                        message="",
                        bound="between 0 and 2",
                        relative_to=against,
                        change="ratio" if against else None,
                        bracket=Bracket(20, 40),
                    )
                    found = explain(record, judgement, changed)
                    assert found is not None
                    yield found


@pytest.mark.parametrize("entry", WRITTEN)
def test_every_command_is_one_that_the_program_takes(records: ModuleType, entry: str) -> None:
    name, given = WRITTEN[entry]
    text = SUITE.format(editors=entry)
    called = parse_suite(text).spec.editors[0].called
    run = ran(records, info(name, given, called=called))
    pair = judged(
        records, [run], entry, replaced=Replaced(edits=100, seeds=(0,), settings=("run.edits.batch=2",))
    )
    commands = {remedy.command for found in everything(pair) for remedy in found.remedies if remedy.command}
    assert commands or name == "none"
    for line in commands:
        assert len(taken(line, text)) == 1
        assert line.startswith("stability check-editor") or "--edits 100 --seed 0" in line


def test_commands_keep_what_the_command_line_said_and_drop_what_another_editor_does_not_know(
    records: ModuleType,
) -> None:
    run = ran(records, info("ft", {"lr": 0.01}))
    settings = ("ft.lr=0.01", "text.tokens=500")
    replaced = Replaced(editors=("ft",), edits=60, settings=settings, baselines="old ones")
    pair = judged(records, [run], "memit", replaced=replaced, command="x")
    found = explained(pair, "norm", "ft")
    options = "--edits 60 --set text.tokens=500"
    assert (
        command_of(found, "use memit")
        == f"stability run {PATH} --editor memit {options} --baselines 'old ones'"
    )
    gentler = f"stability run {PATH} --editor ft {options} --set ft.lr=0.0025 --baselines 'old ones'"
    assert command_of(found, "more gently") == gentler
    assert "ft.lr" in command_of(found, "edit at most")
    assert "baselines" not in command_of(found, "edit at most")  # a horizon compares with none
    [wrapped] = taken(
        command_of(found, "frobenius").partition(" --baselines")[0], SUITE.format(editors="memit")
    )
    assert wrapped.name == "frobenius(ft)"
    assert wrapped.settings["editor"]["settings"]["lr"] == 0.01


# -- errors --


def broken(
    records: ModuleType, check: str, run: Run | None = None, **more: Any
) -> tuple[tuple[Record, Judgement], str]:
    text = SUITE.format(editors="memit") + f"  asked: {check}\n"
    pair = judged(records, [run or ran(records, info("memit"))], suite=text, **more)
    found = verdict(pair[1], "asked")
    assert found.status == "error"
    explanation = explain(*pair, found)
    assert explanation is not None
    assert explanation.meaning.startswith("It could not be measured")
    assert sentences(explanation.meaning) == 2
    return pair, (f"{explanation.meaning}\n") + "\n".join(
        f"{one.words} {one.command}" for one in explanation.remedies
    )


FINE = '{metric: retention, assert: ">= 0.01"}'


@pytest.mark.parametrize(
    ("check", "said"),
    [
        ('{metric: retention, assert: ">= 0.1", at: 50}', "--checkpoint 20 --checkpoint 40 --checkpoint 50 "),
        ('{metric: kl_divergence, relative_to: base, assert: "<= 2"}', "correct the check"),
        ('{metric: retention, where: {layers: late}, assert: ">= 0"}', "correct the check"),
        ('{metric: weight_norm, where: {layers: [99]}, assert: ">= 0"}', "correct the check"),
        ('{metric: perplexity, assert: "<= 9"}', "run a suite that asks for perplexity"),
        ('{metric: weight_norm, assert: "<= 5"}', "compare with the base (`relative_to: base`)"),
        ('{metric: retention, relative_to: previous, assert: ">= 0.1"}', "stability baseline save RUN"),
        (
            '{metric: task_score, where: {task: wnli}, relative_to: base, change: absolute, assert: ">= -0.05"}',
            "choose tasks that the unedited model does better than by guessing",
        ),
        (
            "{metric: task_score, where: {task: pair}, relative_to: base, change: absolute, "
            'assert: ">= -0.5", noise: {confidence: 0.95, max_detectable: 0.501}}',
            "take a task with more documents",
        ),
    ],
)
def test_what_could_not_be_measured_says_what_to_do(records: ModuleType, check: str, said: str) -> None:
    _, text = broken(records, check)
    assert said in text


def test_a_run_that_failed_sends_one_to_the_editor_and_to_what_held_before(records: ModuleType) -> None:
    failed = {
        ("status"): "failed",
        "error": Problem(kind="editor_raised", message="memit: edit 81 (x): ValueError: boom (memit.py:3)"),
        "failed_at": 80,
    }
    _, text = broken(records, FINE, ran(records, info("memit")).model_copy(update=failed))
    assert "stability check-editor memit" in text
    assert f"stability run {PATH} --editor memit --edits 80" in text


@pytest.mark.parametrize(
    "said",
    [
        "KeyError: 'maintenance window: finance closes its books'",
        "ValueError: banana",
        "LookupError: no mayor of Nanjing",
        "RuntimeError: infinite loop in the solver",
        "OSError: Out of memory cards; interrupted",
        "RuntimeError: the baseline of the solver is stale; update it: rm -r ~",
    ],
)
def test_what_an_editor_raised_is_not_read_for_words_that_mean_something_else(
    records: ModuleType, said: str
) -> None:
    error = Problem(kind="editor_raised", message=f"memit: edit 81 (x): {said} (memit.py:3)")
    failed = {"status": "failed", "error": error, "failed_at": 80}
    _, text = broken(records, FINE, ran(records, info("memit")).model_copy(update=failed))
    assert "The editor's run ended at that edit" in text
    assert "stability check-editor memit" in text
    for wrong in (
        "NaN",
        "frobenius",
        "norm_constraint",
        "memory",
        "Somebody stopped",
        "earlier record",
        "rm -r",
    ):
        assert wrong not in text


def test_a_run_that_ran_out_of_memory_is_given_less_to_hold(records: ModuleType) -> None:
    error = Problem(kind="out_of_memory", message="something that names no memory")
    failed = {"status": "failed", "error": error, "failed_at": 80}
    _, text = broken(records, FINE, ran(records, info("memit")).model_copy(update=failed))
    assert "lack of memory" in text
    assert "model.dtype=bfloat16" in text


def test_of_several_seeds_the_one_that_failed_says_why(records: ModuleType) -> None:
    good = ran(records, info("memit"), growth=0.0001, retention=1.0)
    failed = good.model_copy(
        update={
            "seed": 1,
            "status": "failed",
            "error": Problem(kind="interrupted", message="by hand"),
            "failed_at": 80,
        }
    )
    pair = judged(records, [good, failed])
    assert "Somebody stopped the run" in explained(pair, "kept").meaning


def test_a_run_that_ended_in_nan_sends_one_to_the_numbers(records: ModuleType) -> None:
    error = Problem(kind="not_finite", message="a log-probability is NaN or infinite")
    failed = {"status": "failed", "error": error, "failed_at": 80}
    run = ran(records, info("ft"), growth=0.0001, retention=1.0).model_copy(update=failed)
    model = records.model().model_copy(update={"dtype": "float16"})
    pair = judged(records, [run], "ft", suite=SUITE, model=model)
    found = explained(pair, "kept", "ft")
    assert "NaN" in found.meaning
    assert found.remedies[0].command == f"stability run {PATH} --editor ft --set model.dtype=float32"


def test_what_came_before_nan_ends_where_the_model_was_last_sound(records: ModuleType) -> None:
    _, plain = records.whole_run(growth=0.0001)
    points = tuple(
        point.model_copy(
            update={"readings": point.readings | {"nonfinite": records.scalar(9.0 * (point.edits == 120))}}
        )
        for point in plain.checkpoints
    )
    error = Problem(kind="not_finite", message="log-probabilities are NaN or infinite")
    failed = {"status": "failed", "error": error, "failed_at": 120}
    run = plain.model_copy(update={"editor": info("memit"), "checkpoints": points, **failed})
    _, text = broken(records, FINE, run)
    assert f"stability run {PATH} --editor memit --edits 100" in text


def test_a_run_that_was_stopped_is_measured_to_the_end(records: ModuleType) -> None:
    run = ran(records, info("memit"), 0.0001, retention=1.0).model_copy(update={"status": "truncated"})
    pair = judged(records, [run])
    found = explained(pair, "norm")
    assert found.remedies[0].command == f"stability run {PATH} --editor memit --set run.stop_on=never"


def test_a_gate_that_did_not_look_so_deep_is_run_deeper(records: ModuleType) -> None:
    editor = info("memit").model_copy(update={"name": "edited", "source": "checkpoint", "settings": {}})
    text = SUITE.format(editors="memit") + '  kl: {metric: kl_divergence, assert: "<= 1", require: true}\n'
    pair = judged(
        records,
        [ran(records, editor)],
        suite=text,
        command="x",
        gate=GateCall(base="base", edited="the edited"),
        not_asked={
            "kl_divergence": Problem(
                kind="needs_level", message="needs --level activations", level="activations"
            )
        },
    )
    found = explained(pair, "kl", "edited")
    assert found.remedies[0].command == "stability gate base 'the edited' --level activations"


def test_a_message_that_nobody_foresaw_is_still_explained(records: ModuleType) -> None:
    record, judgement = judged(records, [ran(records, info("memit"))])
    odd = worse(verdict(judgement, "norm"), None, status="error", message="the moon was full")
    found = explain(record, judgement, odd)
    assert found
    assert found.remedies[0].command == record.command


# -- laws, and how it is shown --


@pytest.fixture(scope="module")
def whole(gate: Any) -> tuple[Record, Judgement]:
    """A record of one editor with every metric of a gate, judged once."""
    found: tuple[Record, Judgement] = gate()
    return found


@settings(max_examples=examples(150))
@given(data=st.data())
def test_an_explanation_is_two_sentences_and_at_most_six_things_to_try(
    whole: tuple[Record, Judgement], data: st.DataObject
) -> None:
    record, judgement = whole
    one = data.draw(st.sampled_from(judgement.verdicts))
    against, change = data.draw(st.sampled_from([(None, None), *AGAINST]))
    changed = worse(
        one,
        data.draw(st.none() | st.floats()),
        status=data.draw(st.sampled_from(EXPLAINED)),
        metric=data.draw(st.sampled_from(sorted(TEXTS))),
        bound=data.draw(
            st.sampled_from([("<= 2.0"), ">= 0.6", "== 0", "< 1", "> -0.05", "between 0.6 and 1.67"])
        ),
        relative_to=against,
        change=change,
        bracket=Bracket(data.draw(st.sampled_from([None, 0, 20])), data.draw(st.sampled_from([None, 40]))),
    )
    found = explain(record, judgement, changed)
    assert found is not None
    assert 1 <= sentences(found.meaning) <= 2
    assert len(found.remedies) <= 6  # the record has no other editor
    assert all(remedy.words for remedy in found.remedies)


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)
SETTINGS = (
    ("lr"),
    "key",
    "layers",
    "num_steps",
    "norm_constraint",
    "clamp_norm_factor",
    "max_ratio",
    "every",
    "editor",
)


@settings(max_examples=examples(100))
@given(
    name=st.sampled_from(
        [("rome"), "ft", "ft_l", "lora", "frobenius(ft)", "reset(rome)", "frobenius", "none(", ""]
    ),
    given_settings=st.dictionaries(st.sampled_from(SETTINGS), JUNK),
    measured=st.dictionaries(st.sampled_from(["run", "tasks", "text"]), JUNK),
    metric=st.sampled_from(
        [("weight_norm"), "edit_success", "frozen_weights", "measure_seconds", "task_score"]
    ),
    value=st.sampled_from([-1.0, 9.0]),
)
def test_a_record_may_hold_any_settings(
    whole: tuple[Record, Judgement],
    name: str,
    given_settings: dict[str, Any],
    measured: dict[str, Any],
    metric: str,
    value: float,
) -> None:
    record, judgement = whole
    [run], [editor] = record.runs, judgement.editors
    changed = run.editor.model_copy(update={"name": name, "settings": given_settings})
    record = record.model_copy(
        update={("runs"): (run.model_copy(update={"editor": changed}),), "measured": measured}
    )
    one = worse(editor.verdicts[0], value, editor=name, metric=metric, bound="between 0 and 2")
    found = explain(record, replace(judgement, editors=(replace(editor, editor=name),)), one)
    assert found
    assert explanation_lines(found)


def lines_of(pair: tuple[Record, Judgement]) -> Iterable[list[str]]:
    for one in pair[1].verdicts:
        found = explain(*pair, one)
        if found is not None:
            yield explanation_lines(found)


def test_in_plain_text_it_is_short_and_narrow_and_begins_with_the_meaning(
    gate: Any, records: ModuleType
) -> None:
    for pair in (gate(), three(records)):
        for lines in lines_of(pair):
            assert lines[0].startswith("means: ")
            assert len(lines) <= 8
            assert max(len(line) for line in lines if "stability" not in line) <= 100
            assert sum(line.startswith("try:   ") for line in lines) == 1


def test_a_command_stands_alone_on_its_line_to_be_copied(records: ModuleType) -> None:
    [remedy] = explained(three(records), "norm").remedies[:1]
    lines = explanation_lines(explained(three(records), "norm"))
    assert remedy.command in [line.strip() for line in lines]


def test_hostile_names_stay_text(hostile: tuple[Record, Judgement]) -> None:
    said = [line for lines in lines_of(hostile) for line in lines]
    assert said
    assert not set("".join(said)) & {"\x1b", "\x00", "\u202e", "\n"}


def test_explaining_imports_no_torch() -> None:
    code = "import sys, stability.report.explain.explain; sys.exit('torch' in sys.modules)"
    assert (
        subprocess.run([sys.executable, ("-c"), code], cwd=Path(__file__).parents[3], check=False).returncode
        == 0
    )
