"""Whatever pytest selects by, and in whatever order and process, a check has the verdict of the whole record.

The record is a part of the sample's: no model is loaded.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

Done = subprocess.CompletedProcess[str]
SAMPLE = Path(__file__).parents[2] / "reports" / "sample" / "run.json"
FILE = "chosen.stability.yaml"
EDITORS = ["rome", "ft", "sphere(memit)"]
TASKS = ["world_choice", "world_sentiment", "world_acceptability", "world_pair"]
SUITE = """\
schema: 1
name: chosen
model: world
editors: [rome, ft, sphere(memit)]
run: {edits: {source: world, count: 20}}
text: {source: world, tokens: 10000}
checks:
  finite: {metric: nonfinite, assert: "== 0"}
  norm: {metric: weight_norm, where: {matrices: edited}, relative_to: base, assert: "<= 1.01"}
  fluent: {metric: perplexity, relative_to: base, assert: "<= 1.001"}
  task_drop:
    metric: task_score
    for_each: {task: [world_choice, world_sentiment, world_acceptability, world_pair]}
    relative_to: base
    change: absolute
    assert: ">= -0.01"
"""
LOOSE = SUITE.replace("1.01", "9").replace("1.001", "9")
COLLECT = ("--collect-only", "-q", "--stability-from", "run.json")
OUTCOME = re.compile(r"^(PASSED|FAILED|RERUN|SKIPPED) (\S+)")
KINDS = {
    "plain": [],
    "xdist": ["-n", "2"],
    "randomly": ["-p", "randomly"],
    "rerunfailures": ["-p", "rerunfailures", "--reruns", "1"],
}


@dataclass(frozen=True)
class Selection:
    """Arguments of a second session, and which items of the whole they choose, by their ids."""

    arguments: tuple[str, ...]
    chosen: Callable[[str], bool] = lambda item: True
    failed: bool = False  # of these, the ones that failed in the session before
    ends_at: int | None = None  # of the failures, where the session ends
    suite: str = SUITE
    files: dict[str, str] = field(default_factory=dict)


BRACKETS = f"{FILE}::ft::task_drop[world_choice]"
SELECTIONS = {
    "everything": Selection((FILE,)),
    "folder": Selection((".",)),
    "last failed": Selection((FILE, "--lf"), failed=True),
    "last failed, loosened since": Selection((FILE, "--lf"), failed=True, suite=LOOSE),
    "last failed, by folder": Selection((".", "--lf", "--lfnf", "none"), failed=True),
    "last failed of a keyword": Selection(
        (FILE, "--lf", "-k", "world_choice"), lambda i: "choice" in i, True
    ),
    "failed first": Selection((FILE, "--ff")),
    "new first": Selection((FILE, "--nf")),
    "keyword": Selection((FILE, "-k", "finite"), lambda i: "finite" in i),
    "not a keyword": Selection((FILE, "-k", "not finite"), lambda i: "finite" not in i),
    "keyword of an editor": Selection((FILE, "-k", "rome"), lambda i: "::rome::" in i),
    "keyword of a task": Selection((FILE, "-k", "world_pair"), lambda i: "world_pair" in i),
    "keywords": Selection((FILE, "-k", "ft and task_drop"), lambda i: "::ft::task" in i),
    "marker": Selection((FILE, "-m", "weight_norm"), lambda i: "norm" in i),
    "markers": Selection((FILE, "-m", "stability and not task_score"), lambda i: "task_drop" not in i),
    "deselected": Selection((FILE, "--deselect", f"{FILE}::rome::finite"), lambda i: "rome::finite" not in i),
    "deselected with brackets": Selection((FILE, "--deselect", BRACKETS), lambda i: i != BRACKETS),
    "deselected editor": Selection((FILE, "--deselect", f"{FILE}::rome"), lambda i: "::rome::" not in i),
    "id": Selection((f"{FILE}::rome::finite",), lambda i: i.endswith("::rome::finite")),
    "id with brackets": Selection((BRACKETS,), lambda i: i == BRACKETS),
    "ids": Selection((BRACKETS, f"{FILE}::rome::norm"), lambda i: i in (BRACKETS, f"{FILE}::rome::norm")),
    "id of an editor": Selection((f"{FILE}::ft",), lambda i: "::ft::" in i),
    "id of a wrapper": Selection((f"{FILE}::sphere(memit)::finite",), lambda i: "sphere(memit)::finite" in i),
    "ids of a file": Selection(("@ids.txt",), lambda i: i == BRACKETS, files={"ids.txt": BRACKETS}),
    "to the first failure": Selection((FILE, "-x"), ends_at=1),
    "to the second failure": Selection((FILE, "--maxfail", "2"), ends_at=2),
    "stepwise": Selection((FILE, "--sw"), ends_at=1),
    "stepwise, but for one": Selection((FILE, "--sw", "--sw-skip"), ends_at=2),
    "without a cache": Selection((FILE, "-p", "no:cacheprovider")),
    "by each worker": Selection((FILE, "-n", "2", "--dist", "each")),
}
QUICK = {  # of each kind some, and each selection at least once
    (name, kind)
    for number, name in enumerate(SELECTIONS)
    for kind in [list(KINDS)[number % 8 // 2] if number % 8 > 1 else "plain"]
}


def of_cells() -> list[object]:
    return [
        pytest.param(name, kind, marks=[] if (name, kind) in QUICK else pytest.mark.torture)
        for name in SELECTIONS
        for kind in KINDS
    ]


def outcomes(done: Done) -> dict[str, str]:
    """What became of each item, by its id: of several tries the last."""
    found = [match.groups() for line in done.stdout.splitlines() if (match := OUTCOME.match(line))]
    return {item: outcome for outcome, item in found if outcome != "RERUN"}


def collected(done: Done) -> list[str]:
    """The ids that a session of `--collect-only` names, in order."""
    assert done.returncode == 0, done.stdout + done.stderr
    return [line for line in done.stdout.splitlines() if "::" in line]


def to_failure(items: list[str], verdicts: dict[str, str], number: int) -> dict[str, str]:
    """The items up to that failure, or all if there are fewer, with their verdicts."""
    found: dict[str, str] = {}
    for item in items:
        found[item] = verdicts[item]
        if list(found.values()).count("FAILED") == number:
            break
    return found


@pytest.fixture(scope="module")
def judged(
    tmp_path_factory: pytest.TempPathFactory, run_in: Callable[..., Done]
) -> tuple[Path, dict[str, str]]:
    """A folder in which pytest has judged a record once, and what became of each item by loose bounds."""
    folder = tmp_path_factory.mktemp("judged")
    content = json.loads(SAMPLE.read_text())
    content["runs"] = [run for run in content["runs"] if run["editor"]["name"] in EDITORS]
    (folder / "run.json").write_text(json.dumps(content))
    (folder / FILE).write_text(LOOSE)
    loose = run_in(folder, "pytest", FILE, "-rA", "-p", "no:cacheprovider", "--stability-from", "run.json")
    (folder / FILE).write_text(SUITE)
    whole = run_in(folder, "pytest", FILE, "-rA", "--stability-from", "run.json")
    assert whole.returncode == 1, whole.stdout + whole.stderr
    (folder / "loose.json").write_text(json.dumps(outcomes(loose)))
    (folder / "order.json").write_text(json.dumps(collected(run_in(folder, "pytest", FILE, *COLLECT))))
    return folder, outcomes(whole)


def test_the_record_has_a_check_of_every_kind(judged: tuple[Path, dict[str, str]]) -> None:
    _, whole = judged
    assert set(whole) == {
        f"{FILE}::{editor}::{check}"
        for editor in EDITORS
        for check in ["finite", "norm", "fluent", *(f"task_drop[{task}]" for task in TASKS)]
    }
    assert whole[BRACKETS] == whole[f"{FILE}::ft::fluent"] == "FAILED"
    assert {whole[f"{FILE}::{editor}::finite"] for editor in EDITORS} == {"PASSED"}


@pytest.mark.parametrize(("name", "kind"), of_cells())
def test_every_item_is_found_and_has_its_verdict(
    judged: tuple[Path, dict[str, str]], tmp_path: Path, run_in: Callable[..., Done], name: str, kind: str
) -> None:
    selection = SELECTIONS[name]
    folder, whole = shutil.copytree(judged[0], tmp_path / "again"), judged[1]
    (folder / FILE).write_text(selection.suite)
    for file, text in selection.files.items():
        (folder / file).write_text(text)
    verdicts = whole if selection.suite is SUITE else json.loads((folder / "loose.json").read_text())
    done = run_in(folder, "pytest", *selection.arguments, "-rA", "--stability-from", "run.json", *KINDS[kind])
    expected = {
        item: verdicts[item]
        for item in whole
        if selection.chosen(item) and (whole[item] == "FAILED" or not selection.failed)
    }
    said = done.stdout + done.stderr
    if selection.ends_at is None:
        assert outcomes(done) == expected, said
        assert done.returncode == ("FAILED" in expected.values()), said
        return
    found = outcomes(done)
    assert found.items() <= whole.items(), said
    assert list(found.values()).count("FAILED") >= selection.ends_at, said
    assert done.returncode in (1, 2), said  # 2: interrupted, as stepwise ends
    if kind not in ("xdist", "randomly"):  # where it depends on the order, and on what has begun
        assert found == to_failure(json.loads((folder / "order.json").read_text()), whole, selection.ends_at)


def test_stepwise_goes_on_where_it_ended(
    judged: tuple[Path, dict[str, str]], tmp_path: Path, run_in: Callable[..., Done]
) -> None:
    folder, whole = shutil.copytree(judged[0], tmp_path / "again"), judged[1]
    order = json.loads((folder / "order.json").read_text())
    failed = [item for item in order if whole[item] == "FAILED"]

    def step(*arguments: str) -> dict[str, str]:
        done = run_in(folder, "pytest", FILE, "-rA", "--stability-from", "run.json", "--sw", *arguments)
        assert (done.returncode != 0) == ("FAILED" in outcomes(done).values()), done.stdout + done.stderr
        return outcomes(done)

    assert step() == to_failure(order, whole, 1)
    assert step() == {failed[0]: "FAILED"}
    assert step("--sw-skip") == to_failure(order[order.index(failed[0]) :], whole, 2)
    (folder / FILE).write_text(LOOSE)
    verdicts = json.loads((folder / "loose.json").read_text())
    assert step() == to_failure(order[order.index(failed[1]) :], verdicts, 1)


def test_what_is_only_collected_is_named_and_not_judged(
    judged: tuple[Path, dict[str, str]], tmp_path: Path, run_in: Callable[..., Done]
) -> None:
    folder, whole = shutil.copytree(judged[0], tmp_path / "again"), judged[1]
    assert set(json.loads((folder / "order.json").read_text())) == set(whole)
    done = run_in(folder, "pytest", FILE, *COLLECT, "--lf")
    assert set(collected(done)) == {item for item in whole if whole[item] == "FAILED"}
    assert outcomes(done) == {}
    chosen = run_in(folder, "pytest", BRACKETS, f"{FILE}::rome", "-k", "task_drop", *COLLECT)
    assert set(collected(chosen)) == {BRACKETS, *(f"{FILE}::rome::task_drop[{task}]" for task in TASKS)}


@pytest.mark.parametrize(
    ("asked", "chosen"),
    [
        (["--stability-editor", "ft"], ["ft"]),
        (["--stability-editor", "sphere(memit)", "--stability-editor", "rome"], ["rome", "sphere(memit)"]),
        (["--stability-seed", "0", "--stability-model", "world", "--stability-edits", "20"], EDITORS),
    ],
)
def test_what_is_asked_of_a_record_is_judged_and_nothing_else(
    judged: tuple[Path, dict[str, str]], run_in: Callable[..., Done], asked: list[str], chosen: list[str]
) -> None:
    folder, whole = judged
    done = run_in(folder, "pytest", FILE, "-rA", "-p", "no:cacheprovider", "--stability-from", ".", *asked)
    expected = {item: outcome for item, outcome in whole.items() if item.split("::")[1] in chosen}
    assert outcomes(done) == expected, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (
            ["--stability-editor", "memit"],
            "--stability-editor: run.json is a record of rome, ft, sphere(memit)",
        ),
        (["--stability-seed", "3"], "--stability-seed: run.json is a record of 0, and nothing is run anew"),
        (["--stability-model", "gpt2"], "--stability-model: run.json is a record of world"),
        (["--stability-edits", "21"], "--stability-edits: run.json is a record of 20"),
        (["--stability-from", "none.json"], "none.json: the record holds no run"),
    ],
)
def test_a_record_that_does_not_have_what_is_asked_passes_nothing(
    judged: tuple[Path, dict[str, str]],
    tmp_path: Path,
    run_in: Callable[..., Done],
    asked: list[str],
    said: str,
) -> None:
    folder = shutil.copytree(judged[0], tmp_path / "again")
    (folder / "none.json").write_text(
        json.dumps(json.loads((folder / "run.json").read_text()) | {"runs": []})
    )
    done = run_in(folder, "pytest", FILE, "--stability-from", "run.json", *asked)
    assert done.returncode != 0
    assert said in done.stdout
    assert "Traceback" not in done.stdout


def test_an_unfinished_record_passes_nothing_and_says_why(
    judged: tuple[Path, dict[str, str]], run_in: Callable[..., Done], tmp_path: Path
) -> None:
    folder = shutil.copytree(judged[0], tmp_path / "again")
    content = json.loads((folder / "run.json").read_text()) | {"under_way": True}
    (folder / "run.json").write_text(json.dumps(content))
    done = run_in(folder, "pytest", f"{FILE}::rome::finite", "-rA", "--stability-from", "run.json")
    assert outcomes(done) == {f"{FILE}::rome::finite": "FAILED"}
    assert "the run did not finish: what it did not come to is not judged\nfinite (rome)" in done.stdout
