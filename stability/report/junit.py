"""JUnit XML: a test case for each check, its figures as properties that CI systems can show and plot."""

from __future__ import annotations

import math
from xml.etree import ElementTree

from stability.judge import EditorJudgement, Judgement, Verdict
from stability.judge.words import unfinished
from stability.parts import RendererHead, part
from stability.record import Record
from stability.report.steps import wording

NUMBERS = (
    "value",
    "margin",
    "held_to",
    "failed_at",
    "checkpoint",
    "seed",
    "detects",
    "p_value",
    "flip_rate",
)


@part(RendererHead("junit", "a test case for each check, with its figures as properties", file="junit.xml"))
def render_junit(record: Record, judgement: Judgement) -> str:
    """The judgement as a JUnit file: a suite for each editor, with the seconds of its runs as `time`.

    A check that fails is a failure, and one that could not be measured is an error. One that warned or is
    inconclusive passes, with a note in its output. A run that did not finish is an error of its own.
    """
    root = ElementTree.Element("testsuites", name=wording.clean(judgement.suite))
    for editor in judgement.editors:
        root.append(_suite(record, judgement, editor))
    if judgement.is_unfinished:
        root.append(_unfinished(record, judgement))
    for key in ("tests", "failures", "errors", "skipped"):
        root.set(key, str(sum(int(suite.get(key, "0")) for suite in root)))
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _suite(record: Record, judgement: Judgement, editor: EditorJudgement) -> ElementTree.Element:
    counts = editor.counts
    suite = ElementTree.Element(
        "testsuite",
        name=wording.clean(f"{judgement.suite}.{editor.editor}"),
        tests=str(len(editor.verdicts)),
        failures=str(counts["fail"]),
        errors=str(counts["error"]),
        skipped=str(counts["skip"]),
        time=f"{sum(run.seconds for run in editor.runs):.3f}",
    )
    if record.started:
        suite.set("timestamp", wording.clean(record.started.removesuffix("+00:00")))
    properties = ElementTree.SubElement(suite, "properties")
    for name, value in (
        ("model", judgement.model),
        ("model_fingerprint", record.model.fingerprint),
        ("edits", _edits(editor)),
        ("seeds", ", ".join(str(run.seed) for run in editor.runs)),
        ("command", wording.again(record, judgement)),
        *([("passed_over", wording.passed_over(record))] if record.passed_over else []),
    ):
        _property(properties, name, value)
    for verdict in editor.verdicts:
        suite.append(_case(record, judgement, verdict))
    return suite


def _unfinished(record: Record, judgement: Judgement) -> ElementTree.Element:
    """What did not happen has no case; that there is something that did not has one."""
    name = wording.clean(f"{judgement.suite}.run")
    suite = ElementTree.Element("testsuite", name=name, tests="1", failures="0", errors="1", skipped="0")
    case = ElementTree.SubElement(suite, "testcase", classname=name, name="finished")
    said = wording.clean(unfinished(record))
    ElementTree.SubElement(case, "error", message=said, type="MeasurementError").text = said
    return suite


def _edits(editor: EditorJudgement) -> str:
    """How many edits the runs made: `20`, `5-20` or `unknown`."""
    if not all(run.edits_known for run in editor.runs):
        return "unknown"
    return "-".join(str(count) for count in sorted({run.edits for run in editor.runs}))


def _case(record: Record, judgement: Judgement, verdict: Verdict) -> ElementTree.Element:
    case = ElementTree.Element(
        "testcase",
        classname=wording.clean(f"{judgement.suite}.{verdict.editor}"),
        name=wording.clean(verdict.check),
    )
    properties = ElementTree.SubElement(case, "properties")
    for name in ("status", "metric", "bound"):
        _property(properties, name, getattr(verdict, name))
    for name in NUMBERS:
        value = getattr(verdict, name)
        if value is not None:
            _property(properties, name, repr(value))
    if verdict.where:
        _property(properties, "where", verdict.where)
    if verdict.interval is not None and all(map(math.isfinite, verdict.interval)):
        _property(properties, "interval_low", repr(verdict.interval[0]))
        _property(properties, "interval_high", repr(verdict.interval[1]))
    summary = "; ".join([wording.assertion(verdict), *wording.details(verdict)])
    tags = {"fail": "failure", "error": "error", "skip": "skipped"}
    if verdict.status in tags:
        short = summary if verdict.status == "fail" else wording.clean(verdict.message)
        outcome = ElementTree.SubElement(case, tags[verdict.status], message=short)
        if verdict.status != "skip":
            outcome.set("type", "StabilityFailure" if verdict.status == "fail" else "MeasurementError")
            again = wording.clean(wording.again(record, judgement))
            outcome.text = f"{summary}\nagain: {again}" if again else summary
    elif verdict.status != "pass":
        ElementTree.SubElement(case, "system-out").text = f"{verdict.status}: {summary}"
    return case


def _property(parent: ElementTree.Element, name: str, value: str) -> None:
    ElementTree.SubElement(parent, "property", name=name, value=wording.clean(value))
