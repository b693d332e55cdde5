from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from stability.editors import Store
from stability.editors.locate.steps.covariance import (
    CovarianceSettings,
    CovarianceSolver,
    second_moments,
    stored_second_moments,
)
from stability.errors import DataError, EditorError
from stability.models import ModelMap, map_model, tokenize_text

DOCUMENTS = ["the quick brown fox jumps over", "Anna Berg plays the cello in Rome .", "a dog is a friend ."]


def reference(tiny: Any, layer: int) -> np.ndarray:
    """E[k kᵀ] over every token, one document after the other, in numpy's float64."""
    found, keys = map_model(tiny.model), []
    hook = found.module(layer, "mlp_out").register_forward_pre_hook(lambda _, args: keys.append(args[0][0]))
    for document in DOCUMENTS:
        tiny.model(input_ids=torch.tensor([tiny.tokenizer(document)["input_ids"]]))
    hook.remove()
    every = np.concatenate([key.numpy().astype(np.float64) for key in keys])
    return sum(np.outer(key, key) for key in every) / len(every)


def text_of(tiny: Any) -> Any:
    total = sum(len(tiny.tokenizer(document)["input_ids"]) for document in DOCUMENTS)
    return tokenize_text(tiny.tokenizer, DOCUMENTS, tokens=total, max_length=64)


def test_it_is_the_uncentred_second_moment_of_the_keys(tiny: Any) -> None:
    found = map_model(tiny.model)
    moments = second_moments(tiny.model, found, text_of(tiny), [2, 0])
    for layer in (0, 2):
        assert moments[layer].dtype == torch.float64
        np.testing.assert_allclose(moments[layer].numpy(), reference(tiny, layer), rtol=1e-4, atol=1e-7)


def test_batches_of_padded_documents_give_the_same_as_single_ones(
    tiny: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    found, text = map_model(tiny.model), text_of(tiny)
    together = second_moments(tiny.model, found, text, [1])[1]
    monkeypatch.setattr("stability.editors.locate.steps.covariance.BATCH_TOKENS", 1)
    alone = second_moments(tiny.model, found, text, [1])[1]
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-7)


def test_no_hook_stays_and_blocks_above_do_not_run(gpt2: Any) -> None:
    ran = []
    hook = gpt2.model.transformer.h[2].register_forward_hook(lambda *_: ran.append(1))
    second_moments(gpt2.model, map_model(gpt2.model), text_of(gpt2), [0, 1])
    hook.remove()
    assert not ran
    assert not any(module._forward_pre_hooks for module in gpt2.model.modules())


@pytest.fixture
def settings(text_file: str) -> CovarianceSettings:
    return CovarianceSettings(mom2_path=text_file, mom2_n_tokens=150)


def count_passes(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, ...]]:
    asked: list[tuple[int, ...]] = []

    def counted(model: nn.Module, found: ModelMap, text: Any, layers: Any) -> dict[int, torch.Tensor]:
        asked.append(tuple(layers))
        return second_moments(model, found, text, layers)

    monkeypatch.setattr("stability.editors.locate.steps.covariance.second_moments", counted)
    return asked


def test_a_second_run_takes_it_from_the_store_bit_for_bit(
    tiny: Any, store: Store, settings: CovarianceSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = count_passes(monkeypatch)
    found = map_model(tiny.model)
    first = stored_second_moments(tiny.model, found, tiny.tokenizer, [0, 1], settings, store)
    again = stored_second_moments(tiny.model, found, tiny.tokenizer, [1, 2], settings, store)
    assert asked == [(0, 1), (2,)]
    assert torch.equal(first[1], again[1])


def test_the_entry_depends_on_the_weights_below_and_the_text_only(
    tiny: Any, store: Store, settings: CovarianceSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = count_passes(monkeypatch)
    found = map_model(tiny.model)

    def get(settings: CovarianceSettings = settings) -> None:
        stored_second_moments(tiny.model, found, tiny.tokenizer, [1], settings, store)

    get()
    found.weight(found.matrix(2, "mlp_out")).mul_(2)  # above
    get()
    assert len(asked) == 1
    found.weight(found.matrix(1, "mlp_in")).mul_(1.01)  # in the layer
    get()
    assert len(asked) == 2
    get(settings.model_copy(update={"mom2_n_tokens": 151}))
    assert len(asked) == 3
    tiny.model.to(torch.bfloat16)
    get()
    assert len(asked) == 4


def test_a_change_of_what_the_config_says_counts(
    gpt2: Any, store: Store, settings: CovarianceSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = count_passes(monkeypatch)
    found = map_model(gpt2.model)
    stored_second_moments(gpt2.model, found, gpt2.tokenizer, [1], settings, store)
    gpt2.model.config.layer_norm_epsilon = 1e-3
    stored_second_moments(gpt2.model, found, gpt2.tokenizer, [1], settings, store)
    assert len(asked) == 2


def test_too_little_text_is_an_error(gpt2: Any, store: Store, settings: CovarianceSettings) -> None:
    hungry = settings.model_copy(update={"mom2_n_tokens": 10**6})
    with pytest.raises(DataError, match="1000000 were asked for"):
        stored_second_moments(gpt2.model, map_model(gpt2.model), gpt2.tokenizer, [1], hungry, store)


@pytest.mark.parametrize("ridge", [0.0, 0.3])
def test_solving_agrees_with_a_dense_solve(ridge: float) -> None:
    generator = np.random.default_rng(0)
    samples = generator.normal(size=(200, 30))
    moment = samples.T @ samples / 200
    keys = generator.normal(size=(4, 30))
    solver = CovarianceSolver(torch.tensor(moment), ridge)
    dense = moment + ridge * np.trace(moment) / 30 * np.eye(30)
    np.testing.assert_allclose(solver.solve(torch.tensor(keys)).T, np.linalg.solve(dense, keys.T), rtol=1e-9)
    np.testing.assert_allclose(
        solver.solve(torch.tensor(keys[0])), np.linalg.solve(dense, keys[0]), rtol=1e-9
    )


def test_a_singular_covariance_says_what_to_set() -> None:
    keys = torch.randn(5, 30, dtype=torch.float64)
    with pytest.raises(EditorError, match="set mom2_n_tokens well above 30, or mom2_ridge"):
        CovarianceSolver(keys.T @ keys, 0.0)
    CovarianceSolver(keys.T @ keys, 0.01)


def test_a_document_longer_than_the_context_is_used_to_its_end(
    gpt2: Any, store: Store, tmp_path: Path
) -> None:
    (tmp_path / "one.txt").write_text(" ".join(DOCUMENTS * 8), encoding="utf-8")
    settings = CovarianceSettings(mom2_path=str(tmp_path / "one.txt"), mom2_n_tokens=150)
    found = map_model(gpt2.model)
    assert gpt2.model.config.max_position_embeddings < 150
    assert stored_second_moments(gpt2.model, found, gpt2.tokenizer, [1], settings, store)


def test_long_documents_go_on_in_windows(gpt2: Any) -> None:
    long = " ".join(DOCUMENTS)
    ids = gpt2.tokenizer(long)["input_ids"]
    text = tokenize_text(gpt2.tokenizer, [long], tokens=len(ids), max_length=7)
    assert torch.cat(text.windows).tolist() == ids
    assert dataclasses.is_dataclass(text)
