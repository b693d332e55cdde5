"""Makes the built-in model anew: `python -m tools.world.train [--seed 0] [--out DIR] [--threads 2]`."""

from __future__ import annotations

import argparse
import json
import math
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from random import Random

import torch
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from torch.nn import functional
from transformers import GPT2LMHeadModel, PreTrainedTokenizerFast

from stability.world import MODEL, build_world
from stability.world.facts import World
from stability.world.names import FIRST_NAMES
from tools.world import vocabulary
from tools.world.batches import batches
from tools.world.evaluate import figures
from tools.world.network import build_network, documents, forward, token_table, visible, without
from tools.world.recipe import Recipe
from tools.world.tokenizer import build_tokenizer

WORLD_SEED = 0


def train(
    world: World,
    tokenizer: PreTrainedTokenizerFast,
    recipe: Recipe,
    seed: int = 0,
    on_step: Callable[[int, float], None] = lambda step, loss: None,
) -> GPT2LMHeadModel:
    """A trained model in evaluation mode; `on_step` hears of each step and its loss.

    Seeds torch's global generator, from which the initial weights come.
    """
    torch.manual_seed(seed)
    coin = Random(f"mask-{seed}")
    model = build_network(recipe, tokenizer).train()
    is_name = token_table(tokenizer, vocabulary.name_words())
    is_first_name = token_table(tokenizer, frozenset(FIRST_NAMES))
    is_answer = token_table(tokenizer, vocabulary.answer_words())
    weight = torch.where(is_answer, recipe.answer_weight, recipe.other_weight)  # [vocabulary]
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=recipe.learning_rate, betas=(0.9, 0.98), weight_decay=0.0, fused=True
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _rate(step, recipe))
    for step, ids in zip(range(recipe.steps), batches(world, tokenizer, recipe, seed), strict=False):
        document, positions = documents(ids, tokenizer.eos_token_id)
        early = late = visible(document)
        if coin.random() < recipe.name_blind_share:
            early = without(early, is_name[ids], is_name[ids])
            late = without(late, is_first_name[ids], is_name[ids])
        masks = [early if layer < recipe.name_blind_layers else late for layer in range(recipe.layers)]
        logits = forward(model, ids, positions, masks)[:, :-1]  # [rows, tokens - 1, vocabulary]
        targets = ids[:, 1:]  # [rows, tokens - 1]
        losses = functional.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="none")
        weights = weight[targets].flatten()
        loss = (losses * weights).sum() / weights.sum()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), recipe.clip)
        optimizer.step()
        schedule.step()
        on_step(step + 1, loss.item())
    return model.eval()


def _rate(step: int, recipe: Recipe) -> float:
    """The learning rate as a share of its peak: a linear warm-up, then half a cosine."""
    if step < recipe.warmup:
        return (step + 1) / recipe.warmup
    progress = (step - recipe.warmup) / max(1, recipe.steps - recipe.warmup)
    return recipe.final_rate + (1 - recipe.final_rate) * (1 + math.cos(math.pi * min(1.0, progress))) / 2


def write(folder: Path, model: GPT2LMHeadModel, tokenizer: PreTrainedTokenizerFast, card: object) -> None:
    """Puts model, tokenizer and card in `folder` at one stroke; what was there before is replaced."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as scratch:
        fresh, old = Path(scratch) / "fresh", Path(scratch) / "old"
        model.save_pretrained(fresh)
        tokenizer.save_pretrained(fresh)
        (fresh / "card.json").write_text(json.dumps(card, indent=2) + "\n")
        for file in fresh.iterdir():
            file.chmod(0o644)
        if folder.exists():
            shutil.move(folder, old)
        shutil.move(fresh, folder)


def main(argv: list[str] | None = None) -> None:
    """Trains, measures and writes the model, and shows its figures."""
    parser = argparse.ArgumentParser(prog="python -m tools.world.train", description=__doc__)
    parser.add_argument("--seed", type=int, default=0, help="of weights, batches and masks; the world stays")
    parser.add_argument("--out", type=Path, default=MODEL, help="the folder to write")
    parser.add_argument("--threads", type=int, default=2, help="threads for torch")
    parser.add_argument("--steps", type=int, default=Recipe.steps, help="fewer for a try-out")
    arguments = parser.parse_args(argv)
    torch.set_num_threads(arguments.threads)

    console = Console()
    recipe = Recipe(steps=arguments.steps)
    world, tokenizer = build_world(WORLD_SEED), build_tokenizer(recipe.context)
    started = time.monotonic()
    columns = (
        TextColumn("training"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("loss {task.fields[loss]:.3f}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as progress:
        bar = progress.add_task("training", total=recipe.steps, loss=math.nan)
        model = train(
            world,
            tokenizer,
            recipe,
            arguments.seed,
            lambda step, loss: progress.update(bar, completed=step, loss=loss),
        )
    seconds = round(time.monotonic() - started)
    measured = figures(model, tokenizer, world)
    for name, value in measured.items():
        console.print(f"{name:32} {value:.3f}")
    card = {"seed": arguments.seed, "world_seed": WORLD_SEED, "figures": measured, "recipe": asdict(recipe)}
    write(arguments.out, model, build_tokenizer(recipe.context), card)  # a fresh one: use leaves padding set
    console.print(f"trained in {seconds} s, written to {arguments.out}")


if __name__ == "__main__":
    main()
