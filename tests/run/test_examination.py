"""Which metrics are measured for a suite: what it asks for, and what costs nothing of its own."""

from __future__ import annotations

import pytest

from stability.parts import METRICS
from stability.run.examination import metrics_for
from stability.suite import SuiteSpec


def suite(model: str, metric: str, record: object = (), **keys: object) -> SuiteSpec:
    check = {"metric": metric, "assert": ">= 0", **keys}
    content = {"schema": 1, "name": "test", "model": model, "record": record, "checks": {"any": check}}
    return SuiteSpec.model_validate(content)


@pytest.mark.parametrize(
    ("model", "metric", "measured"),
    [("world", "nonfinite", False), ("world", "fluency", True), ("gpt2-xl", "fluency", True)],
)
def test_what_is_measured_on_request_is_measured_where_a_check_asks(
    model: str, metric: str, measured: bool
) -> None:
    assert ("fluency" in metrics_for(suite(model, metric))) is measured


def test_what_is_to_be_recorded_is_measured_though_no_check_asks() -> None:
    unasked = set(metrics_for(suite("world", "nonfinite")))
    named = suite("world", "nonfinite", record=["fluency"])
    assert set(metrics_for(named)) - unasked == {"fluency"}
    assert set(metrics_for(suite("world", "nonfinite", record="all"))) - unasked == {
        name for name, part in METRICS.built_in().items() if part.head.cost == "on request"
    } - {"task_score"}


@pytest.mark.parametrize("model", ["world", "gpt2-xl"])
def test_tasks_are_measured_where_a_check_names_them(model: str) -> None:
    assert "task_score" not in metrics_for(suite(model, "nonfinite"))
    assert "task_score" in metrics_for(suite(model, "task_score", for_each={"task": ["mmlu"]}))


def test_what_costs_nothing_of_its_own_is_measured_whether_a_check_asks_or_not() -> None:
    heads = {name: part.head for name, part in METRICS.built_in().items()}
    free = {name for name in heads if heads[name].measured == "run" and heads[name].cost != "on request"}
    free -= {name for name in heads if heads[name].over == "task"}
    assert set(metrics_for(suite("gpt2-xl", "nonfinite"))) == free


def test_no_others_than_those_named_are_measured() -> None:
    assert set(metrics_for(suite("world", "perplexity"), frozenset({"perplexity", "nonfinite"}))) == {
        "perplexity",
        "nonfinite",
    }
