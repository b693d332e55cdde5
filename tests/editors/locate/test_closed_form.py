"""The closed forms, held against the papers' equations solved densely in float64."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from stability.editors import Store
from stability.editors.locate.steps.closed_form import closed_form_change
from stability.editors.locate.steps.covariance import CovarianceSolver
from stability.editors.locate.steps.keys import averaged_keys
from stability.editors.locate.steps.null_space import NullSpace, null_basis, stored_null_basis
from stability.editors.locate.steps.past_keys import PastKeys
from stability.editors.locate.steps.value_norms import scaled_to_norm, usual_norm
from stability.errors import EditorError

D_KEY, D_OUT = 30, 8
THRESHOLD = 0.02
WEIGHT, SHIFT, SLACK, L2 = 7.0, 3.0, 0.1, 10.0


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture
def moment(rng: np.random.Generator) -> np.ndarray:
    """A second moment [d_key, d_key] whose eigenvalues go from 1e-4 to 100."""
    basis, _ = np.linalg.qr(rng.normal(size=(D_KEY, D_KEY)))
    moment: np.ndarray = basis * np.logspace(-4, 2, D_KEY) @ basis.T
    return (moment + moment.T) / 2


@pytest.fixture(params=[1, 5, 40], ids=["one", "five", "more than d_key"])
def parts(request: pytest.FixtureRequest, rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    """R [d_out, n], K [d_key, n] and the keys of 12 earlier edits [d_key, 12]."""
    n = request.param
    return rng.normal(size=(D_OUT, n)), rng.normal(size=(D_KEY, n)), rng.normal(size=(D_KEY, 12))


def change(
    solver: Any, residuals: np.ndarray, keys: np.ndarray, past: np.ndarray | None = None, slack: float = 1.0
) -> np.ndarray:
    if past is not None:
        solver = PastKeys(solver)
        for start in (0, 4, 5):  # as three batches of different sizes
            solver.add(torch.tensor(past.T[start : {0: 4, 4: 5, 5: 12}[start]].copy()))
    rows = torch.tensor(keys.T.copy())
    found = closed_form_change(torch.tensor(residuals.T.copy()), rows, solver.solve(rows), slack)
    assert found.dtype == torch.float64
    return found.numpy()


def assert_same(found: np.ndarray, expected: np.ndarray) -> None:
    assert found.shape == expected.shape == (D_OUT, D_KEY)
    assert np.linalg.norm(found - expected) <= 1e-6 * np.linalg.norm(expected)


def test_memits_change_is_equation_14(moment: np.ndarray, parts: tuple[np.ndarray, ...]) -> None:
    r, k, _ = parts
    expected = r @ k.T @ np.linalg.inv(WEIGHT * moment + k @ k.T)
    assert_same(change(CovarianceSolver(torch.tensor(moment), 0.0, WEIGHT), r, k), expected)


def test_the_ridge_is_weighted_as_the_covariance_is(
    moment: np.ndarray, parts: tuple[np.ndarray, ...]
) -> None:
    r, k, _ = parts
    ridged = moment + 0.5 * np.trace(moment) / D_KEY * np.eye(D_KEY)
    expected = r @ k.T @ np.linalg.inv(WEIGHT * ridged + k @ k.T)
    assert_same(change(CovarianceSolver(torch.tensor(moment), 0.5, WEIGHT), r, k), expected)


def test_emmets_change_is_the_papers(moment: np.ndarray, parts: tuple[np.ndarray, ...]) -> None:
    r, k, _ = parts
    inverse = np.linalg.inv(moment)
    expected = r @ np.linalg.inv(k.T @ inverse @ k + SLACK * np.eye(k.shape[1])) @ k.T @ inverse
    assert_same(change(CovarianceSolver(torch.tensor(moment), 0.0), r, k, slack=SLACK), expected)


def test_emmet_without_slack_hits_every_value(moment: np.ndarray, rng: np.random.Generator) -> None:
    r, k = rng.normal(size=(D_OUT, 5)), rng.normal(size=(D_KEY, 5))
    found = change(CovarianceSolver(torch.tensor(moment), 0.0), r, k, slack=0.0)
    np.testing.assert_allclose(found @ k, r, rtol=1e-7)


def test_emmet_without_slack_cannot_hit_two_values_at_one_key(moment: np.ndarray) -> None:
    keys = torch.ones(2, D_KEY, dtype=torch.float64)
    solver = CovarianceSolver(torch.tensor(moment), 0.0)
    with pytest.raises(EditorError, match="2 keys of one batch are not linearly independent"):
        closed_form_change(torch.ones(2, D_OUT), keys, solver.solve(keys), 0.0)


def test_a_model_that_is_broken_already_cannot_be_edited(moment: np.ndarray) -> None:
    keys = torch.full((2, D_KEY), torch.nan, dtype=torch.float64)
    solved = CovarianceSolver(torch.tensor(moment), 0.0).solve(keys)
    with pytest.raises(EditorError, match="earlier edits have broken the model"):
        closed_form_change(torch.ones(2, D_OUT), keys, solved)


def test_encores_change_is_the_papers(moment: np.ndarray, parts: tuple[np.ndarray, ...]) -> None:
    r, k, past = parts
    charge = WEIGHT * moment + SHIFT * np.eye(D_KEY) + past @ past.T + k @ k.T
    expected = r @ k.T @ np.linalg.inv(charge)
    assert_same(change(CovarianceSolver(torch.tensor(moment), 0.0, WEIGHT, SHIFT), r, k, past), expected)


def projector(moment: np.ndarray) -> np.ndarray:
    """P as AlphaEdit's code makes it, from singular vectors."""
    left, singular, _ = np.linalg.svd(moment)
    free: np.ndarray = left[:, singular < THRESHOLD]
    assert 0 < free.shape[1] < D_KEY
    return free @ free.T


def test_alphaedits_change_is_the_papers(moment: np.ndarray, parts: tuple[np.ndarray, ...]) -> None:
    r, k, past = parts
    p = projector(moment)
    charge = p @ (k @ k.T + past @ past.T) + L2 * np.eye(D_KEY)
    expected = (np.linalg.inv(charge) @ p @ k @ r.T).T
    solver = NullSpace(null_basis(torch.tensor(moment), THRESHOLD), L2)
    found = change(solver, r, k, past)
    assert_same(found, expected)
    text_key = np.linalg.eigh(moment)[1][:, -1]
    assert np.abs(found @ text_key).max() < 1e-10 * np.abs(found).max()


def test_past_keys_beyond_twice_d_key_are_replaced_by_fewer_that_charge_the_same(
    moment: np.ndarray, rng: np.random.Generator
) -> None:
    past = rng.normal(size=(3 * D_KEY, D_KEY))
    solver = PastKeys(CovarianceSolver(torch.tensor(moment), 0.0))
    for batch in np.split(past, 9):
        solver.add(torch.tensor(batch))
    assert len(solver.state()["keys"]) <= 2 * D_KEY
    key = rng.normal(size=D_KEY)
    expected = np.linalg.solve(moment + past.T @ past, key)
    np.testing.assert_allclose(solver.solve(torch.tensor(key[None]))[0].numpy(), expected, rtol=1e-6)


def test_past_keys_go_on_from_their_state_bit_for_bit(moment: np.ndarray, rng: np.random.Generator) -> None:
    first, second, key = (torch.tensor(rng.normal(size=(3, D_KEY))) for _ in range(3))
    solver, resumed = (PastKeys(CovarianceSolver(torch.tensor(moment), 0.0)) for _ in range(2))
    solver.add(first)
    resumed.load_state(solver.state())
    for one in (solver, resumed):
        one.add(second)
    assert torch.equal(solver.solve(key), resumed.solve(key))


def test_without_a_free_direction_there_is_no_null_space(moment: np.ndarray) -> None:
    with pytest.raises(
        EditorError, match=r"C's smallest eigenvalue is 0\.0001; set nullspace_threshold above"
    ):
        null_basis(torch.tensor(moment), 1e-5)


def test_a_null_space_is_stored_by_its_covariance_and_threshold(
    moment: np.ndarray, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[float] = []
    eigh = torch.linalg.eigh

    def counted(matrix: torch.Tensor) -> Any:
        calls.append(matrix[0, 0].item())
        return eigh(matrix)

    monkeypatch.setattr(torch.linalg, "eigh", counted)
    one = torch.tensor(moment)
    first = stored_null_basis(one, THRESHOLD, store)
    assert torch.equal(stored_null_basis(one, THRESHOLD, store), first)
    assert len(calls) == 1
    assert stored_null_basis(one, 10 * THRESHOLD, store).shape[1] > first.shape[1]
    stored_null_basis(2 * one, THRESHOLD, store)
    assert len(calls) == 3


def test_a_key_is_half_bare_and_half_the_mean_behind_contexts(rng: np.random.Generator) -> None:
    rows = rng.normal(size=(2, 4, D_KEY))  # bare, two contexts, the subject alone
    found = averaged_keys(torch.tensor(rows.reshape(8, D_KEY)), contexts=3).numpy()
    expected = np.stack([0.5 * one[0] + 0.25 * one[1] + 0.25 * one[2] for one in rows])
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    bare = averaged_keys(torch.tensor(rows[:, [0, 3]].reshape(4, D_KEY)), contexts=1).numpy()
    np.testing.assert_allclose(bare, rows[:, 0])


def test_the_anchor_is_the_mean_norm_without_the_largest_five_per_cent() -> None:
    norms = torch.tensor([*range(1, 39), 1000.0, 2000.0])
    assert usual_norm(norms) == pytest.approx(np.mean(range(1, 39)))
    assert usual_norm(norms[:19]) == pytest.approx(np.mean(range(1, 20)))


def test_values_get_the_anchors_norm_and_the_longest_are_not_written(rng: np.random.Generator) -> None:
    values, unedited = torch.tensor(rng.normal(size=(2, 4, D_OUT)))
    lengths = torch.tensor([0.1, 1.0, 9.9, 10.1], dtype=torch.float64)
    values = values / values.norm(dim=-1, keepdim=True) * lengths[:, None]
    found = scaled_to_norm(values, unedited, 5.0)
    torch.testing.assert_close(found[:3].norm(dim=-1), torch.full((3,), 5.0, dtype=torch.float64))
    torch.testing.assert_close(found[:3] / 5, values[:3] / lengths[:3, None])
    assert torch.equal(found[3], unedited[3])
