"""A check that could never be judged, or never fail, is refused at its line when its suite is read."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stability.errors import SuiteError
from stability.parts import METRICS
from stability.suite import load_suite, parse_bound, parse_suite
from stability.suite.judgeable import is_boundless, is_empty

SUITES = Path(__file__).parents[2] / "suites"
EDITORS = "editors: [rome, memit]\n"


def problems(check: str, above: str = "") -> list[str]:
    """What is said of a suite with this check, whose line is the last."""
    text = f"schema: 1\nname: one\n{above}checks:\n  it: {{{check}}}\n"
    try:
        parse_suite(text, Path("s.yaml"))
    except SuiteError as error:
        return [str(problem) for problem in error.problems]
    return []


REFUSED = {
    # what the metric has no value for
    "metric: perplexity, where: {layers: late}, assert: '<= 9'": (
        "where.layers",
        "'where.layers' does not fit perplexity, which is a single value; leave 'where' out",
    ),
    "metric: activation_norm, where: {matrices: edited}, assert: '<= 9'": (
        "where.matrices",
        "'where.matrices' does not fit activation_norm, which has a value for each layer; it takes 'where.layers'",
    ),
    "metric: weight_norm, where: {pairs: all}, assert: '<= 9'": (
        "where.pairs",
        "'where.pairs' does not fit weight_norm, which has a value for each matrix; it takes 'where.layers' "
        "and 'where.matrices'",
    ),
    "metric: edit_retention, where: {task: mmlu}, assert: '>= 1'": (
        "where.task",
        "'where.task' does not fit edit_retention, which has a value for each edit; it takes no 'where' at all",
    ),
    "metric: kl_divergence, relative_to: unedited, assert: '<= 1'": (
        "relative_to",
        "'relative_to: unedited' compares matrices, and kl_divergence is a single value; write 'base' or 'previous'",
    ),
    "metric: probe_accuracy, relative_to: unedited, assert: '>= 0.7'": (
        "relative_to",
        "'relative_to: unedited' compares matrices, and probe_accuracy has a value for each pair; write 'base' or "
        "'previous'",
    ),
    "metric: weight_norm, relative_to: base, change: absolute, noise: {}, assert: '>= -1'": (
        "noise",
        "'noise' does not fit weight_norm, which has no tasks; leave it out",
    ),
    "metric: weight_norm, for_each: {task: [mmlu]}, assert: '<= 1'": (
        "for_each",
        "'for_each: task' does not fit weight_norm, which has no tasks; leave it out",
    ),
    "metric: perplexity, aggregate: mean, assert: '<= 9'": (
        "aggregate",
        "'aggregate' does not fit perplexity, which is a single value; leave it out",
    ),
    # what there is nothing to compare with
    "metric: edit_success, relative_to: base, assert: '>= 0.9'": (
        "relative_to",
        "the unedited model has no edit_success to compare with, since no edit was made; leave it out, or write "
        "'previous'",
    ),
    "metric: training_loss, relative_to: base, assert: '<= 2'": (
        "relative_to",
        "the unedited model has no training_loss to compare with, since no edit was made; leave it out, or write "
        "'previous'",
    ),
    "metric: edit_seconds, relative_to: base, assert: '<= 2'": (
        "relative_to",
        "the unedited model has no edit_seconds to compare with, since no edit was made; leave it out, or write "
        "'previous'",
    ),
    "metric: retention, at: [0, 20], assert: '>= 0.9'": (
        "at",
        "there is no retention at 0 edits, since no edit was made; leave the 0 out",
    ),
    "metric: delta_norm, relative_to: base, assert: '<= 2'": (
        "relative_to",
        "the delta_norm of the unedited model is 0, so no ratio can be taken; leave 'relative_to' out, since the "
        "metric itself compares with the unedited model",
    ),
    "metric: nonfinite, relative_to: base, change: relative, assert: '<= 2'": (
        "relative_to",
        "the nonfinite of the unedited model is 0, so no relative change can be taken; leave 'relative_to' out, since the "
        "metric itself compares with the unedited model",
    ),
    "metric: delta_spectral_norm, relative_to: unedited, assert: '<= 2'": (
        "relative_to",
        "the delta_spectral_norm of what no edit has changed is 0, so no ratio can be taken; leave 'relative_to' "
        "out, since the metric itself compares with the unedited model",
    ),
    # bounds
    "metric: weight_norm, assert: '<= 1e999'": (
        "assert",
        "'<= 1e999' holds for every number, so that the check cannot fail",
    ),
    "metric: weight_norm, assert: 'between -1e999 and 1e999'": (
        "assert",
        "'between -1e999 and 1e999' holds for every number, so that the check cannot fail",
    ),
    "metric: weight_norm, assert: 'within 1e999 of 0'": (
        "assert",
        "'within 1e999 of 0' holds for every number, so that the check cannot fail",
    ),
    "metric: weight_norm, assert: '>= 1e999'": (
        "assert",
        "'>= 1e999' holds for no number, so that the check cannot hold",
    ),
    "metric: weight_norm, assert: 'within 1 of 1e999'": (
        "assert",
        "'within 1 of 1e999' holds for no number, so that the check cannot hold",
    ),
    "metric: weight_norm, relative_to: base, assert: '<= 0.9'": (
        "assert",
        "the unedited model itself is past this bound: of it, this is always 1",
    ),
    "metric: perplexity, relative_to: base, change: absolute, assert: '> 0'": (
        "assert",
        "the unedited model itself is past this bound: of it, this is always 0",
    ),
    "metric: activation_direction, assert: '<= 0.5'": (
        "assert",
        "the unedited model itself is past this bound: of it, this is always 1",
    ),
    "metric: weight_norm, relative_to: base, at: 0, assert: '<= 2'": (
        "at",
        "of the unedited model, this is always 1, so that the check cannot fail",
    ),
    # selections
    "metric: delta_norm, where: {matrices: edited, layers: after_edited}, assert: '<= 2'": (
        "where",
        "no edited matrix lies in layers that are after_edited: the two words select nothing; leave one out",
    ),
    "metric: weight_norm, where: {layers: unedited}, relative_to: base, assert: '<= 2'": (
        "where.layers",
        "matrices in layers that are unedited are by definition those of the unedited model, so that the check "
        "cannot fail; frozen_weights checks what should not change",
    ),
    # noise
    "metric: task_score, for_each: {task: [a]}, relative_to: base, change: absolute, noise: {}, aggregate: mean, assert: '>= -1'": (
        "aggregate",
        "noise is told task by task; leave 'aggregate' out",
    ),
    "metric: task_score, for_each: {task: [a]}, relative_to: base, change: absolute, noise: {max_detectable: 0.05}, assert: '>= -0.05'": (
        "noise.max_detectable",
        "no number of documents shows a drop of 0.05 where 0.05 is tolerated; write more than 0.05",
    ),
    "metric: task_score, for_each: {task: []}, assert: '>= 0.5'": (
        "for_each.task",
        "the list of tasks is empty; name at least one",
    ),
}


@pytest.mark.parametrize("check", REFUSED)
def test_a_check_that_could_never_be_judged_is_one_line_at_its_key(check: str) -> None:
    key, message = REFUSED[check]
    assert problems(check) == [f"s.yaml:4: checks.it.{key}: {message}"]


@pytest.mark.parametrize(
    ("check", "key", "message"),
    [
        (
            "metric: delta_rank, assert: '<= 9'",
            "metric",
            "delta_rank is measured by `stability gate` only, on two checkpoints on disk, and not where an editor "
            "is run; put it into a suite without editors",
        ),
        (
            "metric: task_score, assert: '>= 0.5'",
            "metric",
            "no check names a task for task_score to score; write 'for_each: {task: [...]}'",
        ),
        (
            "metric: weight_norm, except: [rome, memit], assert: '<= 2'",
            "except",
            "every editor of this suite is left out, so that the check is put to none",
        ),
    ],
)
def test_what_no_run_of_the_suites_editors_could_judge_is_refused_as_well(
    check: str, key: str, message: str
) -> None:
    assert problems(check, EDITORS) == [f"s.yaml:5: checks.it.{key}: {message}"]


def test_a_suite_for_a_gate_names_no_editors_and_may_ask_what_only_the_gate_measures() -> None:
    assert problems("metric: delta_rank, assert: '<= 9'") == []


@pytest.mark.parametrize(
    ("key", "word"), [("layers", "edited"), ("matrices", "edited"), ("layers", "unedited")]
)
def test_what_may_change_must_not_depend_on_what_was_changed(key: str, word: str) -> None:
    assert problems("metric: frozen_weights, assert: '== 0'", f"may_change: {{{key}: {word}}}\n") == [
        f"s.yaml:3: may_change.{key}: {word} allows whatever the editor did, so that frozen_weights cannot fail; "
        f"name the {key} instead"
    ]


@pytest.mark.parametrize(
    "check",
    [
        "metric: weight_norm, relative_to: base, at: [0, 20], assert: '<= 2'",
        "metric: delta_norm, relative_to: base, change: absolute, assert: '<= 2'",
        "metric: delta_norm, relative_to: previous, assert: '<= 2'",
        "metric: edit_success, relative_to: previous, assert: '>= 1'",
        "metric: weight_norm, where: {layers: unedited}, relative_to: previous, assert: '<= 2'",
        "metric: weight_norm, where: {layers: late, matrices: [edited, mlp_in]}, relative_to: unedited, assert: '<= 2'",
        "metric: frozen_weights, aggregate: max, assert: '<= 5', at: 20",
        "metric: edit_retention, aggregate: mean, assert: '>= 0.5'",
        "metric: probe_accuracy, where: {pairs: affected}, aggregate: q05, assert: '>= 0.5'",
        "metric: perplexity, relative_to: base, assert: 'between 0.5 and 1.5'",
        "metric: task_score, where: {task: mmlu}, relative_to: base, change: absolute, noise: {max_detectable: 0.1}, assert: '>= -0.05'",
        "metric: peak_memory, assert: '<= 9000'",
        "metric: delta_rank, relative_to: previous, assert: '<= 300'",
    ],
)
def test_a_check_that_can_be_judged_is_taken(check: str) -> None:
    assert problems(check, "may_change: {layers: [1]}\n") == []


@pytest.mark.parametrize("path", sorted(SUITES.glob("*.stability.yaml")), ids=lambda path: path.name)
def test_the_suites_that_come_with_the_harness_are_taken(path: Path) -> None:
    assert load_suite(path).spec.checks


def test_all_mistakes_are_shown_at_once_whatever_kind_they_are_of() -> None:
    with pytest.raises(SuiteError) as caught:
        parse_suite(
            "schema: 1\nname: bad\neditors: [rome]\ncolour: red\nchecks:\n"
            "  a: {metric: perplexity, where: {layers: late, pairs: all}, aggregate: mean, assert: '<= 1e999'}\n"
            "  b: {metric: perplexty, assert: '<= 2'}\n"
            "  c: {metric: weight_norm, assert: at most 2}\n"
            "  d: {metric: config_differences, only: memit, assert: '== 0'}\n"
        )
    found = [str(problem) for problem in caught.value.problems]
    assert [line.split(": ")[:2] for line in found] == [
        ["suite:4", "colour"],
        ["suite:6", "checks.a.aggregate"],
        ["suite:6", "checks.a.assert"],
        ["suite:6", "checks.a.where.layers"],
        ["suite:6", "checks.a.where.pairs"],
        ["suite:7", "checks.b.metric"],
        ["suite:8", "checks.c.assert"],
        ["suite:9", "checks.d.metric"],
        ["suite:9", "checks.d.only"],
    ]


def test_a_recorded_suite_is_read_although_it_would_be_refused_today() -> None:
    text = "schema: 1\nname: old\nchecks: {a: {metric: gone, where: {layers: late}, assert: '<= 1e999'}}\n"
    assert parse_suite(text, is_recorded=True).spec.checks["a"].metric == "gone"
    with pytest.raises(SuiteError, match="no metric is called 'gone'"):
        parse_suite(text)


def test_a_metric_by_path_is_not_imported_when_a_suite_is_read(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("raise SystemExit('imported')\n")
    check = f"metric: '{tmp_path / 'mine.py'}:Mine', where: {{layers: late}}, aggregate: mean, assert: '<= 9'"
    assert problems(check) == []


def test_a_check_that_fits_is_taken_for_every_metric() -> None:
    for name, part in METRICS.built_in().items():
        bound = "between -1 and 2"
        above = "may_change: {layers: [1]}\n"
        assert problems(f"metric: {name}, assert: '{bound}'", above) == [], part.head


@given(
    st.floats(allow_nan=False), st.floats(allow_nan=False), st.floats(allow_nan=False, allow_infinity=False)
)
def test_a_bound_that_is_called_empty_holds_nothing_and_one_called_boundless_everything(
    one: float, other: float, value: float
) -> None:
    low, high = sorted((one, other))
    written = f"between {low} and {high}".replace("inf", "1e999")
    bound = parse_bound(written)
    if is_boundless(bound):
        assert bound.holds(value)
    elif is_empty(bound):
        assert not bound.holds(value)


@pytest.mark.parametrize("bound", ["<= 256", "<= 300", "between -1 and 1000"])
def test_a_bound_above_what_a_metric_counts_to_is_refused(bound: str) -> None:
    assert problems(f"metric: delta_rank, assert: '{bound}'") == [
        "s.yaml:4: checks.it.assert: a delta_rank of 256 stands for any larger one, so that "
        f"'{bound}' cannot be told; write '< 256' or less"
    ]
    for told in ("< 256", "<= 255", ">= -1"):
        assert problems(f"metric: delta_rank, assert: '{told}'") == []
