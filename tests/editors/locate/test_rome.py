from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch

from stability.data.edits import Edit
from stability.editors import LoadedEditor, Store, find_editor
from stability.editors.locate.steps.closed_form import rank_one_change
from stability.editors.locate.steps.contexts import sample_contexts
from stability.errors import ModelError, SettingsError
from stability.models import Snapshot, map_model

LAYER = 1


@pytest.fixture
def settings(text_file: str) -> dict[str, Any]:
    return {
        "layers": [LAYER],
        "context_template_length_params": [[3, 2]],
        "v_num_grad_steps": 12,
        "v_lr": 0.3,
        "mom2_path": text_file,
        "mom2_n_tokens": 300,
        "mom2_ridge": 0.01,
    }


def run(tiny: Any, editor: LoadedEditor, edits: Sequence[Edit], store: Store, seed: int = 0) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        editor.prepare(tiny.model, tiny.tokenizer, store)
        assert editor.edit(tiny.model, tiny.tokenizer, edits) is tiny.model


def keys_and_values(tiny: Any, texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """What the edited matrix reads and writes at the end of each text, each run alone: float64."""
    seen: list[tuple[torch.Tensor, torch.Tensor]] = []
    hook = (
        map_model(tiny.model)
        .module(LAYER, "mlp_out")
        .register_forward_hook(lambda _module, args, output: seen.append((args[0][0, -1], output[0, -1])))
    )
    for text in texts:
        tiny.model(input_ids=torch.tensor([tiny.tokenizer(text)["input_ids"]]))
    hook.remove()
    keys, values = zip(*seen, strict=True)
    return tuple(torch.stack(part).double().numpy() for part in (keys, values))  # type: ignore[return-value]


def second_moment(tiny: Any, text_file: str, tokens: int, ridge: float) -> np.ndarray:
    keys: list[torch.Tensor] = []
    hook = (
        map_model(tiny.model)
        .module(LAYER, "mlp_out")
        .register_forward_pre_hook(lambda _module, args: keys.append(args[0][0]))
    )
    with open(text_file, encoding="utf-8") as file:  # noqa: PTH123
        documents = file.read().split("\n\n")
    for document in documents:
        ids = tiny.tokenizer(document)["input_ids"][: tokens - sum(map(len, keys))]
        if len(ids) > 1:
            tiny.model(input_ids=torch.tensor([ids]))
    hook.remove()
    every = torch.cat(keys).double().numpy()
    assert len(every) == tokens
    moment = every.T @ every / tokens
    return moment + ridge * np.trace(moment) / len(moment) * np.eye(len(moment))


@pytest.mark.parametrize("key", ["mended", "original"])
def test_the_change_is_the_papers_equation_2(
    tiny: Any, edit: Edit, store: Store, settings: dict[str, Any], key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = map_model(tiny.model)
    before = found.weight(found.matrix(LAYER, "mlp_out")).double().numpy().copy()
    generator = torch.Generator().manual_seed(0)
    contexts = sample_contexts(tiny.model, tiny.tokenizer, [(3, 2)], generator)
    # The search for v* has tests of its own; here it finds a known value.
    delta = torch.linspace(-1, 1, 24)
    monkeypatch.setattr(
        "stability.editors.locate.steps.values.optimise_value",
        lambda *_: type("Found", (), {"delta": delta, "losses": (0.0,)}),
    )
    moment = second_moment(tiny, settings["mom2_path"], 300, 0.01)
    keys, values = keys_and_values(tiny, [f"{context}{edit.subject}" for context in contexts])
    editor = find_editor("rome", {**settings, "key": key})
    run(tiny, editor, [edit], store)

    v_star = values[0] + delta.double().numpy()
    assert editor.report(1)[0]["value_norm"] == pytest.approx(np.linalg.norm(v_star), rel=1e-5)
    k_star = keys.mean(axis=0)
    k, value = (k_star, values.mean(axis=0)) if key == "mended" else (keys[0], values[0])
    direction = np.linalg.solve(moment, k_star)
    expected = np.outer(v_star - value, direction) / (direction @ k)
    change = found.weight(found.matrix(LAYER, "mlp_out")).double().numpy() - before
    np.testing.assert_allclose(change, expected, rtol=1e-3, atol=1e-5 * np.abs(expected).max())


def test_without_the_covariance_the_change_is_along_the_key(
    tiny: Any, edit: Edit, store: Store, settings: dict[str, Any]
) -> None:
    found = map_model(tiny.model)
    weight = found.weight(found.matrix(LAYER, "mlp_out"))
    before = weight.clone()
    plain = {**settings, "mom2_adjustment": False, "context_template_length_params": []}
    keys, _ = keys_and_values(tiny, [edit.subject])
    run(tiny, find_editor("rome", plain), [edit], store)
    change = (weight - before).double().numpy()
    along = np.abs(change @ keys[0]) / np.linalg.norm(keys[0])
    np.testing.assert_allclose(along, np.linalg.norm(change, axis=1), rtol=1e-3, atol=1e-6)
    assert not store.folder.exists()


def test_the_edited_matrix_then_writes_the_new_value_at_the_key(
    tiny: Any, edit: Edit, store: Store, settings: dict[str, Any]
) -> None:
    plain = {**settings, "context_template_length_params": [], "clamp_norm_factor": 30}
    found = map_model(tiny.model)
    before = keys_and_values(tiny, [edit.subject])[1][0]
    run(tiny, find_editor("rome", plain), [edit], store)
    after = keys_and_values(tiny, [edit.subject])[1][0]
    assert np.linalg.norm(after - before) > 0.1
    assert found.n_layers == 4


def test_the_target_becomes_more_probable(
    tiny: Any, near: Edit, store: Store, settings: dict[str, Any]
) -> None:
    def nll(edit: Edit) -> float:
        ids = torch.tensor([tiny.tokenizer(f"{edit.filled} {edit.target}")["input_ids"]])
        start = len(tiny.tokenizer(edit.filled)["input_ids"])
        log_probs = tiny.model(input_ids=ids).logits[0, start - 1 : -1].log_softmax(-1)
        return float(-log_probs.gather(1, ids[0, start:, None]).mean())

    before = nll(near)
    strong = {
        **settings,
        "context_template_length_params": [],
        "clamp_norm_factor": 1000,
        "v_num_grad_steps": 30,
        "v_lr": 0.5,
        "v_weight_decay": 0,
    }
    run(tiny, find_editor("rome", strong), [near], store)
    assert nll(near) < before * 0.6


def test_it_changes_nothing_but_the_one_matrix(
    tiny: Any, edits: tuple[Edit, ...], store: Store, settings: dict[str, Any]
) -> None:
    snapshot = Snapshot(tiny.model)
    run(tiny, find_editor("rome", settings), edits, store)
    assert snapshot.changed(tiny.model) == (map_model(tiny.model).parameter_name(LAYER, "mlp_out"),)


def test_each_layer_is_changed_in_turn(gpt2: Any, edit: Edit, store: Store, settings: dict[str, Any]) -> None:
    snapshot = Snapshot(gpt2.model)
    run(gpt2, find_editor("rome", {**settings, "layers": [2, 0]}), [edit], store)
    assert snapshot.changed(gpt2.model) == tuple(
        f"transformer.h.{layer}.mlp.c_proj.weight" for layer in (0, 2)
    )


def test_edits_one_by_one_are_the_same_as_in_one_call(
    gpt2: Any, edits: tuple[Edit, ...], store: Store, settings: dict[str, Any]
) -> None:
    snapshot, name = Snapshot(gpt2.model), map_model(gpt2.model).parameter_name(LAYER, "mlp_out")
    editor = find_editor("rome", settings)
    run(gpt2, editor, edits, store)
    together = gpt2.model.get_parameter(name).clone()
    snapshot.restore(gpt2.model)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        editor.prepare(gpt2.model, gpt2.tokenizer, store)
        for edit in edits:
            torch.manual_seed(hash(edit.id) % 1000)
            editor.edit(gpt2.model, gpt2.tokenizer, [edit])
    assert torch.equal(gpt2.model.get_parameter(name), together)


def test_one_seed_gives_one_result_and_another_seed_another(
    gpt2: Any, edit: Edit, store: Store, settings: dict[str, Any]
) -> None:
    snapshot, name = Snapshot(gpt2.model), map_model(gpt2.model).parameter_name(LAYER, "mlp_out")
    results = []
    for seed in (3, 3, 4):
        run(gpt2, find_editor("rome", settings), [edit], store, seed)
        results.append(gpt2.model.get_parameter(name).clone())
        snapshot.restore(gpt2.model)
    assert torch.equal(results[0], results[1])
    assert not torch.equal(results[0], results[2])


def test_a_state_carries_the_contexts_over(
    gpt2: Any, edits: tuple[Edit, ...], store: Store, settings: dict[str, Any]
) -> None:
    snapshot, name = Snapshot(gpt2.model), map_model(gpt2.model).parameter_name(LAYER, "mlp_out")
    editor = find_editor("rome", settings)
    run(gpt2, editor, edits[:1], store, seed=5)
    half, state = gpt2.model.get_parameter(name).clone(), editor.state()
    editor.edit(gpt2.model, gpt2.tokenizer, edits[1:])
    whole = gpt2.model.get_parameter(name).clone()

    snapshot.restore(gpt2.model)
    resumed = find_editor("rome", settings)
    with torch.random.fork_rng():
        torch.manual_seed(77)
        resumed.prepare(gpt2.model, gpt2.tokenizer, store)
    resumed.load_state(state)
    gpt2.model.get_parameter(name).data.copy_(half)
    resumed.edit(gpt2.model, gpt2.tokenizer, edits[1:])
    assert torch.equal(gpt2.model.get_parameter(name), whole)


def test_a_half_precise_model_is_edited(
    gpt2: Any, edit: Edit, store: Store, settings: dict[str, Any]
) -> None:
    gpt2.model.to(torch.bfloat16)
    snapshot = Snapshot(gpt2.model)
    run(gpt2, find_editor("rome", settings), [edit], store)
    assert len(snapshot.changed(gpt2.model)) == 1
    assert gpt2.model.dtype == torch.bfloat16


def test_a_layer_that_the_model_has_not_is_an_error(
    gpt2: Any, store: Store, settings: dict[str, Any]
) -> None:
    editor = find_editor("rome", {**settings, "layers": 7})
    with pytest.raises(ModelError, match="no layer 7: the model's layers are 0 to 3"):
        editor.prepare(gpt2.model, gpt2.tokenizer, store)


def test_a_model_without_a_preset_needs_layers() -> None:
    with pytest.raises(
        SettingsError, match=r"setting 'layers' is missing; tiny has no preset \(presets: .*gpt2-xl"
    ):
        find_editor("rome", {}, "tiny")


def test_a_rank_one_change_hits_its_residual_along_any_direction() -> None:
    generator = torch.Generator().manual_seed(0)
    key, direction = torch.randn(2, 7, dtype=torch.float64, generator=generator)
    residual = torch.randn(5, dtype=torch.float64, generator=generator)
    change = rank_one_change(key, direction, residual)
    torch.testing.assert_close(change @ key, residual)
    assert torch.linalg.matrix_rank(change) == 1
