from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stability.store import Store
from tests.examples import examples


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


KEY = {"what": "moment", "layer": 3, "weights": "abc"}
TENSORS = {"moment": torch.arange(12, dtype=torch.float64).reshape(3, 4), "count": torch.tensor(7)}


def equal(one: dict[str, torch.Tensor] | None, other: dict[str, torch.Tensor]) -> bool:
    return one is not None and one.keys() == other.keys() and all(torch.equal(one[k], other[k]) for k in one)


def test_what_is_saved_is_loaded_bit_for_bit(store: Store) -> None:
    assert store.load(KEY) is None
    store.save(KEY, TENSORS)
    assert equal(store.load(KEY), TENSORS)
    assert store.load(KEY)["moment"].dtype == torch.float64  # type: ignore[index]


def test_the_order_of_a_key_does_not_matter_but_every_value_does(store: Store) -> None:
    store.save(KEY, TENSORS)
    assert equal(store.load(dict(reversed(KEY.items()))), TENSORS)
    assert store.load({**KEY, "layer": 4}) is None
    assert store.load({**KEY, "more": 1}) is None


def test_a_view_and_a_transpose_are_saved_as_they_read(store: Store) -> None:
    whole = torch.arange(12.0).reshape(3, 4)
    store.save(KEY, {"part": whole[:, 1:3], "turned": whole.T})
    assert equal(store.load(KEY), {"part": whole[:, 1:3], "turned": whole.T})


@given(cut=st.floats(0, 0.999))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=examples(25))
def test_a_truncated_entry_counts_as_missing(store: Store, cut: float) -> None:
    store.save(KEY, TENSORS)
    path = store.path(KEY)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * cut)])
    assert store.load(KEY) is None


def test_an_entry_with_one_flipped_bit_counts_as_missing(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    store.save(KEY, TENSORS)
    path = store.path(KEY)
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(content)
    assert store.load(KEY) is None
    assert "is damaged and is computed anew" in caplog.text
    store.save(KEY, TENSORS)
    assert equal(store.load(KEY), TENSORS)


def test_an_entry_of_another_key_under_this_name_counts_as_missing(store: Store) -> None:
    store.save(KEY, TENSORS)
    other = {**KEY, "layer": 9}
    store.path(other).write_bytes(store.path(KEY).read_bytes())
    assert store.load(other) is None


def test_nothing_but_whole_entries_is_left_in_the_folder(store: Store) -> None:
    store.save(KEY, TENSORS)
    store.save(KEY, TENSORS)
    assert list(store.folder.iterdir()) == [store.path(KEY)]


def test_two_processes_may_use_one_folder(store: Store) -> None:
    script = (
        "import sys, torch\n"
        "from stability.store import Store\n"
        "store = Store(sys.argv[1])\n"
        f"for _ in range(40): store.save({KEY!r}, {{'moment': torch.ones(300, 300)}})\n"
    )
    store.save(KEY, {"moment": torch.ones(300, 300)})
    root = str(Path(__file__).parents[3])
    environment = {**os.environ, "PYTHONPATH": root, "OMP_NUM_THREADS": "1"}
    other = subprocess.Popen([sys.executable, "-c", script, str(store.folder)], env=environment)
    while other.poll() is None:
        store.save(KEY, {"moment": torch.ones(300, 300)})
        assert equal(store.load(KEY), {"moment": torch.ones(300, 300)})
    assert other.returncode == 0
    assert list(store.folder.iterdir()) == [store.path(KEY)]


def test_what_is_slow_is_computed_by_one_process_while_the_others_wait(store: Store) -> None:
    script = (
        "import sys, time, torch\n"
        "from stability.store import Store\n"
        "store = Store(sys.argv[1])\n"
        f"with store.alone({KEY!r}):\n"
        "    print('inside', flush=True)\n"
        "    time.sleep(0.5)\n"
        f"    store.save({KEY!r}, {{'moment': torch.ones(3)}})\n"
    )
    root = str(Path(__file__).parents[3])
    environment = {**os.environ, "PYTHONPATH": root, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        [sys.executable, "-c", script, str(store.folder)], env=environment, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"inside\n"
        assert store.load(KEY) is None
        with store.alone({"another": "key"}):
            pass  # which nobody holds
        with store.alone(KEY):
            assert equal(store.load(KEY), {"moment": torch.ones(3)})


def test_where_the_folder_cannot_be_written_nothing_is_kept_and_the_log_says_so_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("")
    store, worked = Store(tmp_path / "file" / "cache"), []
    for _ in range(2):
        with store.alone(KEY):
            worked.append(1)
            store.save(KEY, TENSORS)
    assert worked == [1, 1]
    assert store.load(KEY) is None
    assert len(caplog.messages) == 1
    assert caplog.messages[0].startswith(
        f"cannot write to the cache {store.folder}: Not a directory; nothing"
    )
    assert "Set STABILITY_CACHE to a folder that can be written" in caplog.text


def test_what_goes_wrong_while_alone_is_not_taken_for_the_folders_fault(store: Store) -> None:
    with pytest.raises(PermissionError), store.alone(KEY):
        raise PermissionError
    with store.alone(KEY):
        pass


def test_the_folder_is_the_one_given_or_named_by_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STABILITY_CACHE", str(tmp_path / "elsewhere"))
    assert Store().folder == tmp_path / "elsewhere"
    assert Store(tmp_path).folder == tmp_path
    monkeypatch.delenv("STABILITY_CACHE")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert Store().folder == tmp_path / ".cache" / "stability"
