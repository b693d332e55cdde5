"""Every number on the page and in the Markdown is one of run.json, or follows from it.

What follows is computed here from the parsed JSON: ratios and differences to the unedited model, shares, counts.
Margins, intervals and what a task could have shown come from judging the record again.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from stability import Suite
from stability.judge import Judgement
from stability.record import Record, read_record, write_record
from stability.report import render_html, render_markdown

Gate = Callable[..., tuple[Record, Judgement]]
NUMBER = re.compile(r"(?<![\w.])[-+−]?\d+(?:,\d{3})*(?:\.\d+)?(?:e[-+]?\d+)?(?: %)?(?![\w])")
SOURCES = re.compile(  # of what the page says of the literature
    r"arXiv[: ]\d+\.\d+|[Ff]igures? \d(?:(?:,| and|, and) \d)*|et al\.,? \d{4}|\d-\d times the unedited"
)
PROPOSED = re.compile(r"about [\d,]+ would do|[\d.]+ times its first norm|every \d+ edits")  # not measured
SAID = {0.5, 0.75, 1.0}  # by captions, of what a figure means
SAMPLE = Path(__file__).parents[2] / "reports" / "sample" / "run.json"


class Text(HTMLParser):
    """What a reader sees or is told: no styles, and of a drawing the titles, not the axes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.parts: list[str] = []
        self.exact: list[tuple[str, str]] = []  # of <data>: the value, and what is shown
        self._open: list[str] = []
        self._value: str | None = None
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        if tag in ("td", "th") and attributes.get("title"):
            self.parts.append(str(attributes["title"]))
        if tag == "data":
            self._value = attributes["value"]
        if tag not in ("meta", "link", "col", "br"):
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] in ("style", "text"):
            return
        if self._open and self._open[-1] == "data" and self._value is not None:
            self.exact.append((self._value, data))
        self.parts.append(data)


def leaves(value: Any) -> Iterator[Any]:
    """Every number and string of a JSON document, keys included."""
    if isinstance(value, dict):
        for key, part in value.items():
            yield key
            yield from leaves(part)
    elif isinstance(value, list):
        for part in value:
            yield from leaves(part)
    else:
        yield value


def numbers(values: Iterable[Any]) -> set[float]:
    """The numbers among them, and those that stand in the strings among them."""
    found: set[float] = set()
    for value in values:
        if isinstance(value, str):
            found.update(read(token) for token in NUMBER.findall(value))
            found.update(float(part) for part in re.findall(r"\d+(?:\.\d+)?", value))
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            found.add(float(value))
    return found


def read(token: str) -> float:
    return float(token.removesuffix(" %").replace(",", "").replace("−", "-"))


def derived(record: dict[str, Any]) -> set[float]:
    """What a figure makes of readings: over the unedited model's, less it, or counted."""
    found: set[float] = set()
    base = record["base"]["readings"]
    matrices = {matrix["name"] for matrix in record["model"]["matrices"]}
    found.add(len(matrices))
    for run in record["runs"]:
        changed = {name for point in run["checkpoints"] for name in point["changed"]} & matrices
        found |= {len(changed), len(matrices) - len(changed), len(run["checkpoints"]), len(run["edits"])}
        found.add(sum(run["timing"].values()))
        found |= {seconds / unit for seconds in run["timing"].values() for unit in (60, 3600)}
        for point in run["checkpoints"]:
            for metric, reading in point["readings"].items():
                found |= {len(reading["left_out"]), len(reading["values"])}
                for key, value in reading["values"].items():
                    before = base.get(metric, {"values": {}})["values"].get(key)
                    if isinstance(value, float) and isinstance(before, float):
                        found.add(value - before)
                        if before:
                            found.add(value / before)
                if reading["over"] == "edit":
                    held = list(reading["values"].values())
                    found.add(sum(held) / len(held))
                    step = max(1, math.ceil(len(held) / 40))
                    for first in range(0, len(held), step):
                        few = held[first : first + step]
                        found |= {sum(few) / len(few), first + 1, first + len(few)}
    return found


def judged(judgement: Judgement) -> set[float]:
    """What the verdicts say, as shares and as percentages, and how many there are of each kind."""
    content = json.loads(json.dumps(judgement.as_dict()))
    found = numbers(leaves(content))
    for verdict in judgement.verdicts:
        found |= {100 * share for share in (verdict.margin, verdict.flip_rate) if share is not None}
    for group in (judgement.verdicts, *(editor.verdicts for editor in judgement.editors)):
        found |= {float(count) for count in Counter(verdict.status for verdict in group).values()}
    for editor in judgement.editors:
        seconds = sum(run.seconds for run in editor.runs)
        found |= {seconds, seconds / 60, seconds / 3600}
    checks = Counter(verdict.metric for verdict in judgement.verdicts)
    return found | {float(count) for count in checks.values()}


def pool(path: Path, judgement: Judgement) -> set[float]:
    """Every number that a report of the record may show."""
    record = json.loads(path.read_text(encoding="utf-8"))
    return numbers(leaves(record)) | derived(record) | judged(judgement) | SAID


def is_in(token: str, known: set[float]) -> bool:
    """Whether a number is there, rounded to the digits that are shown; small whole ones exactly."""
    value = read(token)
    digits = re.fullmatch(r"[-+−]?[\d,]+(?:\.(\d+))?(?:e([-+]?\d+))?(?: %)?", token)
    assert digits is not None
    exponent = int(digits[2] or 0) - len(digits[1] or "")
    is_rounded = exponent < 0 or token.endswith("%") or abs(value) >= 100
    room = 0.5 * 10.0**exponent * (1 + 1e-6) if is_rounded else 0.0
    return any(abs(abs(one) - abs(value)) <= room for one in known)


def unfound(text: str, known: set[float]) -> list[str]:
    """The numbers of a text that are not there."""
    tokens = dict.fromkeys(NUMBER.findall(PROPOSED.sub(" ", SOURCES.sub(" ", text))))
    return [token for token in tokens if not is_in(token, known)]


@pytest.fixture(params=["synthetic", "several", "sample"])
def made(
    request: pytest.FixtureRequest, gate: Gate, records: ModuleType, tmp_path: Path
) -> tuple[Record, Judgement, Path]:
    """A record, its judgement, and its run.json."""
    if request.param == "sample":
        record = read_record(SAMPLE)
        return record, Suite.of(record).judge(record).judgement, SAMPLE
    base, memit = records.whole_run()
    others = [records.whole_run("rome", growth=0.004)[1], records.whole_run("rome", seed=1, growth=0.004)[1]]
    record, judgement = gate(memit, *(others if request.param == "several" else []), base=base)
    write_record(record, tmp_path / "run.json")
    return record, judgement, tmp_path / "run.json"


def test_every_number_of_the_page_is_in_the_record(made: tuple[Record, Judgement, Path]) -> None:
    record, judgement, path = made
    known = pool(path, judgement)
    assert unfound("\n".join(Text(render_html(record, judgement)).parts), known) == []


def test_every_number_of_the_markdown_is_in_the_record(made: tuple[Record, Judgement, Path]) -> None:
    record, judgement, path = made
    text = re.sub(r"\\(.)", r"\1", render_markdown(record, judgement))
    assert unfound(text, pool(path, judgement)) == []


def test_a_number_in_a_table_carries_its_exact_value(made: tuple[Record, Judgement, Path]) -> None:
    record, judgement, path = made
    known = pool(path, judgement)
    exact = Text(render_html(record, judgement)).exact
    assert len(exact) > 20
    for value, shown in exact:
        number = float(value)
        assert math.isnan(number) or math.isinf(number) or number in known, value
        if math.isfinite(number) and number:
            assert abs(read(shown) - number) <= 0.5001 * 10 ** (math.floor(math.log10(abs(number))) - 2)


@pytest.mark.parametrize("metric", ["weight_norm", "activation_norm", "probe_accuracy", "kl_divergence"])
def test_a_number_that_was_never_measured_is_found_out(
    gate: Gate, records: ModuleType, tmp_path: Path, metric: str
) -> None:
    record, judgement = gate()
    [run] = record.runs
    last = run.checkpoints[-1]
    reading = last.readings[metric]
    other = reading.model_copy(
        update={"values": {key: value * 1.0371 for key, value in reading.values.items()}}
    )
    point = last.model_copy(update={"readings": {**last.readings, metric: other}})
    changed = run.model_copy(update={"checkpoints": (*run.checkpoints[:-1], point)})
    text = "\n".join(Text(render_html(*gate(changed, base=record.base))).parts)
    write_record(record, tmp_path / "run.json")
    assert unfound(text, pool(tmp_path / "run.json", judgement)) != []
