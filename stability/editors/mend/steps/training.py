"""Training MEND's hypernetwork, and saving it in a file.

    python -m stability.editors.mend.steps.training MODEL FILE.safetensors --set KEY=VALUE ...

trains with the model's preset and the given settings, and writes a file for the setting `pretrained` of the
editor `mend`.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from stability.data.documents import load_documents
from stability.data.edits import Edit, load_edits
from stability.editors.mend.steps.gradient_factors import GradientFactors, added, capture
from stability.editors.mend.steps.hypernetwork import Hypernetwork, Moments
from stability.editors.mend.steps.settings import MendSettings, MendTrainingSettings
from stability.editors.steps.selection import select
from stability.editors.steps.teacher_forcing import (
    TeacherForced,
    at_least_float,
    teacher_forced,
    teacher_forced_edits,
)
from stability.errors import EditorError, StabilityError, UsageError
from stability.models import (
    ModelMap,
    TokenizedText,
    Tokenizer,
    context_length,
    load_model,
    map_model,
    model_fingerprint,
    pad_right,
    tokenize_text,
)
from stability.models.modes import frozen
from stability.reading import UnreadableError, parse_yaml
from stability.record.schema import Matrix
from stability.suite import EditsSpec, ModelSpec

log = logging.getLogger(__name__)

REPORTED = 50  # steps between progress messages


def training_material(
    model: nn.Module, tokenizer: Tokenizer, settings: MendTrainingSettings
) -> tuple[tuple[Edit, ...], TokenizedText]:
    """The edits and the text that the settings name.

    Raises:
        DataError: they cannot be read, or there are too few.
    """
    spec = EditsSpec(
        source=settings.train_edits, path=settings.train_edits_path, count=settings.train_edits_count
    )
    text = tokenize_text(
        tokenizer,
        load_documents(settings.locality_dataset, settings.locality_path),
        tokens=settings.locality_tokens,
        max_length=min(settings.locality_window, context_length(model)),
    )
    return load_edits(spec, settings.seed), text


def train_mend(
    model: nn.Module,
    tokenizer: Tokenizer,
    edits: Sequence[Edit],
    text: TokenizedText,
    settings: MendTrainingSettings,
) -> tuple[Hypernetwork, list[float]]:
    """Train a hypernetwork for the unedited model (section 3 of the paper); returns each step's loss, too.

    Every step makes some edits, each separately, and lowers L = cedit · L_edit + cloc · L_loc: L_edit is the
    mean negative log-likelihood of the target after one of the edit's prompts (its own or a paraphrase),
    L_loc the mean KL(before the edit ‖ after it) of the next token on a window of the text. The factors of
    the edits' gradients are constants here: nothing is differentiated twice. Means and deviations for the
    normalisation are those of all training edits on the unedited model.

    With `sequence` above 1 (not in the paper, where every step starts from the unedited model) one edit of
    each step is kept until that many steps have been made, so that the hypernetwork learns to edit edited
    models.
    """
    found = map_model(model)
    matrices = select(found, settings.layers, settings.matrices)
    generator = torch.Generator().manual_seed(settings.seed)
    network = Hypernetwork(matrices, settings.rank, settings.edit_lr, generator).to(found.device)
    optimiser = torch.optim.Adam(
        [
            {"params": list(network.layers.parameters()), "lr": settings.lr},
            {"params": [network.log_rates], "lr": settings.lr_lr},
        ]
    )
    fall = (1 - settings.final_rate) / settings.num_steps
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: 1 - fall * step)
    losses = []
    with frozen(model), _put_back(found, matrices) as put_back:
        network.normalise_by(statistics(model, tokenizer, matrices, edits, settings.batch_size))
        chosen = _drawn(len(edits), settings.batch_size, generator)
        read = _drawn(len(text.windows), settings.batch_size, generator)
        for step in range(settings.num_steps):
            batch = [edits[index] for index in next(chosen)]
            windows = [text.windows[index] for index in next(read)]
            asked = _asked(tokenizer, batch, generator, found.device)
            factors, _ = capture(model, found, matrices, teacher_forced_edits(tokenizer, batch, found.device))
            changes = {matrix: network.change(matrix.name, factors[matrix.name]) for matrix in matrices}
            edit_loss, locality_loss = _losses(model, found, changes, asked, windows)
            loss = settings.cedit * edit_loss + settings.cloc * locality_loss
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(network.parameters(), settings.grad_clip)
            optimiser.step()
            schedule.step()
            losses.append(loss.item())
            if (step + 1) % settings.sequence == 0:
                put_back()
            else:
                _keep_first(found, changes)
            if step % REPORTED == 0 or step == settings.num_steps - 1:
                log.info(
                    "MEND step %d of %d: loss %.4f, edit %.4f, locality %.4f",
                    step + 1,
                    settings.num_steps,
                    losses[-1],
                    edit_loss.item(),
                    locality_loss.item(),
                )
    if not all(torch.isfinite(weight).all() for weight in network.parameters()):
        raise EditorError("MEND's training diverged; lower lr or lr_lr")
    return network.requires_grad_(False), losses


def statistics(
    model: nn.Module, tokenizer: Tokenizer, matrices: Sequence[Matrix], edits: Sequence[Edit], batch_size: int
) -> dict[str, Moments]:
    """Mean and deviation of [x; δ] for each matrix over all kept tokens of the edits, each [d_in + d_out]."""
    found = map_model(model)
    moments = {matrix.name: Moments(matrix.d_in + matrix.d_out, found.device) for matrix in matrices}
    for first in range(0, len(edits), batch_size):
        stated = teacher_forced_edits(tokenizer, edits[first : first + batch_size], found.device)
        for name, one in capture(model, found, matrices, stated)[0].items():
            moments[name].add(torch.cat([one.x, one.delta], dim=-1)[one.kept].to(found.device))
    return moments


def _losses(
    model: nn.Module,
    found: ModelMap,
    changes: dict[Matrix, GradientFactors],
    asked: TeacherForced,
    windows: Sequence[Tensor],
) -> tuple[Tensor, Tensor]:
    """L_edit on the prompts asked for each edit, and L_loc on one window for each, with the edits made."""
    input_ids, attention_mask = pad_right([window.tolist() for window in windows], 0)
    text = {"input_ids": input_ids.to(found.device), "attention_mask": attention_mask.to(found.device)}
    with torch.no_grad():
        base = at_least_float(model(**text, use_cache=False).logits).log_softmax(
            dim=-1
        )  # [edits, tokens, vocabulary]
    with added(found, changes):
        answered = model(
            input_ids=asked.input_ids, attention_mask=asked.attention_mask, use_cache=False
        ).logits
        edited = at_least_float(model(**text, use_cache=False).logits).log_softmax(dim=-1)
    edit_loss = asked.mean_by_row(asked.token_losses(answered[asked.rows, asked.positions])).mean()
    divergence = (base.exp() * (base - edited)).sum(dim=-1)  # [edits, tokens]
    return edit_loss, divergence[text["attention_mask"].bool()].mean()


@contextmanager
def _put_back(found: ModelMap, matrices: Sequence[Matrix]) -> Iterator[Callable[[], None]]:
    """Yields a function that restores the matrices, which also happens at the end."""
    before = {matrix: found.weight(matrix).clone() for matrix in matrices}

    def put_back() -> None:
        for matrix, weight in before.items():
            found.weight(matrix).copy_(weight)

    try:
        yield put_back
    finally:
        put_back()


def _keep_first(found: ModelMap, changes: dict[Matrix, GradientFactors]) -> None:
    """Keep the first edit of a step."""
    for matrix, change in changes.items():
        weight = found.weight(matrix)
        first = GradientFactors(change.x[:1].detach(), change.delta[:1].detach(), change.kept[:1])
        weight += first.product().to(weight)


def _asked(
    tokenizer: Tokenizer, edits: Sequence[Edit], generator: torch.Generator, device: torch.device
) -> TeacherForced:
    """One prompt for each edit: its own or a paraphrase, with equal probability."""
    asked = []
    for edit in edits:
        prompts = (edit.filled, *edit.paraphrase_prompts)
        index = int(torch.randint(len(prompts), (), generator=generator))
        asked.append((prompts[index], edit.target, edit.space))
    return teacher_forced(tokenizer, asked, device)


def _drawn(count: int, size: int, generator: torch.Generator) -> Iterator[list[int]]:
    """Endless batches of indices below `count`: every index once, then every index again."""
    waiting: list[int] = []
    while True:
        while len(waiting) < size:
            waiting += torch.randperm(count, generator=generator).tolist()
        yield waiting[:size]
        waiting = waiting[size:]


def write_hypernetwork(network: Hypernetwork, model: nn.Module, path: Path) -> None:
    """Write a hypernetwork for the `pretrained` setting.

    Raises:
        EditorError: the file cannot be written.
    """
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file(tensors, path, metadata=_label(network, model))
    except (OSError, SafetensorError) as error:
        raise EditorError(f"cannot write the hypernetwork to {path}: {error}") from error


def read_hypernetwork(network: Hypernetwork, model: nn.Module, path: Path) -> None:
    """Fill a hypernetwork from a file.

    Raises:
        EditorError: the file cannot be read, or its hypernetwork is for another model, other matrices or
            another rank.
    """
    try:
        with safe_open(path, framework="pt") as file:
            label = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise EditorError(f"mend: cannot read the hypernetwork {path}: {error}") from error
    for what, wanted in _label(network, model).items():
        if label.get(what) != wanted:
            hint = "train one for this model" if what == "weights" else f"it has {label.get(what)}"
            raise EditorError(f"mend: the hypernetwork {path} was trained for other {what}; {hint}")
    fill(network, tensors, str(path))


def fill(network: Hypernetwork, tensors: dict[str, Tensor], origin: str) -> None:
    """Copy tensors into a hypernetwork, in their own dtype.

    Raises:
        EditorError: names or shapes do not match those of the hypernetwork.
    """
    own = network.state_dict()
    for name in sorted(own.keys() | tensors.keys()):
        here, there = own.get(name), tensors.get(name)
        if here is None or there is None or here.shape != there.shape:
            shapes = [None if one is None else list(one.shape) for one in (there, here)]
            raise EditorError(
                f"mend: the hypernetwork {origin} has {name} of shape {shapes[0]}, the settings ask for "
                f"{shapes[1]}; give the rank, layers and matrices that it was trained with"
            )
    network.to(next(iter(tensors.values())).dtype).load_state_dict(tensors)


def _label(network: Hypernetwork, model: nn.Module) -> dict[str, str]:
    return {"weights": model_fingerprint(model), "matrices": json.dumps(list(network.places))}


def main(arguments: Sequence[str] | None = None) -> int:
    """Train a hypernetwork from the command line; the exit status is as for the `stability` command."""
    from stability.editors.plugin.find import find_editor

    parser = argparse.ArgumentParser(
        prog="python -m stability.editors.mend.steps.training",
        description="Train MEND's hypernetwork for a model.",
    )
    parser.add_argument("model", help="world, a folder, or a name on the hub")
    parser.add_argument("file", type=Path, help="the safetensors file to write")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a setting of mend")
    given = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        info = find_editor("mend", _settings(given.set), given.model).info
        settings = MendSettings.model_validate(info.settings)
        loaded = load_model(ModelSpec(name=given.model))
        material = training_material(loaded.model, loaded.tokenizer, settings)
        network, _ = train_mend(loaded.model, loaded.tokenizer, *material, settings)
        write_hypernetwork(network, loaded.model, given.file)
    except StabilityError as error:
        log.error("%s", error)
        return error.exit_status
    return 0


def _settings(written: Sequence[str]) -> dict[str, Any]:
    """KEY=VALUE arguments, with YAML values.

    Raises:
        UsageError: one does not have that form.
    """
    settings = {}
    for one in written:
        key, equals, value = one.partition("=")
        try:
            settings[key], _ = parse_yaml(value)
        except UnreadableError:
            equals = ""
        if not equals:
            raise UsageError(f"--set {one}: expected KEY=VALUE")
    return settings


if __name__ == "__main__":
    sys.exit(main())
