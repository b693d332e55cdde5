"""What is measured where nobody asks for it."""

import pytest

from stability.metrics import metrics_of, refuse_unjudgeable
from stability.parts import METRICS
from stability.suite import parse_suite

TEXT = "schema: 1\nname: x\nchecks: {a: {metric: weight_norm, assert: '<= 2'}}\n"


@pytest.mark.parametrize("record", ["", "record: all\n"])
def test_what_costs_little_is_measured_unasked_and_with_record_all_everything_but_tasks(record):
    suite = parse_suite(TEXT + record).spec
    kinds = metrics_of(suite)
    wanted = {name for name, kind in kinds.items() if kind().wanted(suite)}
    for name, kind in kinds.items():
        if type(kind()).wanted is not next(base for base in kind.__mro__ if base.__name__ == "Metric").wanted:
            continue  # has a rule of its own
        is_cheap = kind.head.cost != "on request" or bool(record)
        assert (name in wanted) == (is_cheap and kind.head.over != "task"), name
    assert "weight_norm" in wanted
    assert "task_score" not in wanted
    assert set(wanted) <= set(METRICS.built_in())


def test_all_is_no_metric_that_has_to_be_found():
    refuse_unjudgeable(parse_suite(TEXT + "record: all\n"), is_run=True)
