from stability.metrics import METRICS
from stability.parts import COSTS, GATE, metric_names


def test_the_names_that_suites_may_use_are_those_that_are_measured():
    assert metric_names() == tuple(sorted([*METRICS, *COSTS, *GATE]))
