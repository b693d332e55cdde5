"""What an editor says of its edits, as a mean over those since the checkpoint before."""

import pytest

from stability.metrics import Skipped, find_metric
from stability.record import EditOutcome

RUN = {"edits": {"source": "world", "count": 6}, "checkpoints": [2, 4]}


def outcomes(name, values):
    return tuple(
        EditOutcome(
            id=str(number), prompt="{}", subject="s", target="t", reported={} if v is None else {name: v}
        )
        for number, v in enumerate(values)
    )


@pytest.fixture(params=["value_norm", "training_loss"])
def name(request):
    return request.param


@pytest.fixture
def reading(build_model, context_of, name):
    def read(values):
        context = context_of(build_model(), run=RUN)
        context.outcomes = outcomes(name, values)
        return find_metric(name)().measure(context)

    return read


@pytest.mark.parametrize(
    ("values", "mean"),
    [([1.0, 3.0], 2.0), ([1.0, 3.0, 5.0, 9.0], 7.0), ([1.0, 3.0, 5.0, 9.0, 4.0], 4.0)],
    ids=["first", "second", "broken off between checkpoints"],
)
def test_the_mean_is_over_the_edits_since_the_checkpoint_before(reading, values, mean):
    assert reading(values).values == {"": mean}


def test_there_is_nothing_to_read_before_the_first_edit(reading):
    with pytest.raises(Skipped, match="no edits made"):
        reading([])


def test_an_editor_that_does_not_report_it_is_no_fault(reading, name):
    with pytest.raises(Skipped, match=f"the editor reports no {name.replace('_', ' ')}"):
        reading([None, 2.0])
