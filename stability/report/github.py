"""Annotations for GitHub Actions: each check that did not hold, at its line of the suite.

The runner reads these lines from the output of a step (documented as workflow commands). It shows at most ten
errors and ten warnings of a step, so the worst come first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from stability.errors import SuiteProblem
from stability.judge import Judgement, Status, Verdict
from stability.parts import RendererHead, part
from stability.record import Record
from stability.report.steps import wording
from stability.suite import SuiteFile

LEVELS: dict[Status, str] = {"fail": "error", "error": "error", "warn": "warning", "inconclusive": "warning"}


@part(RendererHead("github", "an annotation at the suite's line for each check that did not hold"))
def render_github(
    record: Record, judgement: Judgement, *, suite: SuiteFile | None = None, strict: bool = False
) -> str:
    """A line for each check that did not hold; with `strict`, a warning is an error.

    The place is the check's line in the file of `suite`, which judged. Without `suite` it is the file of the
    suite that was run, without a line. A suite that is not in a file has no place.
    """
    lines = [
        annotation(
            "error" if strict else LEVELS[verdict.status],
            _message(verdict),
            title=f"{verdict.check}: {verdict.status} ({verdict.editor})",
            place=_place(record, suite, verdict),
        )
        for editor in judgement.editors
        for verdict in editor.worst_first
        if verdict.status in LEVELS
    ]
    return "".join(f"{line}\n" for line in lines)


def render_problems(problems: Sequence[SuiteProblem]) -> str:
    """A line for each mistake in a suite, with its place if it has one."""
    return "".join(f"{_mistake(problem)}\n" for problem in problems)


def _mistake(problem: SuiteProblem) -> str:
    if problem.line is None:
        return annotation("error", str(problem), title="stability")
    place = {"file": problem.file, "line": str(problem.line)}
    return annotation("error", problem.said, title="stability", place=place)


def annotation(level: str, message: str, *, title: str, place: Mapping[str, str] | None = None) -> str:
    """`::error file=suite.yaml,line=3,title=…::message`, whatever is in the names."""
    keys = {**(place or {}), "title": title}
    listed = ",".join(f"{key}={_property(value)}" for key, value in keys.items())
    return f"::{level} {listed}::{_data(message)}"


def _message(verdict: Verdict) -> str:
    if verdict.status == "error":  # the reason is all that matters
        return verdict.message
    return "; ".join([wording.assertion(verdict), *wording.details(verdict)])


def _place(record: Record, suite: SuiteFile | None, verdict: Verdict) -> dict[str, str]:
    if suite is None:
        return {"file": _from_here(Path(record.suite_path))} if record.suite_path else {}
    if suite.path is None:
        return {}
    return {"file": _from_here(suite.path), "line": str(suite.line("checks", verdict.name))}


def _from_here(path: Path) -> str:
    """The path relative to the working directory, if it is in it, as the runner expects."""
    try:
        return path.resolve().relative_to(Path.cwd()).as_posix()
    except ValueError:
        return path.as_posix()


def _data(text: str) -> str:
    """The text in one line, with the runner's escapes."""
    return wording.clean(text).replace("%", "%25")


def _property(text: str) -> str:
    """The same for a property's value, in which colons and commas are escaped too."""
    return _data(text).replace(":", "%3A").replace(",", "%2C")
