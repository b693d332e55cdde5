"""Readers of records, and of what lies beside them."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from functools import cache
from pathlib import Path

from stability.api import Suite
from stability.baselines import baseline_path
from stability.cli.export import render_csv
from stability.cli.steps.contenders import compare_runs
from stability.record import read_record
from stability.record.tables import TableName, table
from stability.report import comparison_text, render_comparison_markdown, render_terminal
from stability.report.github import render_github
from stability.report.junit import render_junit
from stability.report.markdown import render_markdown
from tools.fuzz.reader import ROOT, Reader, files

SCHEMAS = ROOT / "tests" / "record" / "schemas"
SAMPLE = ROOT / "reports" / "sample" / "run.json"
SHOWN = ("rome", "ft")  # of the sample's editors
PREVIOUS = """
schema: 1
name: previous
checks:
  norm: {metric: weight_norm, where: {matrices: edited}, relative_to: previous, assert: "<= 1.1"}
  took: {metric: edit_success, relative_to: previous, assert: ">= 0.9"}
  drop:
    metric: task_score
    for_each: {task: [world_choice, world_pair]}
    relative_to: previous
    change: absolute
    assert: ">= -0.05"
    noise: {}
"""


@cache
def two_editors() -> bytes:
    """Two runs of the sample record, without what comparing them does not need."""
    content = json.loads(SAMPLE.read_text())
    content["runs"] = [run for run in content["runs"] if run["editor"]["name"] in SHOWN]
    for run in content["runs"]:
        run["checkpoints"] = run["checkpoints"][-1:]
    for point in (content["base"], *(point for run in content["runs"] for point in run["checkpoints"])):
        for metric in ("probe_accuracy", "frozen_weights"):
            point["readings"].pop(metric, None)
        reading = point["readings"]["task_score"]
        reading["tasks"] = {name: one for name, one in reading["tasks"].items() if name == "world_pair"}
    return json.dumps(content).encode()


def judged(path: Path) -> None:
    """What `judge` and `export` do with a record, and every renderer that a pipeline reads."""
    record = read_record(path)
    report = Suite.of(record).judge(record, path)
    for render in (render_terminal, render_markdown, render_junit, render_github):
        render(report.record, report.judgement)
    json.dumps(report.judgement.as_dict())
    for name in TableName:
        render_csv(table(record, name))


def compared(path: Path) -> None:
    """What `compare` does with a record and the horizon beside it."""
    comparison = compare_runs([path.parent / "run.json"])
    comparison_text(comparison)
    render_comparison_markdown(comparison)
    json.dumps(comparison.as_dict())


def judged_against(path: Path) -> None:
    """A record judged against a baseline."""
    record = read_record(SCHEMAS / "2" / "run.json")
    folder = path.parent / "baselines"
    for editor in {run.editor.name for run in record.runs}:
        place = baseline_path(folder, record.suite_name, editor, record.model.name)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, place)
    report = replace(Suite.parse(PREVIOUS), baselines=folder).judge(record)
    render_markdown(report.record, report.judgement)


def horizons() -> list[bytes]:
    """A horizon of the two editors, as `stability horizon` writes it."""
    record = json.loads(two_editors())
    seed = {"seed": 0, "edits": 20, "failed_at": None, "reasons": []}
    editors = [{"editor": name, "median": 20, "worst": 12.0, "seeds": [seed]} for name in SHOWN]
    content = {"suite": record["suite_name"], "model": record["model"]["name"], "editors": editors}
    return [json.dumps({**content, "asked": 20, "every": False, "left_out": {}}).encode()]


def _beside_horizon(folder: Path) -> None:
    (folder / "run.json").write_bytes(two_editors())


READERS = (
    Reader("record", "run.json", "json", files(*sorted(SCHEMAS.glob("2/*.json"))), judged, 25),
    Reader("record of schema 1", "run.json", "json", files(*sorted(SCHEMAS.glob("1/*.json"))), judged, 30),
    Reader("record, compared", "run.json", "json", lambda: [two_editors()], compared, 50),
    Reader("baseline", "b.json", "json", files(SCHEMAS / "2" / "baseline.json"), judged_against, 40),
    Reader("horizon.json", "horizon.json", "json", horizons, compared, 45, _beside_horizon),
)
