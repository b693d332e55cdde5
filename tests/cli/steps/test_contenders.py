"""What is put side by side, and by which names."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType

import pytest

from stability.cli.steps.contenders import compare_runs, contenders
from stability.errors import RecordError
from stability.record import Record, write_record
from stability.report import render_comparison

SUITE = """schema: 1
name: norm-growth
checks:
  quiet: {metric: kl_divergence, assert: "<= 0.5"}
"""


def kept(records: ModuleType, path: Path, *editors: str) -> Record:
    base, _ = records.whole_run(at=(20,))
    made: Record = records.record(
        base, [records.whole_run(editor=editor, at=(20,))[1] for editor in editors], suite_text=SUITE
    )
    write_record(made, path)
    return made


def test_editors_of_one_record_and_of_several_are_told_apart(records: ModuleType, tmp_path: Path) -> None:
    one = kept(records, tmp_path / "one" / "run.json", "rome", "ft")
    two = kept(records, tmp_path / "two" / "run.json", "rome")
    names = [
        contender.name
        for contender in contenders({tmp_path / "one" / "run.json": one, tmp_path / "two" / "run.json": two})
    ]
    assert names == ["rome (one)", "ft", "rome (two)"]
    other = {tmp_path / "a" / "x" / "run.json": one, tmp_path / "b" / "x" / "run.json": two}
    found = [contender.name for contender in contenders(other)]
    assert found == ["rome (x)", "ft", f"rome ({tmp_path / 'b' / 'x' / 'run.json'})"]


def horizons(**found: tuple[int, int]) -> str:
    editors = [{"editor": name, "median": median, "worst": worst} for name, (median, worst) in found.items()]
    return json.dumps({"suite": "norm-growth", "model": "world", "editors": editors})


def test_editors_are_ranked_by_the_horizon_beside_their_record(records: ModuleType, tmp_path: Path) -> None:
    for name, found in (("rome", (60, 40)), ("ft", (4, 2)), ("memit", (60, 50))):
        kept(records, tmp_path / name / "run.json", name)
        (tmp_path / name / "horizon.json").write_text(horizons(**{name: found}))
    comparison = compare_runs([tmp_path / name for name in ("ft", "rome", "memit")])
    assert comparison.by_horizon == ("memit", "rome", "ft")
    table = [line.split() for line in render_comparison(comparison).splitlines()]
    assert ["horizon,", "median", "and", "worst", "4,", "2", "60,", "40", "60,", "50"] in table
    assert ["by", "horizon:", "memit,", "rome,", "ft"] in table


def test_what_noise_leaves_open_of_a_horizon_stands_beside_it(records: ModuleType, tmp_path: Path) -> None:
    for name, ends in (("rome", [40, 80]), ("ft", [60, 60]), ("memit", [50, None])):
        kept(records, tmp_path / name / "run.json", name)
        content = json.loads(horizons(**{name: (60, 40)}))
        content["editors"][0]["median_at"] = ends
        (tmp_path / name / "horizon.json").write_text(json.dumps(content))
    comparison = compare_runs([tmp_path / name for name in ("ft", "rome", "memit")])
    [line] = [line for line in render_comparison(comparison).splitlines() if "horizon," in line]
    assert line.split()[4:] == "60, 40 60 [40, 80], 40 60 [50, ...], 40".split()


def test_a_horizon_of_another_suite_is_none_of_ours_and_a_broken_one_is_one_line(
    records: ModuleType, tmp_path: Path
) -> None:
    kept(records, tmp_path / "run.json", "rome", "ft")
    (tmp_path / "horizon.json").write_text(horizons(rome=(60, 40)).replace("norm-growth", "other"))
    assert compare_runs([tmp_path]).by_horizon == ()
    for broken in (
        "{",
        "[" * 10_000,
        horizons(rome=("60", 40)),
        horizons(rome=(-1, 40)),
        horizons(rome=(60, 40)).replace('"worst"', '"median_at": [1], "worst"'),
        horizons(rome=(10**400, 1)),
    ):
        (tmp_path / "horizon.json").write_text(broken)
        with pytest.raises(RecordError, match=r"horizon\.json: cannot read the horizon"):
            compare_runs([tmp_path])
