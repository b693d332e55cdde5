"""Entries as files: which go first, and what is said of each."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stability.errors import UsageError
from stability.store import Store, all_entries, bound, prune
from stability.store.places import UNITS, in_words, parse_size
from tests.examples import examples

DAY = 86_400


def kept(store: Store, ages: dict[int, float], values: int = 1000) -> dict[int, Path]:
    """An entry of 4 bytes a value for each number, last used so many days ago."""
    for number, days in ages.items():
        store.save({"what": "thing", "number": number}, {"x": torch.ones(values)}, about="a model")
        when = time.time() - days * DAY
        os.utime(store.path({"what": "thing", "number": number}), (when, when))
    return {number: store.path({"what": "thing", "number": number}) for number in ages}


def left(paths: dict[int, Path]) -> list[int]:
    return [number for number, path in paths.items() if path.exists()]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def test_an_entry_says_what_it_is_and_of_which_model(store: Store) -> None:
    store.save(
        {"what": "second moment", "layer": 3, "weights": "abcdef"}, {"x": torch.ones(2)}, about="world"
    )
    store.save({"what": "null space", "weights": "0123456789abcdef"}, {"x": torch.ones(2)})
    assert {entry.describe() for entry in all_entries(store.folder)} == {
        ("second moment 3", "world"),
        ("null space", "0123456789ab"),
    }


def test_a_file_that_is_none_has_no_description_and_is_listed(store: Store) -> None:
    store.folder.mkdir()
    for number, content in enumerate(
        [b"", b"x" * 5, b"\xff" * 30, b"\x02\0\0\0\0\0\0\0[]", b"\x01\0\0\0\0\0\0\0{"]
    ):
        (store.folder / f"{number}.safetensors").write_bytes(content)
    assert [entry.describe() for entry in all_entries(store.folder)] == [("", "")] * 5


def test_what_was_used_longest_ago_goes_first_and_no_more_than_needed(store: Store) -> None:
    paths = kept(store, {1: 3, 2: 1, 3: 2})
    size = paths[1].stat().st_size
    removed = prune(store.folder, most=2 * size)
    assert [entry.path for entry in removed] == [paths[1]]
    assert left(paths) == [2, 3]
    prune(store.folder, most=2 * size - 1)
    assert left(paths) == [2]
    assert prune(store.folder, most=size) == []


def test_reading_an_entry_is_using_it(store: Store) -> None:
    paths = kept(store, {1: 3, 2: 1})
    assert store.load({"what": "thing", "number": 1}) is not None
    prune(store.folder, most=paths[1].stat().st_size)
    assert left(paths) == [1]


def test_age_and_size_choose_what_goes(store: Store) -> None:
    paths = kept(store, {1: 3, 2: 1}) | kept(store, {3: 0.1}, values=5000)
    prune(store.folder, older_than=2 * DAY)
    assert left(paths) == [2, 3]
    prune(store.folder, larger_than=paths[2].stat().st_size)
    assert left(paths) == [2]


@given(
    sizes=st.lists(st.integers(0, 400), min_size=1, max_size=8),
    most=st.integers(0, 12_000),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=examples(20))
def test_pruned_is_a_tail_of_the_least_recently_used_and_what_stays_fits(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], most: int
) -> None:
    store = Store(tmp_path_factory.mktemp("pruned"))
    paths = {}
    for age, values in enumerate(sizes):
        paths |= kept(store, {age: age}, values)
    before = {number: path.stat().st_size for number, path in paths.items()}
    prune(store.folder, most=most)
    stay = left(paths)
    assert stay == list(range(len(stay)))  # the youngest
    assert sum(before[number] for number in stay) <= most
    if len(stay) < len(sizes):
        assert sum(before[number] for number in range(len(stay) + 1)) > most


def test_writing_past_the_bound_lets_go_of_the_oldest_and_never_of_what_was_just_written(
    tmp_path: Path,
) -> None:
    store = Store(tmp_path, most=10_000)
    paths = kept(store, {1: 3, 2: 2})
    paths |= kept(store, {3: 0})
    assert left(paths) == [2, 3]


def test_what_alone_is_past_the_bound_is_not_kept_and_nothing_goes_for_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    paths = kept(Store(tmp_path), {1: 3})
    Store(tmp_path, most=5_000).save({"what": "a large thing"}, {"x": torch.ones(2000)})
    assert left(paths) == [1]
    assert len(all_entries(tmp_path)) == 1
    assert "a large thing is not kept: it has 7.81 KiB" in caplog.text


def test_tensors_that_were_read_stay_readable_when_their_entry_goes(store: Store) -> None:
    (path,) = kept(store, {1: 1}).values()
    tensors = store.load({"what": "thing", "number": 1})
    prune(store.folder, most=0)
    assert not path.exists()
    assert tensors is not None
    assert torch.equal(tensors["x"], torch.ones(1000))


def test_parts_of_files_that_a_killed_process_left_go_after_a_day(store: Store) -> None:
    kept(store, {1: 0})
    for name, days in (("old", 2.0), ("new", 0.1)):
        part = store.folder / f".{name}.part"
        part.write_bytes(b"half")
        os.utime(part, (time.time() - days * DAY,) * 2)
    prune(store.folder)
    assert [path.name for path in store.folder.glob(".*")] == [".new.part"]


def test_a_folder_that_is_not_there_holds_nothing(tmp_path: Path) -> None:
    assert all_entries(tmp_path / "none") == prune(tmp_path / "none", most=0) == []


@pytest.mark.parametrize(
    ("text", "size"), [("0", 0), ("1KiB", 1024), ("1.5 GB", 1_500_000_000), ("20GiB", 20 * 2**30), ("7B", 7)]
)
def test_a_size_is_a_number_and_a_unit(text: str, size: int) -> None:
    assert parse_size(text) == size


@given(st.integers(0, 2**50))
def test_a_size_in_words_is_that_size_to_three_digits(size: int) -> None:
    assert parse_size(in_words(size)) == pytest.approx(size, rel=5e-3)


@given(st.text(max_size=8).filter(lambda text: not any(text.strip().endswith(unit) for unit in UNITS)))
def test_anything_else_is_no_size(text: str) -> None:
    if text.strip() != "0":
        with pytest.raises(ValueError, match="cannot read the size"):
            parse_size(text)


def test_a_bound_that_is_no_size_is_an_error_of_usage(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("STABILITY_CACHE_SIZE", "much")
    with pytest.raises(UsageError, match="STABILITY_CACHE_SIZE: cannot read the size 'much'; write a number"):
        Store(tmp_path)
    monkeypatch.setenv("STABILITY_CACHE_SIZE", "3MiB")
    assert Store(tmp_path).most == bound() == 3 * 2**20
    monkeypatch.delenv("STABILITY_CACHE_SIZE")
    assert bound() == 20 * 2**30
