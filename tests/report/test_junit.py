"""JUnit XML."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any
from xml.etree import ElementTree

from stability.judge import Judgement
from stability.record import Record
from stability.report import render_junit

Gate = Callable[..., tuple[Record, Judgement]]


def parsed(pair: tuple[Record, Judgement]) -> ElementTree.Element:
    return ElementTree.fromstring(render_junit(*pair).encode())


def case(root: ElementTree.Element, name: str) -> ElementTree.Element:
    [found] = [case for case in root.iter("testcase") if case.get("name") == name]
    return found


def properties(element: ElementTree.Element) -> dict[str, str]:
    found = element.find("properties")
    assert found is not None
    return {str(entry.get("name")): str(entry.get("value")) for entry in found}


def test_there_is_a_test_case_for_each_check_of_each_editor(gate: Gate, records: ModuleType) -> None:
    record, judgement = gate(records.whole_run()[1], records.whole_run("rome", growth=0.004)[1])
    root = parsed((record, judgement))
    found = [(entry.get("classname"), entry.get("name")) for entry in root.iter("testcase")]
    assert found == [(f"norm-growth.{verdict.editor}", verdict.check) for verdict in judgement.verdicts]


def test_the_counts_are_those_of_the_cases_below(gate: Gate) -> None:
    root = parsed(gate())
    for element in (root, *root.iter("testsuite")):
        assert element.get("tests") == str(len(list(element.iter("testcase")))) == "11"
        assert element.get("failures") == str(len(list(element.iter("failure")))) == "2"
        assert element.get("errors") == str(len(list(element.iter("error")))) == "0"
        assert element.get("skipped") == str(len(list(element.iter("skipped")))) == "1"


def test_a_failure_holds_its_figures_as_properties(gate: Gate) -> None:
    record, judgement = gate()
    failed = case(parsed((record, judgement)), "edited_weight_norm")
    verdict = judgement.verdicts[0]
    found = properties(failed)
    assert float(found["value"]) == verdict.value
    assert (found["held_to"], found["failed_at"], found["where"]) == ("40", "60", "h.1.mlp.c_proj")
    outcome = failed.find("failure")
    assert outcome is not None
    assert "6.82 <= 2.0; h.1.mlp.c_proj; held to 40, failed at 60" in str(outcome.get("message"))
    assert record.command in str(outcome.text)


def test_warnings_and_inconclusive_checks_pass_and_say_so(gate: Gate) -> None:
    root = parsed(gate())
    for name, word in (("norm_imbalance", "warn: "), ("task_drop[pair]", "inconclusive: ")):
        entry = case(root, name)
        assert entry.find("failure") is None
        assert str(entry.findtext("system-out")).startswith(word)


def test_an_error_is_an_error(gate: Gate, records: ModuleType) -> None:
    run = records.whole_run(growth=0.001)[1]
    failed = run.model_copy(update={"status": "failed", "error": records.poor("boom"), "failed_at": 6})
    outcome = case(parsed(gate(failed)), "frozen").find("error")
    assert outcome is not None
    assert outcome.get("message") == "run failed after 6 edits: boom"


def test_time_is_the_time_of_the_run(gate: Gate) -> None:
    [suite] = parsed(gate()).iter("testsuite")
    assert float(str(suite.get("time"))) == 15.0


def test_hostile_names_give_xml_that_can_be_read(hostile: tuple[Any, Any]) -> None:
    root = parsed(hostile)
    [suite] = root.iter("testsuite")
    assert "<script>" in str(suite.get("name"))
    assert not {"\x1b", "\x00"} & set(render_junit(*hostile))


def test_facts_that_the_model_did_not_know_are_a_property_of_the_suite(gate: Gate) -> None:
    record, judgement = gate()
    known = record.model_copy(update={"passed_over": {1: 7, 0: 778}})
    found = [properties(suite) for suite in parsed((known, judgement)).iter("testsuite")]
    assert {one["passed_over"] for one in found} == {"778 at seed 0, 7 at seed 1"}
    assert not any(
        "passed_over" in properties(suite) for suite in parsed((record, judgement)).iter("testsuite")
    )
