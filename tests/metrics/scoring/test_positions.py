"""Which tokens are read: every one once, and samples that are spread over the text."""

from itertools import accumulate, pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from stability.metrics.scoring.positions import choose_places, evenly
from stability.models import TokenizedText

texts = st.lists(st.tuples(st.integers(1, 60), st.booleans()), min_size=1, max_size=30).map(
    lambda windows: TokenizedText(
        tuple(torch.arange(length) + 100 * number for number, (length, _) in enumerate(windows)),
        "test",
        tuple(accumulate((another for _, another in windows[1:]), initial=0)),
    )
)


@given(text=texts, features=st.integers(1, 80), skip=st.integers(0, 5))
def test_places_follow_from_the_windows(text, features, skip):
    places = choose_places(text, features, skip)
    flat = [
        (number, position, int(token))
        for number, window in enumerate(text.windows)
        for position, token in enumerate(window)
    ]
    assert (
        list(zip(places.window.tolist(), places.position.tolist(), places.ids.tolist(), strict=True)) == flat
    )
    assert places.document.tolist() == [text.document[number] for number, _, _ in flat]

    predicting = [index for index, (number, _, _) in enumerate(flat[:-1]) if flat[index + 1][0] == number]
    assert places.predicting.tolist() == predicting

    eligible = [index for index, (_, position, _) in enumerate(flat) if position >= skip]
    assert set(places.features.tolist()) <= set(eligible)
    assert len(set(places.features.tolist())) == len(places.features) == min(features, len(eligible))


@given(text=texts, most=st.integers(1, 300))
def test_every_window_is_in_one_batch_and_no_batch_of_several_is_too_large(text, most):
    batches = [batch.tolist() for batch in choose_places(text, 1, 0).batches(most)]
    assert sorted(window for batch in batches for window in batch) == list(range(len(text.windows)))
    for batch in batches:
        longest = max(len(text.windows[window]) for window in batch)
        assert len(batch) == 1 or len(batch) * longest <= most


def test_an_empty_document_is_passed_over():
    places = choose_places(TokenizedText((torch.arange(0), torch.arange(3)), "test", (0, 1)), 5, 0)
    assert places.ids.tolist() == [0, 1, 2]
    assert places.window.tolist() == [0, 0, 0]
    assert places.document.tolist() == [1, 1, 1]


@given(n=st.integers(0, 300), count=st.integers(1, 300))
def test_a_sample_is_different_indices_at_steps_that_differ_by_1_at_most(n, count):
    chosen = evenly(n, count).tolist()
    assert len(chosen) == min(n, count)
    steps = {second - first for first, second in pairwise(chosen)}
    assert all(step >= 1 for step in steps)
    assert not steps or max(steps) - min(steps) <= 1
    assert not chosen or (chosen[0] == 0 and 0 < n - chosen[-1] <= n / len(chosen) + 1)


@pytest.mark.parametrize("skip", [0, 1, 3])
def test_the_first_tokens_of_each_window_give_no_features(skip, random_text):
    places = choose_places(random_text, 10_000, skip)
    assert int(places.position[places.features].min()) == skip
