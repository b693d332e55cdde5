from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from stability.data.edits import Edit
from stability.editors import LoadedEditor, Store, find_editor
from stability.editors.wrappers.prune import restrained
from stability.editors.wrappers.rect import largest_relative
from stability.editors.wrappers.revive import outside
from stability.editors.wrappers.sphere import away_from_principal
from stability.editors.wrappers.steps.singular import count_for_energy, singular
from stability.errors import EditorError, SettingsError
from stability.models import ModelMap, map_model

NAME = {"gpt2": "transformer.h.1.mlp.c_proj.weight", "llama": "model.layers.1.mlp.down_proj.weight"}
EDITOR = '''
import torch
from stability.models import map_model

class Random:
    """Adds a random rank-one change of the given size to one matrix, every second call also to another."""

    def __init__(self, size: float = 1.0):
        self.size = size
        self.calls = 0

    def edit(self, model, tokenizer, edits):
        found = map_model(model)
        for _ in edits:
            self.calls += 1
            for layer in (1, 2) if self.calls % 2 == 0 else (1,):
                weight = found.weight(found.matrix(layer, "mlp_out"))
                change = torch.outer(torch.randn(weight.shape[0]), torch.randn(weight.shape[1]))
                weight.add_(self.size * change / change.norm())

    def state(self):
        return {"calls": self.calls}

    def load_state(self, state):
        self.calls = state["calls"]

    def report(self):
        return {"value_norm": [2.5]}

def adds_a_parameter(model, tokenizer, edits):
    model.extra = torch.nn.Parameter(torch.zeros(2))
'''


def matrices(rows: int, columns: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    weight, delta = torch.randn(2, rows, columns, generator=generator, dtype=torch.float64)
    return weight, delta


SHAPES = st.tuples(st.integers(2, 9), st.integers(2, 9), st.integers(0, 10_000))


def close(ours: torch.Tensor, reference: np.ndarray) -> None:
    assert np.linalg.norm(ours.numpy() - reference) <= 1e-6 * max(np.linalg.norm(reference), 1e-3)


@given(SHAPES, st.floats(0.05, 0.95), st.floats(0, 1))
def test_sphere_is_the_dense_projection_off_the_leading_eigenvectors(shape, eta, alpha):
    weight, delta = matrices(*shape)
    rows = weight.numpy() / (np.linalg.norm(weight.numpy(), axis=1, keepdims=True) + 1e-8)
    values, vectors = np.linalg.eigh(rows.T @ rows / len(rows))
    values, vectors = values[::-1].clip(0), vectors[:, ::-1]
    r = int((np.cumsum(values) / values.sum() <= eta).sum()) + 1
    if r < len(values) and values[r - 1] - values[r] < 1e-6:
        return  # the directions are not determined
    principal = vectors[:, :r]
    expected = delta.numpy() @ (np.eye(shape[1]) - alpha * principal @ principal.T)
    close(away_from_principal(weight, delta, eta, alpha), expected)


@given(SHAPES, st.floats(0.05, 0.9))
def test_revive_zeroes_every_component_with_a_dominant_direction_on_either_side(shape, tau):
    weight, delta = matrices(*shape)
    left, values, right = np.linalg.svd(weight.numpy(), full_matrices=True)
    energy = np.cumsum(values**2) / (values**2).sum()
    k = int(np.argmax(energy > tau)) + 1
    components = left.T @ delta.numpy() @ right.T
    components[:k] = 0
    components[:, :k] = 0
    found = singular(weight)
    kept = found.first(count_for_energy(found.values**2, tau))
    close(outside(kept.left, kept.right, delta), left @ components @ right)


@given(SHAPES, st.floats(0.05, 1))
def test_rect_keeps_the_relatively_largest_entries(shape, kept):
    weight, delta = matrices(*shape)
    entries = [
        (abs(delta[i, j].item() / (weight[i, j].item() + 1e-8)), i, j)
        for i in range(shape[0])
        for j in range(shape[1])
    ]
    chosen = sorted(entries, reverse=True)[: max(1, round(kept * len(entries)))]
    expected = np.zeros(delta.shape)
    for _, i, j in chosen:
        expected[i, j] = delta[i, j]
    close(largest_relative(weight, delta, kept), expected)


@given(SHAPES, st.floats(0.1, 20), st.sampled_from([math.e, 2.0, 1.2]))
def test_prune_takes_the_logarithm_of_singular_values_above_the_first_matrixs_largest(shape, scale, base):
    weight, delta = matrices(*shape)
    delta = delta * scale
    limit = np.linalg.svd(weight.numpy(), compute_uv=False)[0]
    left, values, right = np.linalg.svd(delta.numpy(), full_matrices=False)
    held = np.where(values > limit, (np.log(values) - np.log(limit)) / np.log(base) + limit, values)
    close(restrained(weight, delta, base), left @ np.diag(held) @ right)


@given(SHAPES)
def test_the_decomposition_puts_the_matrix_together_again(shape):
    weight, _ = matrices(*shape)
    found = singular(weight)
    np.testing.assert_allclose(found.left * found.values @ found.right.T, weight, atol=1e-6)
    np.testing.assert_allclose(found.values, np.linalg.svd(weight.numpy(), compute_uv=False), rtol=1e-6)


@pytest.fixture
def random_editor(tmp_path: Path) -> str:
    (tmp_path / "random_editor.py").write_text(EDITOR)
    return f"{tmp_path}/random_editor.py:Random"


def round_random(name: str, random_editor: str, size: float = 1.0, **given: Any) -> LoadedEditor:
    return find_editor(name, {"editor": {random_editor: {"size": size}}, **given})


def run(tiny: Any, editor: LoadedEditor, edits: int, start: int = 0) -> None:
    for number in range(start, edits):
        torch.manual_seed(number)
        editor.edit(
            tiny.model, tiny.tokenizer, [Edit(id=f"{number}", prompt="{} is", subject="a", target="b")]
        )


def weight_of(tiny: Any, layer: int = 1) -> torch.Tensor:
    found: ModelMap = map_model(tiny.model)
    return found.weight(found.matrix(layer, "mlp_out")).double().clone()


CHANGES: dict[str, Callable[[torch.Tensor, torch.Tensor], torch.Tensor]] = {
    "sphere": lambda weight, delta: away_from_principal(weight, delta, 0.5, 0.8),
    "rect": lambda weight, delta: largest_relative(weight, delta, 0.4),
}


@pytest.mark.parametrize("architecture", ["gpt2", "llama"])
@pytest.mark.parametrize("name", sorted(CHANGES))
def test_a_wrapper_changes_what_the_editor_inside_does_whichever_way_the_weight_is_stored(
    build: Any, random_editor: str, store: Store, architecture: str, name: str
) -> None:
    plain, wrapped = build(architecture), build(architecture)
    before = weight_of(plain)
    inside = find_editor(random_editor)
    inside.prepare(plain.model, plain.tokenizer, store)
    run(plain, inside, 1)
    editor = round_random(name, random_editor)
    editor.prepare(wrapped.model, wrapped.tokenizer, store)
    run(wrapped, editor, 1)
    delta = weight_of(plain) - before
    assert delta.norm() > 0.5
    torch.testing.assert_close(
        weight_of(wrapped) - before, CHANGES[name](before, delta), atol=1e-5, rtol=1e-4
    )
    assert torch.equal(weight_of(wrapped, 3), weight_of(plain, 3))
    assert editor.report(1) == [{"value_norm": 2.5}]


def test_revive_spares_the_directions_of_the_first_matrix_for_good(
    gpt2: Any, random_editor: str, store: Store
) -> None:
    first = singular(weight_of(gpt2))
    kept = first.first(count_for_energy(first.values**2, 0.5))
    base = weight_of(gpt2)
    editor = round_random("revive", random_editor, size=5.0)
    editor.prepare(gpt2.model, gpt2.tokenizer, store)
    run(gpt2, editor, 3)
    total = weight_of(gpt2) - base
    assert total.norm() > 1
    assert (kept.left.T @ total).norm() < 1e-4 * total.norm()
    assert (total @ kept.right).norm() < 1e-4 * total.norm()


def test_after_n_edits_prune_shows_what_it_makes_of_all_n_changes(
    build: Any, random_editor: str, store: Store
) -> None:
    plain, pruned = build("gpt2"), build("gpt2")
    first = {layer: weight_of(plain, layer) for layer in (1, 2)}
    inside = find_editor(random_editor, {"size": 8.0})
    inside.prepare(plain.model, plain.tokenizer, store)
    editor = round_random("prune", random_editor, size=8.0)
    editor.prepare(pruned.model, pruned.tokenizer, store)
    for count in range(1, 6):  # at odd counts layer 2 keeps what an earlier edit did
        run(plain, inside, count, count - 1)
        run(pruned, editor, count, count - 1)
        for layer, base in first.items():
            expected = base + restrained(base, weight_of(plain, layer) - base)
            torch.testing.assert_close(weight_of(pruned, layer), expected, atol=1e-4, rtol=1e-4)
    assert weight_of(pruned).norm() < 0.9 * weight_of(plain).norm()


def test_the_norm_of_an_edited_matrix_never_passes_its_limit(
    gpt2: Any, random_editor: str, store: Store
) -> None:
    base, untouched = weight_of(gpt2), weight_of(gpt2, 3)
    editor = round_random("frobenius", random_editor, size=3.0, max_ratio=1.2)
    editor.prepare(gpt2.model, gpt2.tokenizer, store)
    norms = []
    for count in range(1, 9):
        run(gpt2, editor, count, count - 1)
        norms.append(float(weight_of(gpt2).norm() / base.norm()))
    assert max(norms) <= 1.2 * (1 + 1e-6)
    assert norms[-1] == pytest.approx(1.2, rel=1e-6)
    assert torch.equal(weight_of(gpt2, 3), untouched)


def test_a_reset_brings_edited_matrices_back_to_their_first_norm_every_k_edits(
    gpt2: Any, random_editor: str, store: Store
) -> None:
    base = weight_of(gpt2).norm()
    editor = round_random("reset", random_editor, size=3.0, every=3)
    editor.prepare(gpt2.model, gpt2.tokenizer, store)
    ratios = []
    for count in range(1, 8):
        run(gpt2, editor, count, count - 1)
        ratios.append(float(weight_of(gpt2).norm() / base))
    back = [index + 1 for index, ratio in enumerate(ratios) if ratio == pytest.approx(1, abs=1e-6)]
    assert back == [3, 6]


@pytest.mark.parametrize("name", ["sphere", "revive", "rect", "prune", "frobenius", "reset"])
def test_a_wrappers_run_goes_on_from_its_state_bit_for_bit(
    build: Any, random_editor: str, store: Store, name: str
) -> None:
    through, broken_off = build("gpt2"), build("gpt2")
    given = {"every": 3} if name == "reset" else {}
    editor = round_random(name, random_editor, size=6.0, **given)
    editor.prepare(through.model, through.tokenizer, store)
    run(through, editor, 5)

    first = round_random(name, random_editor, size=6.0, **given)
    unedited = {key: value.clone() for key, value in broken_off.model.state_dict().items()}
    first.prepare(broken_off.model, broken_off.tokenizer, store)
    run(broken_off, first, 2)
    state, weights = first.state(), {k: v.clone() for k, v in broken_off.model.state_dict().items()}
    second = round_random(name, random_editor, size=6.0, **given)
    broken_off.model.load_state_dict(unedited)
    second.prepare(broken_off.model, broken_off.tokenizer, store)
    second.load_state(state)
    broken_off.model.load_state_dict(weights)
    run(broken_off, second, 5, 2)
    for layer in (1, 2):
        assert torch.equal(weight_of(through, layer), weight_of(broken_off, layer))


def test_an_editor_that_adds_parameters_cannot_be_gone_round(
    gpt2: Any, random_editor: str, store: Store
) -> None:
    adding = random_editor.replace(":Random", ":adds_a_parameter")
    editor = find_editor(f"rect({adding})")
    editor.prepare(gpt2.model, gpt2.tokenizer, store)
    with pytest.raises(EditorError, match="rect wraps editors that change the model's own weights"):
        run(gpt2, editor, 1)


def test_a_wrapper_is_named_with_the_editor_inside_and_keeps_all_of_its_settings(random_editor: str) -> None:
    short = find_editor("sphere(rome)", {"alpha": 0.3}, "world")
    written = find_editor("sphere", {"editor": "rome", "alpha": 0.3}, "world")
    assert short.info == written.info
    assert short.info.name == "sphere(rome)"
    assert short.info.settings["editor"]["settings"]["layers"] == [0]
    other = find_editor("sphere", {"editor": {"rome": {"v_lr": 0.1}}, "alpha": 0.3}, "world")
    assert other.info.fingerprint != short.info.fingerprint
    assert find_editor("reset(sphere(rome))", {}, "world").info.name == "reset(sphere(rome))"


def test_the_file_of_the_editor_inside_decides_the_fingerprint(random_editor: str) -> None:
    before = find_editor(f"rect({random_editor})").info.fingerprint
    Path(random_editor.removesuffix(":Random")).write_text(EDITOR + "\n# changed\n")
    assert find_editor(f"rect({random_editor})").info.fingerprint != before


@pytest.mark.parametrize(
    ("name", "given", "says"),
    [
        ("sphere", {}, r"setting 'editor' is missing; name the editor that it wraps: .*sphere\(memit\)"),
        ("sphere", {"editor": "rmoe"}, "did you mean 'rome'"),
        ("sphere", {"editor": 3}, "an editor is a name"),
        ("sphere(rome)", {"alhpa": 1}, "did you mean 'alpha'"),
        ("sphere", {"editor": {"rome": {"v_rl": 1}}}, "did you mean 'v_lr'"),
    ],
)
def test_a_mistake_in_a_wrappers_settings_is_one_line(name: str, given: dict[str, Any], says: str) -> None:
    with pytest.raises((EditorError, SettingsError), match=says) as caught:
        find_editor(name, given, "world")
    assert "\n" not in str(caught.value)
