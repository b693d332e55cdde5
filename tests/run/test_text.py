"""The text of a suite: in windows, wherever models are measured on it."""

from __future__ import annotations

import math
import os
from pathlib import Path

import pytest
import torch

from stability.data.documents import load_documents
from stability.models import LoadedModel, load_model
from stability.run import Experiment, measured_text
from stability.suite import ModelSpec, SuiteFile, parse_suite

DATA = Path(os.environ.get("STABILITY_DATA", ""))
LLAMA = DATA / "models" / "stories260K" / "hf"
SUITE = """
schema: 1
name: windows
run: {{edits: {{source: world, count: 1}}}}
text: {{source: {source}, tokens: {tokens}, window: {window}}}
probes: {{tokens: 100}}
checks:
  predicts: {{metric: perplexity, relative_to: base, assert: "<= 1.1"}}
"""


@pytest.fixture(scope="module")
def world() -> LoadedModel:
    return load_model(ModelSpec(name="world", device="cpu"))


def suite(source: str, tokens: int, window: int) -> SuiteFile:
    return parse_suite(SUITE.format(source=source, tokens=tokens, window=window))


@pytest.mark.skipif(
    not (os.environ.get("STABILITY_DATA") and LLAMA.is_dir()),
    reason="STABILITY_DATA names no folder with WikiText and models/stories260K",
)
def test_perplexity_of_long_documents_is_that_of_a_plain_forward_of_each_window() -> None:
    loaded = load_model(ModelSpec(name=str(LLAMA), device="cpu"))
    tokenizer = loaded.tokenizer
    ids = [
        tokenizer(document, add_special_tokens=False)["input_ids"]
        for document in load_documents("wikitext")[:2]
    ]
    assert len(ids[0]) < 4_500 < len(ids[0]) + len(ids[1])

    losses = []
    left = 4_500
    for document in ids:
        for start in range(0, len(document), 99):
            window = [tokenizer.bos_token_id, *document[start : start + 99]][:left]
            left -= len(window)
            if len(window) > 1:
                row = torch.tensor([window])
                with torch.no_grad():
                    logits = loaded.model(row).logits[0, :-1].double()
                losses += torch.nn.functional.cross_entropy(logits, row[0, 1:], reduction="none").tolist()

    experiment = Experiment(suite("wikitext", 4_500, window=100), loaded)
    assert set(experiment.text.document) == {0, 1}
    assert max(map(len, experiment.text.windows)) == 100
    measured = experiment.record.base.readings["perplexity"].values[""]
    assert measured == pytest.approx(math.exp(sum(losses) / len(losses)), rel=1e-5)


def test_a_window_is_never_longer_than_the_model_takes(world: LoadedModel) -> None:
    def longest(window: int) -> int:
        spec = suite("world_training", 4_500, window).spec.text
        return max(map(len, measured_text(spec, world.model, world.tokenizer).windows))

    assert longest(9) == 9
    assert longest(10**6) <= world.model.config.max_position_embeddings


def test_the_built_in_worlds_documents_are_shorter_than_a_window(world: LoadedModel) -> None:
    spec = parse_suite('{schema: 1, name: a, checks: {b: {metric: nonfinite, assert: "== 0"}}}').spec.text
    text = measured_text(spec, world.model, world.tokenizer)
    assert (spec.source, spec.window) == ("world", 256)
    assert text.document == tuple(range(len(text.windows)))
    # As in records from before texts were cut into windows.
    assert text.fingerprint == "7595764a20dbdcefbc7f18ae42ea7b9b10bf9a9a668ae70eca5838e765466f6b"
