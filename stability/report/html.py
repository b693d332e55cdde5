"""One self-contained page: verdicts, what they mean, figures, and how to run it again."""

from __future__ import annotations

import json
from dataclasses import dataclass

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from stability.judge import EditorJudgement, Judgement, Verdict
from stability.parts import RendererHead, part
from stability.record import Record
from stability.report.charts import palette
from stability.report.charts.figures import EditorRuns, Figure, editor_runs, figures, overlays
from stability.report.charts.matrix import matrix
from stability.report.charts.series import values
from stability.report.charts.svg import draw
from stability.report.explain.explain import Explanation, Index, explain_in
from stability.report.steps import wording

TEMPLATE = "report.html.j2"
FEW = 3  # up to this many editors, all verdicts and figures are unfolded
UNHELD = ("fail", "error", "warn", "inconclusive")


@dataclass(frozen=True)
class Section:
    """The page's section on one editor; `index` is the editor's index in the judgement."""

    index: int
    judgement: EditorJudgement
    headline: str
    unfolded: bool
    explained: list[tuple[Verdict, Explanation]]
    figures: list[Figure]
    tasks: list[TaskRow]
    settings: str
    source: str


@dataclass(frozen=True)
class TaskRow:
    """The score of a task before, and at the last checkpoint of the run that is shown."""

    task: str
    metric: str
    documents: int | None
    chance: float | None
    before: float
    after: float | None


@part(RendererHead("html", "one self-contained page: verdicts, what they mean, figures", file="report.html"))
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
    environment.globals.update(wording=wording, palette=palette, draw=drawn, data=data, rest=rest)
    editors = matrix(judgement)
    index = Index(record, judgement)
    by_number = {
        number: section(index, runs, number, unfolded=len(judgement.editors) <= FEW)
        for number, runs in enumerate(editor_runs(record, judgement))
    }
    return environment.get_template(TEMPLATE).render(
        record=record,
        judgement=judgement,
        outcome=outcome(judgement),
        matrix=editors,
        overlays=overlays(judgement),
        sections=[by_number[row.index] for row in editors.rows],
        facts=facts(record),
    )


def outcome(judgement: Judgement) -> tuple[str, str]:
    """The style and the text of the page's headline."""
    status = judgement.exit_status()
    return {0: ("pass", "held"), 1: ("fail", "failed")}.get(status, ("error", "could not be measured"))


def section(index: Index, editor: EditorRuns, number: int, *, unfolded: bool) -> Section:
    """One editor's part of the page."""
    info = editor.runs[0].editor
    found = ((verdict, explain_in(index, verdict)) for verdict in editor.judgement.worst_first)
    return Section(
        index=number,
        judgement=editor.judgement,
        headline=wording.headline(index.judgement, editor.judgement),
        unfolded=unfolded,
        explained=[
            (verdict, explanation)
            for verdict, explanation in found
            if explanation is not None and verdict.status in UNHELD
        ],
        figures=figures(editor),
        tasks=task_rows(editor),
        settings=json.dumps(info.settings, indent=1, sort_keys=True, default=str),
        source=f"{info.source} {info.version or ''}".strip(),
    )


def drawn(figure: Figure, prefix: str) -> Markup:
    """A figure's charts as SVG, in which all text is already escaped."""
    charts = (draw(chart, f"{prefix}-{figure.name}-{i}") for i, chart in enumerate(figure.charts))
    return Markup("").join(Markup(chart) for chart in charts)  # nosec B704


def data(value: float, text: str) -> Markup:
    """A number as shown, with the exact measured value as an attribute for programs."""
    return Markup('<data value="{}">{}</data>').format(repr(float(value)), escape(text))


def rest(verdict: Verdict) -> list[str]:
    """The details of a verdict that have no column of their own."""
    shown = (wording.place(verdict), wording.bracket(verdict), wording.interval(verdict))
    return [part for part in wording.details(verdict) if part not in shown]


def task_rows(editor: EditorRuns) -> list[TaskRow]:
    """A row for every task that was measured on the unedited model."""
    reading = editor.record.base.readings.get("task_score")
    last = editor.shown.checkpoints[-1] if editor.shown.checkpoints else None
    if reading is None or last is None:
        return []
    now = values(last, "task_score")
    rows = []
    for task, before in reading.values.items():
        result = reading.tasks.get(task)
        rows.append(
            TaskRow(
                task=task,
                metric=result.metric if result else "",
                documents=result.n if result else None,
                chance=result.chance if result else None,
                before=before,
                after=now.get(task),
            )
        )
    return rows


def facts(record: Record) -> list[tuple[str, str]]:
    """What the run was made with, to reproduce it."""
    model = record.model
    rows = [
        (
            "model",
            f"{model.name} · {model.architecture} · {model.layers} blocks · {model.parameters:,} parameters",
        ),
        ("precision and device", f"{model.dtype} on {model.device}"),
        ("model fingerprint", model.fingerprint),
        ("tokenizer fingerprint", model.tokenizer_fingerprint),
        ("edits", wording.edits_source(record)),
        ("text", f"{record.text_tokens:,} tokens · {record.text_fingerprint}"),
        ("suite", record.suite_path or record.suite_name),
        ("harness", record.harness_version),
        ("started", record.started),
        *sorted(record.versions.items()),
    ]
    return [(name, value) for name, value in rows if value]
