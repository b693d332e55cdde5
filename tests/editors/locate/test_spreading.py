"""MEMIT and its kin on random tiny models: whole edits against plain ones, state, seeds, what is touched."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from stability.data.edits import Edit
from stability.editors import LoadedEditor, Store, find_editor
from stability.editors.locate.steps.values import Value
from stability.errors import DataError, ModelError, SettingsError
from stability.models import Snapshot, map_model

LAYERS = [1, 2]
D = 24
OWN: dict[str, dict[str, Any]] = {
    "memit": {"mom2_update_weight": 5.0},
    "emmet": {"layers": 2, "mom2_update_weight": 2.0, "emmet_lambda": 0.3},
    "encore": {"mom2_update_weight": 5.0, "update_norm_lambda": 0.5},
    "alphaedit": {"nullspace_threshold": 0.05, "L2": 2.0},
    "nas": {"nullspace_threshold": 0.05, "L2": 2.0, "anchor_samples": 3},
    "pmet": {"mom2_update_weight": 5.0},
}
FAMILY = sorted(OWN)


@pytest.fixture
def edits(edits: tuple[Edit, ...], near: Edit) -> tuple[Edit, ...]:
    jobs = Edit(id="jobs", prompt="{} works in", subject="Steve Jobs", target="Paris")
    return (*edits, near, jobs)


@pytest.fixture
def settings(text_file: str, tmp_path: Path, edits: tuple[Edit, ...]) -> Callable[..., dict[str, Any]]:
    requests = tmp_path / "requests.jsonl"
    requests.write_text(
        "\n".join(
            json.dumps({"id": e.id, "prompt": e.prompt, "subject": e.subject, "target": e.target})
            for e in edits
        )
    )

    def settings(name: str, **others: Any) -> dict[str, Any]:
        anchor = {"anchor_path": str(requests)} if name == "nas" else {}
        shared = {
            "layers": LAYERS,
            "context_template_length_params": [[3, 2]],
            "v_num_grad_steps": 6,
            "v_lr": 0.3,
            "mom2_path": text_file,
            "mom2_n_tokens": 300,
            "mom2_ridge": 0.01,
        }
        return {**shared, **anchor, **OWN[name], **others}

    return settings


def prepared(tiny: Any, name: str, settings: dict[str, Any], store: Store, seed: int = 0) -> LoadedEditor:
    editor = find_editor(name, settings)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        editor.prepare(tiny.model, tiny.tokenizer, store)
    return editor


def matrices(tiny: Any, layers: Sequence[int] = LAYERS) -> list[Tensor]:
    found = map_model(tiny.model)
    return [found.weight(found.matrix(layer, "mlp_out")).clone() for layer in layers]


class Plain:
    """The family's edit the plain way: every text alone, every matrix dense, in float64."""

    def __init__(self, tiny: Any, name: str, settings: dict[str, Any], contexts: Sequence[str]) -> None:
        self.model, self.tokenizer = deepcopy(tiny.model), tiny.tokenizer
        self.found = map_model(self.model)
        self.name, self.settings, self.contexts = name, settings, contexts
        self.layers = [settings["layers"]] if isinstance(settings["layers"], int) else settings["layers"]
        self.moments = {layer: self._moment(layer) for layer in self.layers}
        self.past = {layer: np.zeros_like(self.moments[layer]) for layer in self.layers}

    def see(self, ids: list[int], layer: int) -> dict[str, np.ndarray]:
        """All keys of the layer; what the last layer's MLP writes, and the stream after it."""
        seen: dict[str, Tensor] = {}
        top = self.layers[-1]

        def keep(name: str, pick: Callable[..., Tensor]) -> Any:
            return lambda _module, args, output: seen.update({name: pick(args, output)})

        hooks = [
            self.found.module(layer, "mlp_out").register_forward_hook(keep("key", lambda args, _: args[0])),
            self.found.module(top, "mlp_out").register_forward_hook(keep("value", lambda _, out: out)),
            self.found.blocks[top].register_forward_hook(
                keep("stream", lambda _, out: out[0] if isinstance(out, tuple) else out)
            ),
        ]
        with torch.no_grad():
            self.model(input_ids=torch.tensor([ids]))
        for hook in hooks:
            hook.remove()
        return {name: tensor[0].double().numpy() for name, tensor in seen.items()}

    def at_subject(self, edit: Edit, layer: int, context: str = "") -> dict[str, np.ndarray]:
        text = context + edit.prompt[: edit.prompt.index("{}")] + edit.subject
        seen = self.see(self.tokenizer(text)["input_ids"], layer)
        return {name: states[-1] for name, states in seen.items()}

    def keys(self, edits: Sequence[Edit], layer: int) -> np.ndarray:
        """K, [d_key, edits]."""
        rows = []
        for edit in edits:
            bare = self.at_subject(edit, layer)["key"]
            behind = [self.at_subject(edit, layer, context)["key"] for context in self.contexts[1:]]
            rows.append(0.5 * bare + 0.5 * np.mean(behind, axis=0))
        return np.stack(rows, axis=1)

    def edit(self, edits: Sequence[Edit], deltas: np.ndarray) -> None:
        what = "value" if self.name == "pmet" else "stream"
        wanted = np.stack([self.at_subject(edit, self.layers[0])[what] for edit in edits]) + deltas
        for index, layer in enumerate(self.layers):
            now = np.stack([self.at_subject(edit, layer)[what] for edit in edits])
            left = len(self.layers) - index
            residuals = (wanted - now).T / (math.sqrt(left) if self.name == "pmet" else left)
            keys = self.keys(edits, layer)
            weight = self.found.weight(self.found.matrix(layer, "mlp_out"))
            weight.copy_(weight.double() + torch.tensor(self.change(residuals, keys, layer)))
            if self.name == "encore":
                self.past[layer] += keys @ keys.T
        if self.name == "alphaedit":
            for layer in self.layers:
                keys = self.keys(edits, layer)
                self.past[layer] += keys @ keys.T

    def change(self, r: np.ndarray, k: np.ndarray, layer: int) -> np.ndarray:
        own, raw, past = self.settings, self.moments[layer], self.past[layer]
        one = np.eye(len(raw))
        c = raw + own["mom2_ridge"] * np.trace(raw) / len(raw) * one
        if self.name == "alphaedit":
            values, vectors = np.linalg.eigh(raw)
            free = vectors[:, values < own["nullspace_threshold"]]
            assert 0 < free.shape[1] < len(raw)
            p = free @ free.T
            alpha: np.ndarray = np.linalg.solve(p @ (k @ k.T + past) + own["L2"] * one, p @ k @ r.T).T
            return alpha
        c = own["mom2_update_weight"] * c
        if self.name == "emmet":
            inverse = np.linalg.inv(c)
            small = k.T @ inverse @ k + own["emmet_lambda"] * np.eye(k.shape[1])
            return r @ np.linalg.inv(small) @ k.T @ inverse  # type: ignore[no-any-return]
        if self.name == "encore":
            c = c + own["update_norm_lambda"] * one + past
        return r @ k.T @ np.linalg.inv(c + k @ k.T)  # type: ignore[no-any-return]

    def _moment(self, layer: int) -> np.ndarray:
        keys: list[np.ndarray] = []
        for document in Path(self.settings["mom2_path"]).read_text(encoding="utf-8").split("\n\n"):
            ids = self.tokenizer(document)["input_ids"][: 300 - sum(map(len, keys))]
            if len(ids) > 1:
                keys.append(self.see(ids, layer)["key"])
        every = np.concatenate(keys)
        assert len(every) == 300
        return every.T @ every / 300  # type: ignore[no-any-return]


@pytest.mark.parametrize("name", sorted(set(FAMILY) - {"nas"}))
def test_an_edit_is_the_papers_done_the_plain_way(
    tiny: Any,
    edits: tuple[Edit, ...],
    store: Store,
    settings: Callable[..., dict[str, Any]],
    name: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # The search has tests of its own; here it finds known values.
    known = {
        edit.id: torch.linspace(-1, 1, D).roll(5 * index) * (index + 1) for index, edit in enumerate(edits)
    }
    batches = [edits[:2], edits[2:]]
    turn: list[Edit] = []

    def found_values(*_: object) -> list[Value]:
        deltas = [known[edit.id] for edit in turn]
        return [
            Value(torch.stack([delta.flip(0), delta]) if name == "pmet" else delta[None], (0.0,))
            for delta in deltas
        ]

    monkeypatch.setattr("stability.editors.locate.steps.values.optimise_values", found_values)
    own = settings(name)
    editor = prepared(tiny, name, own, store)
    plain = Plain(tiny, name, own, editor.state()["contexts"])
    before = matrices(tiny, plain.layers)
    for batch in batches:
        turn[:] = batch
        editor.edit(tiny.model, tiny.tokenizer, batch)
        plain.edit(batch, torch.stack([known[edit.id] for edit in batch]).double().numpy())
    for layer, old, new in zip(plain.layers, before, matrices(tiny, plain.layers), strict=True):
        expected = plain.found.weight(plain.found.matrix(layer, "mlp_out")) - old
        assert expected.norm() > 0.01
        assert (new - old - expected).norm() <= 1e-4 * expected.norm()


@pytest.mark.parametrize("name", FAMILY)
def test_it_changes_nothing_but_the_matrices_that_it_says_and_reports_each_value(
    tiny: Any, edits: tuple[Edit, ...], store: Store, settings: Callable[..., dict[str, Any]], name: str
) -> None:
    snapshot = Snapshot(tiny.model)
    editor = prepared(tiny, name, settings(name), store)
    editor.edit(tiny.model, tiny.tokenizer, edits)
    touched = editor.touched(map_model(tiny.model))
    layers = [2] if name == "emmet" else LAYERS
    assert touched == tuple(map_model(tiny.model).parameter_name(layer, "mlp_out") for layer in layers)
    assert snapshot.changed(tiny.model) == touched
    figures = editor.report(len(edits))
    assert all(one["value_norm"] > 0 for one in figures)
    assert not any(parameter.requires_grad for parameter in tiny.model.parameters())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in tiny.model.modules())


@pytest.mark.parametrize("name", FAMILY)
def test_it_goes_on_from_its_state_bit_for_bit(
    gpt2: Any, edits: tuple[Edit, ...], store: Store, settings: Callable[..., dict[str, Any]], name: str
) -> None:
    snapshot = Snapshot(gpt2.model)
    editor = prepared(gpt2, name, settings(name), store, seed=5)
    for edit in edits[:3]:
        editor.edit(gpt2.model, gpt2.tokenizer, [edit])
    half, state = matrices(gpt2), deepcopy(editor.state())
    editor.edit(gpt2.model, gpt2.tokenizer, edits[3:])
    whole = matrices(gpt2)

    found = map_model(gpt2.model)
    forgetful, resumed = [], []
    for loads, results in ((True, resumed), (False, forgetful)):
        snapshot.restore(gpt2.model)
        again = prepared(gpt2, name, settings(name), store, seed=5 if not loads else 77)
        if loads:
            again.load_state(state)
        for layer, weight in zip(LAYERS, half, strict=True):
            found.weight(found.matrix(layer, "mlp_out")).copy_(weight)
        again.edit(gpt2.model, gpt2.tokenizer, edits[3:])
        results += matrices(gpt2)
    assert all(torch.equal(one, other) for one, other in zip(resumed, whole, strict=True))
    remembers = name in ("encore", "alphaedit", "nas")
    assert remembers != all(torch.equal(one, other) for one, other in zip(forgetful, whole, strict=True))


@pytest.mark.parametrize("name", FAMILY)
def test_one_seed_gives_one_result_and_another_seed_another(
    gpt2: Any, edit: Edit, store: Store, settings: Callable[..., dict[str, Any]], name: str
) -> None:
    snapshot, results = Snapshot(gpt2.model), []
    for seed in (3, 3, 4):
        prepared(gpt2, name, settings(name), store, seed).edit(gpt2.model, gpt2.tokenizer, [edit])
        results.append(matrices(gpt2)[-1])
        snapshot.restore(gpt2.model)
    assert torch.equal(results[0], results[1])
    assert not torch.equal(results[0], results[2])


@pytest.mark.parametrize("name", FAMILY)
def test_a_batch_is_the_same_however_many_values_are_searched_side_by_side(
    gpt2: Any, edits: tuple[Edit, ...], store: Store, settings: Callable[..., dict[str, Any]], name: str
) -> None:
    snapshot, results = Snapshot(gpt2.model), []
    start = matrices(gpt2)[-1]
    for side_by_side in (1, 3, 4):
        editor = prepared(gpt2, name, settings(name, v_batch=side_by_side), store)
        editor.edit(gpt2.model, gpt2.tokenizer, edits)
        results.append(matrices(gpt2)[-1] - start)
        snapshot.restore(gpt2.model)
    for other in results[1:]:
        assert (other - results[0]).norm() <= 1e-4 * results[0].norm()


def test_the_edits_of_a_batch_are_written_together(
    gpt2: Any, edits: tuple[Edit, ...], store: Store, settings: Callable[..., dict[str, Any]]
) -> None:
    snapshot = Snapshot(gpt2.model)
    editor = prepared(gpt2, "memit", settings("memit"), store)
    editor.edit(gpt2.model, gpt2.tokenizer, edits)
    together = matrices(gpt2)[-1]
    snapshot.restore(gpt2.model)
    for edit in edits:
        editor.edit(gpt2.model, gpt2.tokenizer, [edit])
    assert not torch.allclose(matrices(gpt2)[-1], together, atol=1e-4)


@pytest.mark.parametrize("name", FAMILY)
def test_a_half_precise_model_is_edited(
    gpt2: Any, edit: Edit, store: Store, settings: Callable[..., dict[str, Any]], name: str
) -> None:
    gpt2.model.to(torch.bfloat16)
    snapshot = Snapshot(gpt2.model)
    prepared(gpt2, name, settings(name), store).edit(gpt2.model, gpt2.tokenizer, [edit])
    assert snapshot.changed(gpt2.model)
    assert all(weight.isfinite().all() and weight.dtype == torch.bfloat16 for weight in matrices(gpt2))


@pytest.mark.parametrize("name", ["memit", "emmet", "pmet"])
def test_the_target_becomes_more_probable(
    tiny: Any, near: Edit, store: Store, settings: Callable[..., dict[str, Any]], name: str
) -> None:
    def nll() -> float:
        ids = torch.tensor([tiny.tokenizer(f"{near.filled} {near.target}")["input_ids"]])
        start = len(tiny.tokenizer(near.filled)["input_ids"])
        log_probs = tiny.model(input_ids=ids).logits[0, start - 1 : -1].log_softmax(-1)
        return float(-log_probs.gather(1, ids[0, start:, None]).mean())

    before = nll()
    strong = {
        "context_template_length_params": [],
        "clamp_norm_factor": 1000,
        "v_num_grad_steps": 30,
        "v_lr": 0.5,
        "v_weight_decay": 0,
        "mom2_update_weight": 1e-3,
        "kl_factor": 0.01,
    }
    prepared(tiny, name, settings(name, **strong), store).edit(tiny.model, tiny.tokenizer, [near])
    assert nll() < before * 0.6


def test_every_value_gets_the_norm_that_values_have_in_the_unedited_model(
    tiny: Any, edits: tuple[Edit, ...], store: Store, settings: Callable[..., dict[str, Any]]
) -> None:
    snapshot = Snapshot(tiny.model)
    plain = settings("alphaedit", context_template_length_params=[])
    alone = prepared(tiny, "alphaedit", plain, store)
    norms = []
    for edit in edits:
        alone.edit(tiny.model, tiny.tokenizer, [edit])
        norms.append(alone.report(1)[0]["value_norm"])
        snapshot.restore(tiny.model)
    scaled = settings("nas", anchor_samples=len(edits))
    editor = prepared(tiny, "nas", scaled, store)
    editor.edit(tiny.model, tiny.tokenizer, edits[:1])
    editor.edit(tiny.model, tiny.tokenizer, edits[1:])
    for figure in editor.report(len(edits) - 1):
        assert figure["value_norm"] == pytest.approx(np.mean(norms), rel=1e-3)


def test_an_anchor_is_measured_once_for_a_model_and_anew_for_another(
    gpt2: Any,
    edit: Edit,
    store: Store,
    settings: Callable[..., dict[str, Any]],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO", logger="stability.editors.locate.steps.spreading")

    def measured() -> int:
        caplog.clear()
        prepared(gpt2, "nas", settings("nas"), store)
        return caplog.text.count("norm anchor over 3 requests")

    assert measured() == 1
    assert measured() == 0
    gpt2.model.lm_head.weight.data[0, 0] += 1.0
    assert measured() == 1


def test_more_samples_for_the_anchor_than_there_are_requests_is_an_error(
    gpt2: Any, store: Store, settings: Callable[..., dict[str, Any]]
) -> None:
    with pytest.raises(DataError, match="4 edits"):
        prepared(gpt2, "nas", settings("nas", anchor_samples=9), store)


def test_without_the_covariance_every_direction_is_charged_alike(
    gpt2: Any, edit: Edit, store: Store, settings: Callable[..., dict[str, Any]]
) -> None:
    before = matrices(gpt2)[-1]
    plain = settings("emmet", mom2_adjustment=False, context_template_length_params=[])
    key = Plain(gpt2, "emmet", plain, [""]).at_subject(edit, 2)["key"]
    prepared(gpt2, "emmet", plain, store).edit(gpt2.model, gpt2.tokenizer, [edit])
    change = (matrices(gpt2)[-1] - before).double().numpy()
    along = np.abs(change @ key) / np.linalg.norm(key)
    np.testing.assert_allclose(along, np.linalg.norm(change, axis=1), rtol=1e-3, atol=1e-6)
    assert not store.folder.exists()


def test_emmet_edits_one_layer() -> None:
    with pytest.raises(SettingsError, match=r"layers.*at most 1 item"):
        find_editor("emmet", {"layers": [1, 2]})


@pytest.mark.parametrize("name", FAMILY)
def test_a_layer_that_the_model_has_not_is_an_error(
    gpt2: Any, store: Store, settings: Callable[..., dict[str, Any]], name: str
) -> None:
    with pytest.raises(ModelError, match="no layer 7: the model's layers are 0 to 3"):
        prepared(gpt2, name, settings(name, layers=7), store)
