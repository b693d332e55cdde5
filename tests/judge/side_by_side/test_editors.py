"""Several editors side by side, on records whose figures are known."""

from __future__ import annotations

import json
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from stability.errors import UsageError
from stability.judge.side_by_side.editors import Contender, EditorComparison, compare_editors
from stability.judge.words import UNFINISHED
from stability.record import Problem, Record

CHECKS = """
norm: {metric: weight_norm, where: {matrices: edited}, relative_to: base, assert: "<= 2.0"}
regress: {metric: weight_norm, where: {matrices: edited}, relative_to: previous, assert: "<= 1.05"}
quiet: {metric: kl_divergence, assert: "<= 0.5"}
task_drop:
  metric: task_score
  for_each: {task: [choice, pair]}
  relative_to: base
  change: absolute
  assert: ">= -0.05"
  noise: {confidence: 0.95}
edits_took: {metric: edit_success, assert: ">= 0.9"}
"""


def record(
    records: ModuleType,
    editor: str,
    growth: float = 1.3,
    lost: int = 0,
    seeds: tuple[int, ...] = (0, 1, 2),
    at: tuple[int, ...] = (20, 40),
    **more: Any,
) -> Record:
    """Runs whose norm grows by `growth`, a little more at each seed, and that lose `lost` documents of 500."""
    before, now = records.graded(480, 500, losses=lost)
    pair = records.graded(280, 300)[0]
    base = records.checkpoint(
        0, weight_norm=records.norms(), task_score=records.tasks({"choice": before, "pair": pair})
    )
    runs = []
    for seed in seeds:
        points = [
            records.checkpoint(
                edits,
                [records.name(1)],
                weight_norm=records.norms({records.name(1): growth + 0.01 * seed}),
                kl_divergence=records.scalar(0.1 + 0.02 * ((seed * 7 + len(editor)) % 5)),
                task_score=records.tasks({"choice": now, "pair": pair}),
                edit_success=records.scalar(1.0),
            )
            for edits in at
        ]
        runs.append(records.run(points, seed=seed, editor=editor))
    return records.record(base, runs, **more)


def compared(records: ModuleType, *made: Record, checks: str = CHECKS) -> EditorComparison:
    contenders = [Contender(one.runs[0].editor.name, one, one.runs[0].editor.name) for one in made]
    return compare_editors(records.suite(checks), contenders)


def outcomes(comparison: EditorComparison, name: str) -> dict[str, str]:
    index = comparison.names.index(name)
    return {row.check: row.cells[index].outcome for row in comparison.rows}


def test_what_got_worse_beyond_noise_is_told_from_what_stayed(records: ModuleType) -> None:
    comparison = compared(records, record(records, "rome"), record(records, "ft", growth=1.6, lost=60))
    assert outcomes(comparison, "ft") == {
        "norm": "worse",
        "quiet": "same",
        "task_drop[choice]": "worse",
        "task_drop[pair]": "same",
        "edits_took": "same",
    }
    assert comparison.is_worse
    assert comparison.checks("ft", "worse") == ("norm", "task_drop[choice]")
    norm = comparison.rows[0]
    assert norm.cells[0].value == pytest.approx(1.31)
    assert norm.cells[1].change == pytest.approx(0.3)


def test_turned_round_worse_is_better(records: ModuleType) -> None:
    one, other = record(records, "rome"), record(records, "ft", growth=1.6, lost=60)
    there, back = (
        outcomes(compared(records, one, other), "ft"),
        outcomes(compared(records, other, one), "rome"),
    )
    swapped = {"worse": "better", "better": "worse"}
    assert back == {check: swapped.get(outcome, outcome) for check, outcome in there.items()}


def test_an_editor_beside_itself_is_the_same_in_everything(records: ModuleType) -> None:
    comparison = compared(records, record(records, "rome"), record(records, "rome2"))
    assert set(outcomes(comparison, "rome2").values()) == {"same"}
    assert not comparison.is_worse


def test_a_single_seed_claims_nothing_but_what_documents_show(records: ModuleType) -> None:
    comparison = compared(
        records,
        record(records, "rome", seeds=(0,)),
        record(records, "ft", growth=1.9, lost=60, seeds=(0,)),
    )
    found = outcomes(comparison, "ft")
    assert (found["norm"], found["task_drop[choice]"]) == ("untold", "worse")


@pytest.mark.parametrize("change", ["absolute", "ratio", "relative"])
def test_the_interval_of_a_change_is_in_the_unit_of_the_change(records: ModuleType, change: str) -> None:
    bound = {"absolute": "-0.05", "ratio": "0.95", "relative": "-0.05"}[change]
    checks = CHECKS.replace("absolute", change).replace("-0.05", bound)
    made = [record(records, name, lost=lost, seeds=(0,)) for name, lost in (("rome", 0), ("ft", 60))]
    cell = next(row for row in compared(records, *made, checks=checks).rows if "choice" in row.check).cells[1]
    assert cell.change == pytest.approx(-60 / (500 if change == "absolute" else 480))
    assert cell.interval is not None
    low, high = (limit * (1 if change == "absolute" else 480 / 500) for limit in cell.interval)
    assert (low, high) == pytest.approx((-0.16, -0.09), abs=0.01)


def test_only_what_all_have_in_common_is_compared(records: ModuleType) -> None:
    comparison = compared(
        records,
        record(records, "rome", seeds=(0, 1, 2), at=(20, 40, 60)),
        record(records, "ft", seeds=(1, 2, 3), at=(20, 40)),
    )
    assert (comparison.seeds, comparison.edits) == ((1, 2), 40)


@pytest.mark.parametrize(
    ("other", "words"),
    [
        ({"text_fingerprint": "e" * 64}, "ft cannot be compared with rome: another text"),
        ({"seeds": (7,)}, "no seed that all of them"),
        ({"at": (7,)}, "no number of edits after which all"),
    ],
)
def test_runs_on_different_things_are_refused(records: ModuleType, other: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        compared(records, record(records, "rome"), record(records, "ft", **other))


def test_runs_of_other_edits_are_refused(records: ModuleType) -> None:
    other = record(records, "ft")
    turned = tuple(run.model_copy(update={"edits": run.edits[::-1]}) for run in other.runs)
    with pytest.raises(UsageError, match="ft made other edits than rome at seed 0"):
        compared(records, record(records, "rome"), other.model_copy(update={"runs": turned}))


def test_one_alone_is_no_comparison(records: ModuleType) -> None:
    with pytest.raises(UsageError, match="two runs or more"):
        compared(records, record(records, "rome"))


def test_a_figure_that_one_lacks_is_missing_there_and_alone_at_the_other(records: ModuleType) -> None:
    without = record(records, "ft")
    runs = tuple(
        run.model_copy(
            update={
                "checkpoints": tuple(
                    point.model_copy(
                        update={"readings": {k: v for k, v in point.readings.items() if k != "kl_divergence"}}
                    )
                    for point in run.checkpoints
                )
            }
        )
        for run in without.runs
    )
    without = without.model_copy(update={"runs": runs})
    assert outcomes(compared(records, record(records, "rome"), without), "ft")["quiet"] == "missing"
    assert outcomes(compared(records, without, record(records, "rome")), "rome")["quiet"] == "alone"


def test_it_is_plain_json(records: ModuleType) -> None:
    comparison = compared(records, record(records, "rome"), record(records, "ft"))
    content = json.loads(json.dumps(comparison.as_dict(), allow_nan=False))
    assert content["rows"][0]["cells"][0]["outcome"] == "same"
    assert [standing["held_to"] for standing in content["standings"]] == [40, 40]


def test_noise_alone_is_rarely_called_a_change(records: ModuleType) -> None:
    """Of 60 comparisons of editors that differ by chance only, about 1 in 20 may find something."""
    rng = np.random.default_rng(0)
    found = 0
    for _ in range(60):
        made = []
        for editor in ("rome", "ft"):
            runs = []
            for seed in range(4):
                point = records.checkpoint(
                    20,
                    [records.name(1)],
                    weight_norm=records.norms({records.name(1): 1.3 + 0.1 * rng.standard_normal()}),
                    kl_divergence=records.scalar(0.2 + 0.02 * rng.standard_normal()),
                    edit_success=records.scalar(0.95 + 0.01 * rng.standard_normal()),
                )
                runs.append(records.run([point], seed=seed, editor=editor))
            base = records.checkpoint(0, weight_norm=records.norms())
            made.append(records.record(base, runs))
        comparison = compared(records, *made)
        found += bool(comparison.checks("ft", "worse") or comparison.checks("ft", "better"))
    assert found <= 0.05 * 60 + 2 * np.sqrt(60 * 0.05 * 0.95)


def test_changes_of_nothing_that_rounding_sets_apart_are_no_better_and_no_worse(records: ModuleType) -> None:
    def of(editor: str, value: float) -> Record:
        points = [records.checkpoint(20, perplexity=records.scalar(value))]
        runs = [records.run(points, editor=editor, seed=seed) for seed in (0, 1, 2)]
        return records.record(records.checkpoint(0, perplexity=records.scalar(12.3)), runs)

    checks = 'reads: {metric: perplexity, relative_to: base, change: absolute, assert: "<= 1"}'
    (row,) = compared(records, of("a", 12.3), of("b", 12.3 + 2e-15), checks=checks).rows
    assert row.cells[1].change != 0
    assert row.cells[1].outcome == "same"


def test_strictly_nothing_is_whole_that_ended_early_or_lacks_a_value(records: ModuleType) -> None:
    first, same = record(records, "rome"), record(records, "other")
    assert compared(records, first, same).exit_status(strict=True) == 0

    problem = Problem(kind="editor_raised", message="no room")
    failed = {"status": "failed", "error": problem, "failed_at": 40}
    runs = tuple(run.model_copy(update=failed) for run in same.runs)
    early = compared(records, first, same.model_copy(update={"runs": runs}))
    assert early.standings[1].ended_early == "failed at edit 41: no room"
    assert (early.exit_status(), early.exit_status(strict=True)) == (0, 3)

    under_way = compared(records, first, same.model_copy(update={"under_way": True}))
    assert under_way.standings[1].ended_early == UNFINISHED
    assert under_way.exit_status(strict=True) == 3

    lost = compared(records, first, without(same, "kl_divergence"))
    assert outcomes(lost, "other")["quiet"] == "missing"
    assert lost.exit_status(strict=True) == 3
    assert compared(records, without(first, "kl_divergence"), same).exit_status(strict=True) == 0


def test_strictly_what_is_worse_comes_first(records: ModuleType) -> None:
    first, worse = record(records, "rome"), record(records, "other", lost=200, under_way=True)
    assert compared(records, first, worse).exit_status(strict=True) == 1


def without(made: Record, metric: str) -> Record:
    """The record without a metric's readings."""
    runs = []
    for run in made.runs:
        points = [
            point.model_copy(
                update={"readings": {name: one for name, one in point.readings.items() if name != metric}}
            )
            for point in run.checkpoints
        ]
        runs.append(run.model_copy(update={"checkpoints": tuple(points)}))
    return made.model_copy(update={"runs": tuple(runs)})


def test_the_seconds_of_an_edit_are_the_mean_over_the_seeds_that_have_them(records: ModuleType) -> None:
    rome = record(records, "rome")
    runs = []
    for seconds, run in zip((2.0, 4.0, None), rome.runs, strict=True):
        costs = {} if seconds is None else {"edit_seconds": records.scalar(seconds)}
        points = tuple(point.model_copy(update={"costs": costs}) for point in run.checkpoints)
        runs.append(run.model_copy(update={"checkpoints": points}))
    timed = rome.model_copy(update={"runs": tuple(runs)})
    first, second = compared(records, timed, record(records, "ft")).standings
    assert {first.name: first.seconds_an_edit, second.name: second.seconds_an_edit} == {
        "rome": 3.0,
        "ft": None,
    }
