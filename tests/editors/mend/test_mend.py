"""MEND against a dense reference in numpy, its training, and where its hypernetwork is kept."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from stability.data.edits import Edit
from stability.editors import Store, find_editor
from stability.editors.mend.mend import Mend, MendSettings
from stability.editors.mend.steps.gradient_factors import capture
from stability.editors.mend.steps.hypernetwork import NARROWEST, Hypernetwork, Moments
from stability.editors.mend.steps.training import (
    main,
    statistics,
    train_mend,
    training_material,
    write_hypernetwork,
)
from stability.editors.steps.selection import select
from stability.editors.steps.teacher_forcing import teacher_forced_edits
from stability.errors import EditorError
from stability.models import Snapshot, map_model

LAYERS = [1, 2]


@pytest.fixture
def settings(tmp_path: Path, text_file: str) -> dict[str, Any]:
    edits = tmp_path / "edits.jsonl"
    names, instruments = ["Anna Berg", "Zoe Angstrom", "Steve Jobs"], ["oboe", "cello", "dog", "fox"]
    edits.write_text(
        "\n".join(
            f'{{"id": "{name} {what}", "prompt": "{{}} plays the", "subject": "{name}", "target": "{what}", '
            f'"paraphrase_prompts": ["in Rome {name} plays the"]}}'
            for name in names
            for what in instruments
        )
    )
    return {
        "layers": LAYERS,
        "rank": 8,
        "edit_lr": 1e-3,
        "lr": 3e-3,
        "lr_lr": 0.05,
        "num_steps": 3,
        "batch_size": 4,
        "train_edits_path": str(edits),
        "train_edits_count": 12,
        "locality_path": text_file,
        "locality_tokens": 200,
        "locality_window": 16,
    }


def loss_of(tiny: Any, edits: tuple[Edit, ...]) -> torch.Tensor:
    """The sum over edits of the mean over target tokens, each edit run alone."""
    total = torch.zeros((), dtype=torch.float64)
    for edit in edits:
        ids = torch.tensor(tiny.tokenizer(f"{edit.filled} {edit.target}")["input_ids"])
        start = len(tiny.tokenizer(edit.filled)["input_ids"])
        log_probs = tiny.model(input_ids=ids[None]).logits[0, start - 1 : -1].double().log_softmax(dim=-1)
        total = total - log_probs.gather(1, ids[start:, None]).mean()
    return total


def random_network(tiny: Any, rank: int = 6) -> Hypernetwork:
    """A hypernetwork in float64 of which nothing is at its start."""
    matrices = select(map_model(tiny.model), LAYERS)
    generator = torch.Generator().manual_seed(3)
    network = Hypernetwork(matrices, rank, 0.01, generator).double().requires_grad_(False)
    for name, tensor in network.state_dict().items():
        noise = torch.randn(tensor.shape, generator=generator, dtype=torch.float64)
        tensor += noise.abs() if name.startswith("std") else 0.3 * noise
    return network


def numpy_change(tensors: dict[str, Any], x: Any, delta: Any, place: tuple[int, int, int]) -> Any:
    """-α Σ δ̃ x̃ᵀ over tokens, one at a time: equations 3 and 4 of the paper, the second layer not rectified."""
    number, shape, mode = place
    total = np.zeros((delta.shape[1], x.shape[1]))
    for u, d in zip(x, delta, strict=True):
        z = (np.concatenate([u, d]) - tensors[f"mean_{number}"]) / tensors[f"std_{number}"]
        for layer in (0, 1):
            own = {
                key: tensors[f"layers.{shape}.{layer}.{key}"] for key in ("u", "v", "bias", "scale", "shift")
            }
            inner = own["scale"][mode] * (own["u"] @ (own["v"] @ z) + own["bias"]) + own["shift"][mode]
            z = z + (np.maximum(inner, 0) if layer == 0 else inner)
        total += np.outer(z[len(u) :], z[: len(u)])
    return -np.exp(tensors["log_rates"][number]) * total


def test_an_edit_is_the_hypernetworks_change_of_the_gradient(
    tiny: Any, edits: tuple[Edit, ...], tmp_path: Path, settings: dict[str, Any], store: Store
) -> None:
    tiny.model.double()
    network, file = random_network(tiny), tmp_path / "mend.safetensors"
    write_hypernetwork(network, tiny.model, file)
    editor = find_editor("mend", {**settings, "rank": 6, "pretrained": str(file)})
    editor.prepare(tiny.model, tiny.tokenizer, store)
    found, snapshot = map_model(tiny.model), Snapshot(tiny.model)
    matrices = select(found, LAYERS)
    inputs, outputs = {}, {}

    def keep(name: str) -> Any:
        def hook(_module: Any, args: Any, output: Any) -> None:
            output.retain_grad()
            inputs[name], outputs[name] = args[0][0], output

        return hook

    expected = {matrix.name: found.weight(matrix).numpy().copy() for matrix in matrices}
    tensors = {name: tensor.numpy() for name, tensor in network.state_dict().items()}
    tiny.model.requires_grad_(True)
    handles = [
        found.module(matrix.layer, matrix.kind).register_forward_hook(keep(matrix.name))
        for matrix in matrices
    ]
    for edit in edits:
        loss_of(tiny, (edit,)).backward()
        for name, place in network.places.items():
            x, delta = inputs[name].detach().numpy(), outputs[name].grad[0].numpy()
            kept = np.abs(delta).max(axis=1) > 0
            expected[name] += numpy_change(tensors, x[kept], delta[kept], place)
    for handle in handles:
        handle.remove()
    tiny.model.zero_grad()
    tiny.model.requires_grad_(False)
    editor.edit(tiny.model, tiny.tokenizer, edits)
    assert set(snapshot.changed(tiny.model)) == set(expected)
    for matrix in matrices:
        ours = found.weight(matrix).numpy()
        before = snapshot.tensor(matrix.name).numpy()
        before = before if before.shape == ours.shape else before.T
        error = np.linalg.norm(ours - expected[matrix.name]) / np.linalg.norm(expected[matrix.name] - before)
        assert error < 1e-6


def test_at_its_start_it_takes_a_plain_step_along_the_gradient(
    tiny: Any, edits: tuple[Edit, ...], tmp_path: Path, settings: dict[str, Any], store: Store
) -> None:
    tiny.model.double()
    found = map_model(tiny.model)
    matrices = select(found, LAYERS)
    network = Hypernetwork(matrices, 8, 0.02, torch.Generator()).double()
    write_hypernetwork(network, tiny.model, tmp_path / "start.safetensors")
    weights = [tiny.model.get_parameter(matrix.name) for matrix in matrices]
    before = [weight.detach().clone() for weight in weights]
    for weight in weights:
        weight.requires_grad_(True)
    gradients = torch.autograd.grad(loss_of(tiny, edits), weights)
    tiny.model.requires_grad_(False)
    editor = find_editor("mend", {**settings, "pretrained": str(tmp_path / "start.safetensors")})
    editor.prepare(tiny.model, tiny.tokenizer, store)
    editor.edit(tiny.model, tiny.tokenizer, edits)
    for weight, old, gradient in zip(weights, before, gradients, strict=True):
        torch.testing.assert_close(weight - old, -0.02 * gradient, rtol=1e-5, atol=1e-8)


def test_its_first_layer_can_leave_the_start(gpt2: Any) -> None:
    """A rectifier whose gradient at 0 is 0 would keep it there for ever."""
    (matrix,) = select(map_model(gpt2.model), [1], ["mlp_out"])
    network = Hypernetwork([matrix], 4, 0.1, torch.Generator().manual_seed(0))
    stated = teacher_forced_edits(gpt2.tokenizer, [Edit("a", "{} plays the", "Anna", "oboe")])
    factors, _ = capture(gpt2.model, map_model(gpt2.model), [matrix], stated)
    network.change(matrix.name, factors[matrix.name]).product().square().sum().backward()
    assert network.layers[0][0].u.grad.abs().max() > 0


def test_inputs_are_normalised_by_what_the_training_edits_have(gpt2: Any, settings: dict[str, Any]) -> None:
    found = map_model(gpt2.model)
    (matrix,) = select(found, [1], ["mlp_in"])
    edits, _ = training_material(gpt2.model, gpt2.tokenizer, MendSettings(**settings))
    network = Hypernetwork([matrix], 4, 0.1, torch.Generator())
    network.normalise_by(statistics(gpt2.model, gpt2.tokenizer, [matrix], edits, batch_size=5))
    tokens = []
    for edit in edits:
        one, _ = capture(gpt2.model, found, [matrix], teacher_forced_edits(gpt2.tokenizer, [edit]))
        factors = one[matrix.name]
        tokens.append(torch.cat([factors.x, factors.delta], dim=-1)[factors.kept].double().numpy())
    every = np.concatenate(tokens)  # [tokens, d_in + d_out]
    deviation = every.std(axis=0, ddof=1)
    for part in (deviation[: matrix.d_in], deviation[matrix.d_in :]):
        part[:] = np.maximum(part, NARROWEST * np.sqrt((part**2).mean()))
    np.testing.assert_allclose(network.mean_0.numpy(), every.mean(axis=0), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(network.std_0.numpy(), deviation, rtol=1e-4, atol=1e-7)


def test_a_unit_that_was_always_silent_is_not_blown_up() -> None:
    moments = Moments(5, torch.device("cpu"))
    values = torch.randn(50, 5, generator=torch.Generator().manual_seed(0))
    values[:, 1] *= 1e-9
    moments.add(values)
    matrix = select_like("m", d_in=3, d_out=2)
    network = Hypernetwork([matrix], 2, 0.1, torch.Generator())
    network.normalise_by({"m": moments})
    deviations = network.std_0
    assert deviations[1] == pytest.approx(NARROWEST * deviations[:3][[0, 2]].norm().item() / 3**0.5, rel=1e-3)
    silent = Moments(5, torch.device("cpu"))
    silent.add(torch.zeros(4, 5))
    network.normalise_by({"m": silent})
    assert network.std_0.tolist() == [1.0] * 5


def select_like(name: str, d_in: int, d_out: int) -> Any:
    from stability.record.schema import Matrix

    return Matrix(name=name, layer=0, kind="mlp_out", d_out=d_out, d_in=d_in)


def test_matrices_of_one_shape_share_layers_and_have_scales_of_their_own(gpt2: Any) -> None:
    network = Hypernetwork(select(map_model(gpt2.model), [0, 1, 2]), 4, 0.1, torch.Generator())
    assert len(network.layers) == 2
    assert [tuple(pair[0].scale.shape) for pair in network.layers] == [(3, 64), (3, 64)]
    assert sorted(place[1:] for place in network.places.values()) == [
        (s, p) for s in (0, 1) for p in range(3)
    ]


def test_training_makes_edits_take_and_keeps_the_rest(gpt2: Any, settings: dict[str, Any]) -> None:
    chosen = MendSettings(**{**settings, "num_steps": 60})
    snapshot = Snapshot(gpt2.model)
    edits, text = training_material(gpt2.model, gpt2.tokenizer, chosen)
    _, losses = train_mend(gpt2.model, gpt2.tokenizer, edits, text, chosen)
    assert sum(losses[-12:]) < 0.7 * sum(losses[:12])
    assert snapshot.changed(gpt2.model) == ()


@pytest.mark.parametrize("sequence", [1, 3])
def test_training_is_the_same_for_the_same_seed(tiny: Any, settings: dict[str, Any], sequence: int) -> None:
    snapshot = Snapshot(tiny.model)

    def trained(seed: int) -> dict[str, torch.Tensor]:
        chosen = MendSettings(**{**settings, "seed": seed, "sequence": sequence})
        material = training_material(tiny.model, tiny.tokenizer, chosen)
        return train_mend(tiny.model, tiny.tokenizer, *material, chosen)[0].state_dict()

    first, again, other = trained(0), trained(0), trained(1)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not all(torch.equal(first[name], other[name]) for name in first)
    assert snapshot.changed(tiny.model) == ()


def test_in_a_sequence_later_steps_edit_an_edited_model(gpt2: Any, settings: dict[str, Any]) -> None:
    def losses(sequence: int) -> list[float]:
        still = {"edit_lr": 0.1, "lr": 1e-12, "lr_lr": 1e-12}  # only the model changes
        chosen = MendSettings(**{**settings, **still, "num_steps": 4, "sequence": sequence})
        material = training_material(gpt2.model, gpt2.tokenizer, chosen)
        return train_mend(gpt2.model, gpt2.tokenizer, *material, chosen)[1]

    alone, twos = losses(1), losses(2)
    assert twos[0] == alone[0]
    assert abs(twos[1] - alone[1]) > 0.01 * alone[1]
    assert twos[2] == pytest.approx(alone[2], rel=1e-4)  # it begins anew
    assert abs(twos[3] - alone[3]) > 0.01 * alone[3]


def test_it_is_trained_once_and_again_for_other_weights_or_settings(
    gpt2: Any, settings: dict[str, Any], store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="stability.editors.mend.steps.training")

    def trains(**other: Any) -> bool:
        caplog.clear()
        find_editor("mend", {**settings, **other}).prepare(gpt2.model, gpt2.tokenizer, store)
        return "MEND step" in caplog.text

    assert trains()
    assert not trains()
    assert trains(cloc=0.5)
    assert trains(seed=1)
    assert trains(train_edits_count=11)
    assert trains(locality_tokens=150)
    assert not trains()
    with torch.no_grad():
        gpt2.model.transformer.wpe.weight[-1, 0] += 1
    assert trains()


def test_from_the_store_it_edits_as_it_did_when_it_was_trained(
    gpt2: Any, settings: dict[str, Any], store: Store, edits: tuple[Edit, ...]
) -> None:
    snapshot = Snapshot(gpt2.model)
    name = map_model(gpt2.model).parameter_name(1, "mlp_out")
    results = []
    for _ in range(2):
        editor = find_editor("mend", settings)
        editor.prepare(gpt2.model, gpt2.tokenizer, store)
        editor.edit(gpt2.model, gpt2.tokenizer, edits)
        results.append(gpt2.model.get_parameter(name).clone())
        snapshot.restore(gpt2.model)
    assert torch.equal(*results)
    assert not torch.equal(results[0], gpt2.model.get_parameter(name))


def test_a_file_for_something_else_is_refused_in_one_line(
    build: Any, settings: dict[str, Any], store: Store, tmp_path: Path
) -> None:
    gpt2, file = build("gpt2"), tmp_path / "mend.safetensors"
    matrices = select(map_model(gpt2.model), LAYERS)
    write_hypernetwork(Hypernetwork(matrices, 8, 0.1, torch.Generator()), gpt2.model, file)

    def refused(**other: Any) -> str:
        editor = find_editor("mend", {**settings, "pretrained": str(file), **other})
        with pytest.raises(EditorError) as raised:
            editor.prepare(gpt2.model, gpt2.tokenizer, store)
        assert "\n" not in str(raised.value)
        return str(raised.value)

    assert "of shape [8, 64], the settings ask for [5, 64]" in refused(rank=5) or "[64, 8]" in refused(rank=5)
    assert "other matrices" in refused(layers=[0, 1])
    assert "cannot read" in refused(pretrained=str(tmp_path / "missing.safetensors"))
    (tmp_path / "broken.safetensors").write_bytes(b"no tensors")
    assert "cannot read" in refused(pretrained=str(tmp_path / "broken.safetensors"))
    save_file({"a": torch.zeros(2)}, tmp_path / "other.safetensors")
    assert "other weights" in refused(pretrained=str(tmp_path / "other.safetensors"))
    with torch.no_grad():
        gpt2.model.transformer.wpe.weight[-1, 0] += 1
    assert "other weights; train one for this model" in refused()


def test_a_batch_is_the_sum_of_its_edits(
    gpt2: Any, settings: dict[str, Any], store: Store, edits: tuple[Edit, ...]
) -> None:
    editor, snapshot = find_editor("mend", settings), Snapshot(gpt2.model)
    editor.prepare(gpt2.model, gpt2.tokenizer, store)
    name = map_model(gpt2.model).parameter_name(2, "mlp_in")

    def change(*batch: Edit) -> torch.Tensor:
        editor.edit(gpt2.model, gpt2.tokenizer, batch)
        assert [row["loss_before"] > 0 for row in editor.report(len(batch))] == [True] * len(batch)
        made = gpt2.model.get_parameter(name) - snapshot.tensor(name)
        snapshot.restore(gpt2.model)
        return made

    torch.testing.assert_close(change(*edits), change(edits[0]) + change(edits[1]), rtol=1e-3, atol=1e-6)


def test_it_says_that_it_has_to_be_prepared(gpt2: Any, settings: dict[str, Any], edit: Edit) -> None:
    with pytest.raises(EditorError, match="call prepare"):
        Mend(MendSettings(**settings)).edit(gpt2.model, gpt2.tokenizer, [edit])


def test_the_command_line_writes_what_pretrained_reads(
    gpt2: Any, settings: dict[str, Any], store: Store, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder, file = tmp_path / "model", tmp_path / "out" / "mend.safetensors"
    gpt2.model.save_pretrained(folder)
    gpt2.tokenizer.save_pretrained(folder)
    given = [f"{key}={value}" for key, value in settings.items()]
    arguments = [str(folder), str(file), *(part for one in given for part in ("--set", one))]
    assert main(arguments) == 0
    find_editor("mend", {**settings, "pretrained": str(file)}).prepare(gpt2.model, gpt2.tokenizer, store)
    assert main([*arguments, "--set", "rank"]) == 2
    assert "--set rank: expected KEY=VALUE" in caplog.text
