"""`stability cache`: what is kept is listed, let go of and checked."""

import os
import time

import pytest
import torch
from typer.testing import CliRunner

from stability.cli import app
from stability.errors import MeasurementError
from stability.store import Store


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setenv("STABILITY_CACHE", str(tmp_path / "store"))
    monkeypatch.setenv("COLUMNS", "200")
    return Store()


def said(*words):
    done = CliRunner().invoke(app, ["cache", *words], catch_exceptions=False, standalone_mode=False)
    return done.output


def put(store, layer, days=0.0):
    key = {"what": "second moment", "layer": layer}
    store.save(key, {"x": torch.ones(1000)}, about="world")
    when = time.time() - days * 86_400
    os.utime(store.path(key), (when, when))
    return store.path(key)


def test_an_empty_cache_is_listed_pruned_and_verified(store):
    assert said("list") == f"nothing is kept in {store.folder}\n"
    assert said("prune") == f"removed 0 entries, 0 B from {store.folder}\n"
    assert said("verify") == f"0 entries, 0 B in {store.folder}, all whole\n"


def test_the_list_says_what_of_which_model_how_large_and_how_old(store):
    first, _ = put(store, 3, days=9.1), put(store, 4)
    header, newer, older, total = said("list").splitlines()
    assert header.split() == ["name", "what", "model", "size", "used"]
    assert "second moment 4" in newer
    assert " ".join(older.split()) == f"{first.name[:12]} second moment 3 world 4.13 KiB 9 d ago"
    assert total == f"2 entries, 8.27 KiB of 20 GiB in {store.folder}"


def test_pruning_goes_by_age_or_size_and_without_either_by_the_bound(store, monkeypatch):
    old, new = put(store, 3, days=9), put(store, 4, days=1)
    assert said("prune").startswith("removed 0 entries")
    assert said("prune", "--older-than", "3d").startswith("removed 1 entry, 4.13 KiB from")
    assert (old.exists(), new.exists()) == (False, True)
    assert said("prune", "--larger-than", "1MiB").startswith("removed 0")
    old = put(store, 3, days=9)
    assert said("prune", "--to", "5KiB").startswith("removed 1")
    assert (old.exists(), new.exists()) == (False, True)
    monkeypatch.setenv("STABILITY_CACHE_SIZE", "1KiB")
    assert said("prune").startswith("removed 1")
    assert not new.exists()


@pytest.mark.parametrize(
    ("option", "value"), [("--older-than", "3 weeks"), ("--to", "much"), ("--larger-than", "-1MiB")]
)
def test_what_is_no_age_or_size_is_refused(store, option, value):
    done = CliRunner().invoke(app, ["cache", "prune", option, value])
    assert done.exit_code == 2
    assert "cannot read" in done.output


def test_a_damaged_entry_is_named_and_so_is_one_under_another_name(store):
    whole, flipped, moved = (put(store, layer) for layer in (1, 2, 3))
    content = bytearray(flipped.read_bytes())
    content[-5] ^= 1
    flipped.write_bytes(content)
    moved = moved.rename(moved.with_name(f"{'0' * 64}.safetensors"))
    done = CliRunner().invoke(app, ["cache", "verify"])
    assert isinstance(done.exception, MeasurementError)  # exit status 3
    assert str(done.exception).startswith("2 of 3 entries in ")
    assert f"damaged: {flipped}" in done.output
    assert f"damaged: {moved}" in done.output
    assert str(whole) not in done.output
