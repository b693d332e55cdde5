"""Full fine-tuning and continual pre-training: plain torch loops, and optimisers that last."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from torch import nn

from stability.data.edits import Edit
from stability.editors import Store, find_editor
from stability.editors.train.cpt import ContinualPretraining, ContinualSettings
from stability.errors import EditorError
from stability.models import Snapshot

FULL = {"num_steps": 3, "lr": 1e-3}


@pytest.fixture
def cpt(text_file: str) -> dict[str, Any]:
    return {
        **FULL,
        "path": text_file,
        "n_tokens": 200,
        "window": 12,
        "batch_size": 3,
        "held_windows": 2,
    }


def optimiser_of(model: nn.Module, settings: dict[str, Any]) -> torch.optim.Optimizer:
    kind = {"adamw": torch.optim.AdamW, "adam": torch.optim.Adam, "sgd": torch.optim.SGD}
    chosen = settings.get("optimizer", "adamw")
    betas = {} if chosen == "sgd" else {"betas": settings.get("betas", (0.9, 0.999))}
    model.requires_grad_(True)
    return kind[chosen](
        model.parameters(), lr=settings["lr"], weight_decay=settings.get("weight_decay", 0.0), **betas
    )


def steps(
    model: nn.Module, optimiser: torch.optim.Optimizer, settings: dict[str, Any], loss: Callable[[], Any]
) -> None:
    for _ in range(settings["num_steps"]):
        optimiser.zero_grad()
        loss().backward()
        if "max_grad_norm" in settings:
            torch.nn.utils.clip_grad_norm_(model.parameters(), settings["max_grad_norm"])
        optimiser.step()


def statement_loss(tiny: Any, edits: Sequence[Edit]) -> torch.Tensor:
    losses = []
    for edit in edits:
        ids = torch.tensor(tiny.tokenizer(f"{edit.filled} {edit.target}")["input_ids"])
        start = len(tiny.tokenizer(edit.filled)["input_ids"])
        log_probs = tiny.model(input_ids=ids[None]).logits[0, start - 1 : -1].log_softmax(dim=-1)
        losses.append(-log_probs.gather(1, ids[start:, None])[:, 0])
    return torch.cat(losses).mean()


def assert_moved_alike(model: nn.Module, other: nn.Module, base: nn.Module) -> None:
    """Both have moved from the base, by the same."""
    before = dict(base.named_parameters())
    theirs = dict(other.named_parameters())
    for name, weight in model.named_parameters():
        change, expected = weight - before[name], theirs[name] - before[name]
        assert (change - expected).norm() <= 1e-5 * expected.norm() + 1e-9, name
    assert any((weight - before[name]).abs().max() > 1e-4 for name, weight in model.named_parameters())


VARIANTS = [
    {},
    {"optimizer": "adam", "weight_decay": 0.1, "betas": (0.8, 0.95)},
    {"optimizer": "sgd", "lr": 0.01, "weight_decay": 0.1},
    {"max_grad_norm": 0.1, "optimizer": "sgd", "lr": 0.1},
]


@pytest.mark.parametrize("extra", VARIANTS, ids=str)
def test_full_fine_tuning_is_a_plain_loop_over_all_weights(
    build: Any, tiny: Any, edits: tuple[Edit, ...], extra: dict[str, Any]
) -> None:
    settings = {**FULL, **extra}
    plain, base = (build(tiny.model.config.model_type) for _ in range(2))
    for one in (tiny, plain, base):
        one.model.double()
    editor = find_editor("full_ft", settings)
    optimiser = optimiser_of(plain.model, settings)
    for batch in (edits[:1], edits):
        editor.edit(tiny.model, tiny.tokenizer, batch)
        steps(plain.model, optimiser, settings, lambda batch=batch: statement_loss(plain, batch))
    assert_moved_alike(tiny.model, plain.model, base.model)


@pytest.mark.parametrize("extra", VARIANTS[:2], ids=str)
def test_continual_pretraining_is_a_plain_loop_over_windows_of_the_text(
    build: Any, tiny: Any, edits: tuple[Edit, ...], store: Store, cpt: dict[str, Any], extra: dict[str, Any]
) -> None:
    settings = {**cpt, **extra}
    plain, base = (build(tiny.model.config.model_type) for _ in range(2))
    for one in (tiny, plain, base):
        one.model.double()
    editor = ContinualPretraining(ContinualSettings(**settings))
    torch.manual_seed(5)
    editor.prepare(tiny.model, tiny.tokenizer, store)
    editor.edit(tiny.model, tiny.tokenizer, edits)
    optimiser = optimiser_of(plain.model, settings)
    order = torch.randperm(len(editor._windows), generator=torch.Generator().manual_seed(5)).tolist()
    reported = []
    for edit in range(2):
        losses = []
        for step in range(3):
            first = (edit * 3 + step) * 3
            each = []
            for index in order[first : first + 3]:
                ids = editor._windows[index]
                log_probs = plain.model(input_ids=ids[None]).logits[0, :-1].log_softmax(dim=-1)
                each.append(-log_probs.gather(1, ids[1:, None])[:, 0])
            loss = torch.cat(each).mean()
            losses.append(loss.item())
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        reported.append(sum(losses) / 3)
    assert_moved_alike(tiny.model, plain.model, base.model)
    assert editor.report()["training_loss"] == pytest.approx(reported, rel=1e-3)


def test_every_window_is_read_once_before_any_is_read_again(
    gpt2: Any, store: Store, cpt: dict[str, Any], monkeypatch: pytest.MonkeyPatch, edit: Edit
) -> None:
    read: list[int] = []
    editor = ContinualPretraining(ContinualSettings(**{**cpt, "num_steps": 1}))
    editor.prepare(gpt2.model, gpt2.tokenizer, store)
    places = {id(window): index for index, window in enumerate(editor._windows)}

    def remember(model: nn.Module, windows: Sequence[torch.Tensor]) -> torch.Tensor:
        read.extend(places[id(window)] for window in windows if id(window) in places)
        return next(model.parameters()).sum() * 0

    monkeypatch.setattr("stability.editors.train.steps.descent.next_token_loss", remember)
    rounds = len(editor._windows) // 3
    editor.edit(gpt2.model, gpt2.tokenizer, [edit] * 2 * rounds)
    first, second = read[: rounds * 3], read[rounds * 3 :]
    assert len(set(first)) == len(set(second)) == rounds * 3
    assert first != second


def test_the_windows_held_back_are_never_trained_on(gpt2: Any, store: Store, cpt: dict[str, Any]) -> None:
    editor = ContinualPretraining(ContinualSettings(**cpt))
    editor.prepare(gpt2.model, gpt2.tokenizer, store)
    assert len(editor._held) == 2
    assert not {id(window) for window in editor._held} & {id(window) for window in editor._windows}
    assert all(2 <= len(window) <= 12 for window in editor._windows)


def test_a_text_that_is_too_short_is_one_line(gpt2: Any, store: Store, cpt: dict[str, Any]) -> None:
    with pytest.raises(EditorError, match=r"^cpt: the text gives \d+ windows, 2 of them held back; a step"):
        find_editor("cpt", {**cpt, "batch_size": 50}).prepare(gpt2.model, gpt2.tokenizer, store)


@pytest.mark.parametrize("name", ["full_ft", "cpt"])
@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_a_state_goes_on_as_if_nothing_had_been_interrupted(
    build: Any, edits: tuple[Edit, ...], store: Store, cpt: dict[str, Any], name: str, optimizer: str
) -> None:
    settings = {**(cpt if name == "cpt" else FULL), "optimizer": optimizer}

    def run(interrupted: bool) -> nn.Module:
        tiny, editor = build("gpt2"), find_editor(name, settings)
        torch.manual_seed(2)
        editor.prepare(tiny.model, tiny.tokenizer, store)
        editor.edit(tiny.model, tiny.tokenizer, edits[:1])
        if interrupted:
            state, weights, tiny = editor.state(), tiny.model.state_dict(), build("gpt2")
            editor = find_editor(name, settings)
            torch.manual_seed(2)
            editor.prepare(tiny.model, tiny.tokenizer, store)
            editor.load_state(state)
            assert editor.state().keys() == state.keys()
            tiny.model.load_state_dict(weights)
        editor.edit(tiny.model, tiny.tokenizer, edits[1:])
        return tiny.model

    straight, resumed = run(False), run(True)
    theirs = dict(resumed.named_parameters())
    assert all(torch.equal(weight, theirs[key]) for key, weight in straight.named_parameters())


def test_moments_last_from_one_edit_to_the_next(build: Any, edits: tuple[Edit, ...]) -> None:
    def weight(same_editor: bool) -> torch.Tensor:
        tiny, editor = build("gpt2"), find_editor("full_ft", FULL)
        editor.edit(tiny.model, tiny.tokenizer, edits[:1])
        editor = editor if same_editor else find_editor("full_ft", FULL)
        editor.edit(tiny.model, tiny.tokenizer, edits[1:])
        return tiny.model.transformer.h[1].mlp.c_fc.weight

    assert not torch.allclose(weight(True), weight(False), atol=1e-5)


def test_a_state_of_another_model_is_one_line(build: Any, edits: tuple[Edit, ...]) -> None:
    gpt2, llama = build("gpt2"), build("llama")
    editor = find_editor("full_ft", FULL)
    editor.edit(gpt2.model, gpt2.tokenizer, edits)
    with pytest.raises(EditorError, match="of another model: this one has no transformer"):
        editor.edit(llama.model, llama.tokenizer, edits)


def test_each_statements_loss_is_reported_before_and_after(gpt2: Any, edits: tuple[Edit, ...]) -> None:
    before = [statement_loss(gpt2, [edit]).item() for edit in edits]
    editor, snapshot = find_editor("full_ft", {**FULL, "num_steps": 20}), Snapshot(gpt2.model)
    editor.edit(gpt2.model, gpt2.tokenizer, edits)
    rows = editor.report(2)
    assert [row["first_loss"] for row in rows] == pytest.approx(before, rel=1e-4)
    assert all(row["training_loss"] < 0.5 * row["first_loss"] for row in rows)
    assert set(snapshot.changed(gpt2.model)) == {name for name, _ in gpt2.model.named_parameters()}
