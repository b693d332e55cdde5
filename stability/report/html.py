"""One self-contained page: verdicts, then figures, then everything that it takes to run it again."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from stability.judge import EditorJudgement, Judgement, Verdict, runs_by_editor
from stability.record import Record, Run
from stability.report import wording
from stability.report.figures import Figure, figures
from stability.report.series import EditorRuns, values

TEMPLATE = "report.html.j2"


@dataclass(frozen=True)
class Section:
    """What the page says about one editor."""

    judgement: EditorJudgement
    headline: str
    figures: list[Figure]
    tasks: list[dict[str, str]]
    settings: str
    source: str
    runs: list[Run]


def render_html(record: Record, judgement: Judgement) -> str:
    """The judgement as a page that needs no network, no script and no other file."""
    environment = Environment(
        loader=PackageLoader("stability.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["clean"] = wording.clean
    environment.filters["lines"] = wording.clean_lines
    environment.filters["svg"] = Markup  # of our own making: see report.svg, where every text is escaped
    environment.globals["wording"] = wording
    return environment.get_template(TEMPLATE).render(
        record=record,
        judgement=judgement,
        outcome=outcome(judgement),
        sections=[
            section(record, judgement, editor, index) for index, editor in enumerate(judgement.editors)
        ],
        facts=facts(record),
        rest=rest,
    )


def outcome(judgement: Judgement) -> tuple[str, str]:
    """The style and the words of the page's headline."""
    status = judgement.exit_status()
    return {0: ("pass", "held"), 1: ("fail", "failed")}.get(status, ("error", "could not be measured"))


def section(record: Record, judgement: Judgement, editor: EditorJudgement, index: int) -> Section:
    """One editor's part of the page."""
    runs = runs_by_editor(record)[editor.editor]
    info = runs[0].editor
    editor_runs = EditorRuns(record, editor, runs)
    return Section(
        judgement=editor,
        headline=wording.headline(judgement, editor),
        figures=figures(editor_runs, f"e{index}"),
        tasks=task_rows(editor_runs),
        settings=json.dumps(info.settings, indent=1, sort_keys=True, default=str),
        source=f"{info.source} {info.version or ''}".strip(),
        runs=runs,
    )


def rest(verdict: Verdict) -> list[str]:
    """What a verdict's row says besides its columns."""
    shown = (wording.place(verdict), wording.bracket(verdict), wording.interval(verdict))
    return [part for part in wording.details(verdict) if part not in shown]


def task_rows(editor: EditorRuns) -> list[dict[str, str]]:
    """The score of every measured task before, and at the last checkpoint of the run that is shown."""
    reading = editor.record.base.readings.get("task_score")
    last = editor.shown.checkpoints[-1] if editor.shown.checkpoints else None
    if reading is None or last is None:
        return []
    now = values(last, "task_score")
    rows = []
    for task, before in reading.values.items():
        result = reading.tasks.get(task)
        rows.append(
            {
                "task": task,
                "metric": result.metric if result else "",
                "documents": str(result.n) if result else "",
                "chance": wording.number(result.chance) if result and result.chance is not None else "",
                "before": wording.number(before),
                "after": wording.number(now.get(task, math.nan)) if task in now else "not measured",
            }
        )
    return rows


def facts(record: Record) -> list[tuple[str, str]]:
    """What the run was made of, for whoever wants to make it again."""
    model = record.model
    rows = [
        (
            "model",
            f"{model.name} · {model.architecture} · {model.layers} blocks · {model.parameters:,} parameters",
        ),
        ("precision and device", f"{model.dtype} on {model.device}"),
        ("model fingerprint", model.fingerprint),
        ("tokenizer fingerprint", model.tokenizer_fingerprint),
        ("edits", record.edits_source),
        ("text", f"{record.text_tokens:,} tokens · {record.text_fingerprint}"),
        ("suite", record.suite_path or record.suite_name),
        ("harness", record.harness_version),
        ("started", record.started),
        *sorted(record.versions.items()),
    ]
    return [(name, value) for name, value in rows if value]
