"""MEND: a hypernetwork, trained beforehand, turns the gradient of an edit into a better change."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stability.data.edits import Edit
from stability.editors.mend.steps.settings import MendSettings
from stability.editors.plugin.protocol import BuiltIn
from stability.editors.steps.selection import select
from stability.errors import EditorError
from stability.parts import EditorHead
from stability.record.schema import Matrix

if TYPE_CHECKING:
    from torch import nn

    from stability.editors.mend.steps.hypernetwork import Hypernetwork
    from stability.models import ModelMap, TokenizedText, Tokenizer
    from stability.store import Store


class Mend(BuiltIn):
    """Model editor networks with gradient decomposition (Mitchell et al. 2021, arXiv 2110.11309).

    An edit's gradient at a matrix is Σ δ xᵀ over its tokens. A hypernetwork maps x and δ to x̃ and δ̃, and
    the matrix becomes W - α Σ δ̃ x̃ᵀ. The hypernetwork is trained once on the unedited model, unless it is in
    the store or a file is given. All edits of a batch are computed from the model before the batch.
    """

    head = EditorHead(
        "mend",
        "a hypernetwork, trained beforehand, that turns an edit's gradient into a change (MEND)",
        family="trained",
        not_of_an_edit=("lr", "num_steps"),
    )
    Settings = MendSettings
    settings: MendSettings

    def __init__(self, settings: MendSettings) -> None:
        super().__init__(settings)
        self._network: Hypernetwork | None = None
        self._losses: list[float] = []

    def prepare(self, model: nn.Module, tokenizer: Tokenizer, store: Store) -> None:
        """Get the hypernetwork: from the file, from the store, or by training it."""
        import torch

        from stability.editors.mend.steps.hypernetwork import Hypernetwork
        from stability.editors.mend.steps.training import (
            fill,
            read_hypernetwork,
            train_mend,
            training_material,
        )
        from stability.models import map_model, model_name

        found = map_model(model)
        generator = torch.Generator().manual_seed(self.settings.seed)
        settings = self.settings
        network = Hypernetwork(self._matrices(found), settings.rank, settings.edit_lr, generator)
        if settings.pretrained is not None:
            read_hypernetwork(network, model, Path(settings.pretrained).expanduser())
        else:
            edits, text = training_material(model, tokenizer, settings)
            key = self._key(model, tokenizer, edits, text)
            with store.alone(key):
                stored = store.load(key)
                if stored is None:
                    network, _ = train_mend(model, tokenizer, edits, text, settings)
                    store.save(key, network.state_dict(), about=model_name(model))
                else:
                    fill(network, stored, str(store.path(key)))
        self._network = network.to(found.device).requires_grad_(False)

    def edit(self, model: nn.Module, tokenizer: Tokenizer, edits: Sequence[Edit]) -> None:
        """Make the edits in place, all at once."""
        from stability.editors.mend.steps.gradient_factors import capture
        from stability.editors.steps.teacher_forcing import teacher_forced_edits
        from stability.models import map_model
        from stability.models.modes import frozen

        if self._network is None:
            raise EditorError("mend: call prepare, on the unedited model, before edit")
        found = map_model(model)
        matrices = self._matrices(found)
        with frozen(model):
            stated = teacher_forced_edits(tokenizer, edits, found.device)
            factors, losses = capture(model, found, matrices, stated)
            for matrix in matrices:
                weight = found.weight(matrix)
                change = self._network.change(matrix.name, factors[matrix.name]).product()
                weight.copy_(weight.double() + change.to(weight.device).double())
        self._losses = losses.tolist()

    def report(self) -> Mapping[str, Sequence[float]]:
        """Each edit's loss before the batch, whose gradient was used."""
        return {"loss_before": self._losses}

    def touched(self, found: ModelMap) -> tuple[str, ...]:
        """The chosen matrices."""
        return tuple(matrix.name for matrix in self._matrices(found))

    def _matrices(self, found: ModelMap) -> list[Matrix]:
        return select(found, self.settings.layers, self.settings.matrices)

    def _key(
        self, model: nn.Module, tokenizer: Tokenizer, edits: Sequence[Edit], text: TokenizedText
    ) -> dict[str, Any]:
        """Everything that the hypernetwork depends on."""
        from stability.models import model_fingerprint, tokenizer_fingerprint
        from stability.models.configuration import computing_keys

        config: Any = model.config
        contents = json.dumps([asdict(edit) for edit in edits], sort_keys=True)
        return {
            "what": "hypernetwork of MEND",
            "settings": self.settings.model_dump(mode="json", exclude={"pretrained"}),
            "config": computing_keys(json.loads(config.to_json_string())),
            "weights": model_fingerprint(model),
            "tokenizer": tokenizer_fingerprint(tokenizer),
            "edits": hashlib.sha256(contents.encode()).hexdigest(),
            "text": text.fingerprint,
        }
