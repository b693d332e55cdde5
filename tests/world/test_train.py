from __future__ import annotations

import json
from itertools import islice
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, GPT2LMHeadModel

from stability.world import World, text
from tools.world import vocabulary
from tools.world.batches import batches, pack
from tools.world.network import build_network, documents, forward, token_table, visible, without
from tools.world.recipe import Recipe
from tools.world.tokenizer import build_tokenizer
from tools.world.train import train, write

TINY = Recipe(
    layers=2, width=16, heads=2, mlp_width=32, context=64, rows=4, steps=6, warmup=2, opening_steps=2
)
TOKENIZER = build_tokenizer(TINY.context)
IS_NAME = token_table(TOKENIZER, vocabulary.name_words())


def test_training_lowers_the_loss_and_repeats_itself_exactly(world: World):
    def trained() -> tuple[GPT2LMHeadModel, list[float]]:
        losses: list[float] = []
        model = train(world, TOKENIZER, TINY, seed=3, on_step=lambda _, loss: losses.append(loss))
        return model, losses

    (first, losses), (second, again) = trained(), trained()
    assert len(losses) == TINY.steps
    assert losses[-1] < losses[0]
    assert losses == again
    assert not first.training
    assert all(map(torch.equal, first.state_dict().values(), second.state_dict().values()))


def test_a_written_folder_loads_and_replaces_what_was_there(world: World, tmp_path: Path):
    folder = tmp_path / "model"
    for note in ("old", "new"):
        write(folder, train(world, TOKENIZER, TINY), TOKENIZER, {"note": note})
    assert json.loads((folder / "card.json").read_text()) == {"note": "new"}
    assert list(tmp_path.iterdir()) == [folder]
    model = AutoModelForCausalLM.from_pretrained(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    ids = tokenizer("Ada Corberg lives in", return_tensors="pt")
    assert model(**ids).logits.shape == (1, 4, len(tokenizer))


def test_on_one_document_the_trainers_forward_is_gpt2s_own(world: World):
    torch.manual_seed(0)
    model = build_network(TINY, TOKENIZER).eval()
    ids = TOKENIZER(text.heldout_documents(world, 1)[0], return_tensors="pt")["input_ids"][:, :60]
    document, positions = documents(ids, TOKENIZER.eos_token_id)
    with torch.no_grad():
        ours = forward(model, ids, positions, [visible(document)] * TINY.layers)
        torch.testing.assert_close(ours, model(ids).logits)


def test_documents_of_a_row_do_not_see_each_other():
    ids = torch.tensor([[7, 8, 1, 9, 1, 5]])
    document, positions = documents(ids, end=1)
    assert document.tolist() == [[0, 0, 0, 1, 1, 2]]
    assert positions.tolist() == [[0, 1, 2, 0, 1, 0]]
    mask = visible(document)[0]  # [queries, keys]
    assert mask[4].tolist() == [False, False, False, True, True, False]
    assert mask[1].tolist() == [True, True, False, False, False, False]


def test_the_mask_hides_names_from_all_words_but_names():
    ids = TOKENIZER("In fact, Ada Corberg lives in Oslo.", return_tensors="pt")["input_ids"]
    is_name = IS_NAME[ids]  # [1, tokens]
    assert is_name[0].tolist() == [False] * 3 + [True] * 2 + [False] * 4
    everything = visible(torch.zeros_like(ids))
    mask = without(everything, is_name, is_name)[0]  # [queries, keys]
    ada, corberg, lives = 3, 4, 5
    assert mask[corberg, : corberg + 1].all()
    assert not mask[lives:, ada : corberg + 1].any()
    assert torch.equal(mask[:, lives:], everything[0][:, lives:])


def test_rows_start_with_a_document_and_are_full(world: World):
    documents = list(islice(text.training_documents(world), 300))
    rows = list(pack(documents, TOKENIZER, 64))
    assert {len(row) for row in rows} == {64}
    starts = {tuple(TOKENIZER.encode(document)[:8]) for document in documents}
    assert all(tuple(row[:8]) in starts for row in rows)


def test_the_opening_speaks_of_few_subjects(world: World):
    recipe = Recipe(context=64, rows=4, opening_steps=5, opening_subjects=40)
    few = {name for subject in world.editable[:40] for name in subject.split()}
    stream = batches(world, TOKENIZER, recipe, seed=0)
    opening, rest = list(islice(stream, 5)), list(islice(stream, 5))
    names = [TOKENIZER.convert_ids_to_tokens(ids[IS_NAME[ids]].tolist()) for ids in opening]
    assert set().union(*names) <= few
    assert not set(TOKENIZER.convert_ids_to_tokens(torch.cat(rest)[IS_NAME[torch.cat(rest)]].tolist())) <= few
