"""Markdown for a CI job's summary: the verdicts in a table, the rest folded below."""

from __future__ import annotations

import html
import json
from collections.abc import Sequence

from stability.judge import EditorJudgement, Judgement, Status, Verdict
from stability.parts import RendererHead, part
from stability.record import Record
from stability.report.explain.explain import Explanation, Index, Remedy, explain_in
from stability.report.steps import wording
from stability.report.steps.markup import code, escape, row

SIGNS: dict[Status, str] = {
    "fail": "❌ **fail**",
    "error": "💥 **error**",
    "warn": "⚠️ warn",
    "inconclusive": "❔ inconclusive",
    "pass": "✅ pass",
    "skip": "⏭️ skip",
}


@part(RendererHead("markdown", "the verdicts as a table for a job's summary", file="report.md"))
def render_markdown(record: Record, judgement: Judgement) -> str:
    """The judgement in GitHub's Markdown; all names are escaped."""
    parts = [
        f"## {escape(judgement.suite)}: {verdict_word(judgement)}",
        escape(wording.tally(judgement)),
    ]
    parts += [escape(note) for note in judgement.notes]
    index = Index(record, judgement)
    for editor in judgement.editors:
        parts += [f"### {escape(wording.headline(judgement, editor))}", _table(editor)]
        parts += [f"> {escape(note)}" for note in editor.notes]
        if explained := _explanations(index, editor):
            parts.append(_folded(f"{editor.editor}: what this means and what to try", explained))
        parts.append(_folded(f"{editor.editor}: settings, seeds and checkpoints", _runs(index, editor)))
    parts.append(_folded("Model, versions and how to run it again", _provenance(record, judgement)))
    return "\n\n".join(parts) + "\n"


def verdict_word(judgement: Judgement) -> str:
    """The outcome in a word or two."""
    return {0: "held", 1: "failed"}.get(judgement.exit_status(), "could not be measured")


def _table(editor: EditorJudgement) -> str:
    lines = [row(["", "check", "value", "where", "from which edit on", "more"]), row(["---"] * 6)]
    lines += [_verdict_row(verdict) for verdict in editor.worst_first]
    return "\n".join(lines)


def _verdict_row(verdict: Verdict) -> str:
    shown = (wording.place(verdict), wording.bracket(verdict))
    rest = [part for part in wording.details(verdict) if part not in shown]
    value = "" if verdict.status == "skip" else escape(wording.assertion(verdict))
    cells = [
        SIGNS[verdict.status],
        escape(verdict.check),
        value,
        escape(shown[0]),
        escape(shown[1]),
        escape("; ".join(rest)),
    ]
    return row(cells)


def _explanations(index: Index, editor: EditorJudgement) -> str:
    """An entry for each check that did not hold; those with the same explanation share one."""
    entries: dict[Explanation, list[Verdict]] = {}
    for verdict in editor.worst_first:
        explanation = explain_in(index, verdict)
        if explanation is not None:
            entries.setdefault(explanation, []).append(verdict)
    return "\n\n".join(_entry(explanation, verdicts) for explanation, verdicts in entries.items())


def _entry(explanation: Explanation, verdicts: Sequence[Verdict]) -> str:
    names = ", ".join(f"{escape(verdict.check)}: {verdict.status}" for verdict in verdicts)
    parts = [f"**{names}**", escape(explanation.meaning)]
    parts += [escape(f"Seen before: {explanation.seen}")] if explanation.seen else []
    parts += ["\n".join(_item(remedy) for remedy in explanation.remedies)] if explanation.remedies else []
    return "\n\n".join(parts)


def _item(remedy: Remedy) -> str:
    """A list item, with its command below it as a code block."""
    lines = [f"- {escape(remedy.words)}"]
    lines += [f"  ({escape(remedy.effect)})"] if remedy.effect else []
    lines += code(wording.clean(remedy.command)).splitlines() if remedy.command else []
    return "\n  ".join(line.strip() for line in lines)


def _folded(title: str, body: str) -> str:
    return f"<details><summary>{html.escape(wording.clean(title))}</summary>\n\n{body}\n\n</details>"


def _runs(index: Index, editor: EditorJudgement) -> str:
    info = index.runs[editor.editor][0].editor
    lines = [row(["seed", "status", "edits", "N/d_k", "seconds", ""]), row(["---"] * 6)]
    for run in editor.runs:
        share = "" if run.edits_per_key_dimension is None else f"{run.edits_per_key_dimension:.3g}"
        cells = [
            str(run.seed),
            run.status,
            str(run.edits) if run.edits_known else "unknown",
            share,
            f"{run.seconds:.1f}",
            escape(run.error),
        ]
        lines.append(row(cells))
    settings = json.dumps(info.settings, indent=1, sort_keys=True, default=str)
    return "\n\n".join(
        ["\n".join(lines), code(wording.clean_lines(settings)), _seed_table(editor.worst_first)]
    )


def _seed_table(verdicts: Sequence[Verdict]) -> str:
    lines = [row(["check", "seed", "edits", "worst value", "interval", "where"]), row(["---"] * 6)]
    for verdict in verdicts:
        for seed in verdict.seeds:
            for point in seed.points:
                interval = (
                    wording.span(point.low, point.high)
                    if point.low is not None and point.high is not None
                    else ""
                )
                cells = [
                    verdict.check,
                    str(seed.seed),
                    str(point.edits),
                    wording.number(point.value),
                    interval,
                    point.where,
                ]
                lines.append(row(escape(cell) for cell in cells))
    return "\n".join(lines)


def _provenance(record: Record, judgement: Judgement) -> str:
    facts = {
        "model": f"{record.model.name} ({record.model.architecture}, {record.model.dtype})",
        "model fingerprint": record.model.fingerprint,
        "edits": wording.edits_source(record),
        "text": f"{record.text_tokens} tokens, {record.text_fingerprint}",
        "harness": record.harness_version,
        "started": record.started,
        **record.versions,
    }
    lines = [row(["", ""]), row(["---"] * 2)]
    lines += [row([escape(name), escape(value)]) for name, value in facts.items() if value]
    blocks = ["\n".join(lines)]
    if record.command:
        blocks.append(code(wording.clean(record.command)))
    blocks.append(code(wording.clean_lines(record.suite_text.rstrip())))
    if judgement.other is not None:
        again, suite = judgement.other.command, judgement.other.file.text.rstrip()
        blocks += ["Judged by another suite:", *([code(wording.clean(again))] if again else [])]
        blocks.append(code(wording.clean_lines(suite)))
    return "\n\n".join(blocks)
