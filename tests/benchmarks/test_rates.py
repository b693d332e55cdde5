"""The simulated rates: their documents are what they are said to be, and the page says what was found."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import multinomial

from benchmarks.rates import horizon, results, trials
from benchmarks.rates.__main__ import PAGE, page_as_found
from benchmarks.rates.answers import Choices, Fate, Population, score_of
from benchmarks.rates.cells import DATA, POWERS, QUICK, Cell, Claim, cells
from benchmarks.rates.trials import simulate
from stability.judge.noise import exact

MANY = 400_000


@pytest.mark.parametrize("data", [name for name in DATA if "mean" not in name])
def test_the_true_drop_of_the_documents_is_the_one_that_is_asked_for(data: str) -> None:
    population: Population = DATA[data]
    rng = np.random.default_rng(0)
    before = population.draw(rng, MANY)
    [fate] = Fate.draw(rng, MANY, 1, 0.0)
    flips = 0.1 + population.flips_of(0.05)
    now = population.edited(before, fate, flips, 0.05)
    assert score_of(before)[1] - score_of(now)[1] == pytest.approx(0.05, abs=0.006)


def test_guessing_changes_as_many_answers_as_are_said_to_come_on_top() -> None:
    choices, rng = Choices(right=0.7, choices=4), np.random.default_rng(0)
    damage = 0.1 / (0.7 - 1 / 4)  # of all documents, for a drop of .1
    right = rng.random(MANY) < 0.7
    guessed = rng.random(MANY) < 1 / 4
    now = np.where(rng.random(MANY) < damage, guessed, right)
    assert (now != right).mean() == pytest.approx(choices.flips_of(0.1), abs=0.002)
    assert right.mean() - now.mean() == pytest.approx(0.1, abs=0.003)


@pytest.mark.parametrize("correlation", [0.0, 0.95, 1.0])
def test_tests_of_the_same_documents_change_together_as_they_are_correlated(correlation: float) -> None:
    first, second = Fate.draw(np.random.default_rng(0), MANY, 2, correlation)
    assert np.corrcoef(first.drawn[0] < 0.1, second.drawn[0] < 0.1)[0, 1] == pytest.approx(
        {0.0: 0.0, 0.95: 0.755, 1.0: 1.0}[correlation], abs=0.02
    )
    assert first.drawn.mean() == pytest.approx(0.5, abs=0.002)


@pytest.mark.parametrize("tests", [1, 15])
def test_the_enumerated_rate_of_accuracies_is_that_of_every_table(tests: int) -> None:
    cell = Cell("fails", "accuracy", tests, flips=0.2, n=40)
    every = np.array([(g, k, 40 - g - k) for g in range(41) for k in range(41 - g)])
    fails = [exact.drop_p_value(int(g), int(k), 40, 0.05) <= 0.05 / tests for g, k, _ in every]
    one = multinomial.pmf(every[fails], 40, [0.075, 0.125, 0.8]).sum()
    counted = simulate(cell, 1)
    assert counted.seen / counted.judged == pytest.approx(1 - (1 - one) ** tests, abs=1e-5)


def test_what_was_found_is_read_as_it_was_written(tmp_path) -> None:
    found = {cell: simulate(Cell("fails", "accuracy", n=50), 3) for cell in list(cells())[:3]}
    results.write(found, tmp_path / "results.csv")
    assert results.read(tmp_path / "results.csv") == found


def test_the_tables_of_the_page_are_made_from_what_was_found() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert page == page_as_found(page)


def test_every_cell_was_simulated_at_full_size() -> None:
    found, searched = results.read(), horizon.read()
    assert [cell for cell in cells() if cell not in found or found[cell].trials < cell.trials] == []
    wanted = list(horizon.horizon_cells())
    assert [one for one in wanted if one not in searched or searched[one].trials < one.trials] == []


@pytest.mark.torture
@pytest.mark.parametrize("cell", QUICK, ids=repr)
def test_simulated_in_small_no_rate_is_another_than_the_stated_one(cell: Cell) -> None:
    counted = simulate(cell, 200)
    assert counted.judged == counted.trials
    rate, error = results.share(counted.seen, counted.judged)
    if cell.claim in POWERS:
        assert abs(rate - 0.8) <= 0.03 + error
    else:
        assert rate - error <= 0.05


@pytest.mark.torture
@pytest.mark.parametrize("drop", horizon.DROPS)
def test_simulated_in_small_no_horizon_is_shown_where_it_is_not(drop: str) -> None:
    found = horizon.searched(horizon.HorizonCell(drop, "bisected"), 60)
    for wrong in (found.early, found.late):
        rate, error = results.share(wrong, found.trials)
        assert rate - error <= 0.05


def test_no_rate_that_was_found_is_another_than_the_stated_one_by_more_than_two_errors() -> None:
    for cell, counted in results.read().items():
        if counted.judged > counted.trials / 2:
            rate, error = results.share(counted.seen, counted.judged)
            if cell.claim in POWERS:
                assert abs(rate - 0.8) <= 0.03 + error, cell
            else:
                assert rate - error <= (0.05 if cell.data.startswith("accuracy") else 0.06), cell
    for one, found in horizon.read().items():
        for wrong in (found.early, found.late):
            rate, error = results.share(wrong, found.trials)
            assert rate - error <= 0.05, one


@pytest.mark.parametrize("claim", ["fails", "differs"])
def test_a_family_of_numbers_of_too_few_documents_is_refused_as_a_whole(claim: Claim) -> None:
    refused, judged = (
        simulate(Cell(claim, "numbers, skewed", 15, flips=1.0, n=n), 1).judged for n in (49, 50)
    )
    assert (refused, judged) == (0, 1)


def test_what_is_detected_of_documents_that_share_a_passage_is_about_that_of_as_many_that_do_not() -> None:
    found = []
    for data in ("accuracy", "accuracy, 5 a passage (.3)"):
        cell, rng = Cell("detects", data, n=1000), np.random.default_rng(0)
        before = DATA[data].draw(rng, cell.n)
        same = DATA[data].edited(before, trials.fate(cell, rng), cell.flips, 0.0)
        found.append(trials.verdict(cell, before, same, same).detects or 0.0)
    assert found == pytest.approx([0.087, 0.087], abs=0.015)
