"""The journal on the disk: whole entries or none, one process at a time, damage found out."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from stability.data.edits import Edit
from stability.errors import EditorError, RecordError, UsageError
from stability.guard.journal import FILE, Journal, JournalEntry, JournalHeader
from stability.models import same_bytes
from stability.run.saved import copy_state, read_state, write_state
from stability.writer import LOCK_FILE

HEADER = JournalHeader(harness_version="1", model="m", model_fingerprint="f" * 64, seed=0)
EDIT = Edit(id="a", prompt="{} is", subject="b", target="c")


def entry(journal, *, accepted=True, changed=("w",), editor="e", **more):
    number = len(journal.entries) + 1
    return JournalEntry(
        number=number,
        accepted=accepted,
        editor=editor,
        editor_fingerprint="x",
        edits=(EDIT,),
        checked="cheap",
        changed=changed,
        **more,
    )


def add(journal, value, *names, state=None, **more):
    names = names or ("w",)
    tensors = {name: torch.full((3,), float(value)) for name in names}
    return journal.append(entry(journal, changed=names, **more), tensors, state or {})


@pytest.fixture
def journal(tmp_path):
    opened = Journal(tmp_path, HEADER)
    yield opened
    opened.close()


def again(journal, header=HEADER):
    """The journal, opened anew in its place."""
    journal.close()
    journal.__init__(journal.folder, header)
    return journal


def name_of(descriptor):
    return str(Path(f"/proc/self/fd/{descriptor}").readlink())


def values(journal, **how):
    return {name: tensor[0].item() for name, tensor in journal.tensors(**how).items()}


def test_a_journal_opened_again_holds_what_was_written(journal):
    first = add(journal, 1, "w", "v")
    refused = journal.append(entry(journal, accepted=False, reasons=("bad",)), {}, {})
    last = add(journal, 2, "w", state={"made": 2, "keys": [torch.eye(2)]})
    opened = again(journal)
    assert opened.entries == [first, refused, last]
    assert values(opened) == {"w": 2, "v": 1}
    assert opened.entries[0].edits == (EDIT,)
    state = opened.state("e", "x")
    assert state["made"] == 2
    assert torch.equal(state["keys"][0], torch.eye(2))
    assert opened.state("another", "x") == {}


@pytest.mark.parametrize("character", ["\u2028", "\x85", "\x1e", "\n"])
def test_a_line_separator_inside_an_edit_ends_no_line_of_the_journal(journal, character):
    asked = Edit(id="a", prompt="{} is", subject=f"b{character}c", target="d")
    first = journal.append(entry(journal, accepted=False).model_copy(update={"edits": (asked,)}), {}, {})
    assert again(journal).entries == [first]


def test_going_back_leaves_out_what_came_after(journal):
    add(journal, 1)
    add(journal, 2, "w", "v")
    journal.append(JournalEntry(number=3, accepted=False, back_to=1), {}, {})
    add(journal, 4, "u")
    opened = again(journal)
    assert values(opened) == {"w": 1, "u": 4}
    assert values(opened, back_to=1) == {"w": 1}
    assert [one.number for one in opened.accepted] == [1, 4]


@pytest.mark.parametrize("cut", [1, 5, 200])
def test_a_line_cut_short_is_taken_away_with_its_files(journal, cut):
    add(journal, 1)
    size = (journal.folder / FILE).stat().st_size
    add(journal, 2, state={"made": 1})
    os.truncate(journal.folder / FILE, size + cut)
    (journal.folder / "tmp1.part").touch()
    opened = again(journal)
    assert values(opened) == {"w": 1}
    assert {file.name for file in opened.folder.iterdir()} == {FILE, LOCK_FILE, "000001.safetensors"}
    add(opened, 3)
    assert values(again(opened)) == {"w": 3}


def test_a_header_cut_short_is_a_journal_that_was_never_begun(tmp_path):
    (tmp_path / FILE).write_text('{"schema_ver')
    opened = Journal(tmp_path, HEADER)
    add(opened, 1)
    assert len(again(opened).entries) == 1
    opened.close()


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="the system does not tell a descriptor's file")
def test_every_entry_is_on_the_disk_before_it_is_returned(journal, monkeypatch):
    synced = []
    original = os.fsync
    monkeypatch.setattr(os, "fsync", lambda file: (synced.append(name_of(file)), original(file)))
    add(journal, 1, state={"made": 1})
    suffixes = [name.removeprefix(str(journal.folder)).rpartition(".")[2] for name in synced]
    folder = str(journal.folder)
    assert suffixes.count("part") == 2  # tensors and state, each followed by the folder's list of files
    assert [index for index, name in enumerate(synced) if name == folder] == [1, 3]
    assert synced[-1] == str(journal.folder / FILE)


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="the system does not tell a descriptor's file")
def test_a_write_that_fails_leaves_the_journal_as_it_was(journal, monkeypatch):
    add(journal, 1)
    before = (journal.folder / FILE).read_bytes()
    original = os.fsync

    def full(file):
        if name_of(file).endswith(FILE):
            raise OSError(28, "No space left on device")
        original(file)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(RecordError, match="cannot write to the journal: No space left on device"):
        add(journal, 2)
    assert (journal.folder / FILE).read_bytes() == before
    monkeypatch.undo()
    add(journal, 3)
    assert values(again(journal)) == {"w": 3}


def test_equal_states_are_written_once(journal):
    for value in range(3):
        add(journal, value, state={"contexts": ["", "a"]})
    assert len(list(journal.folder.glob("state-*"))) == 1


def test_a_second_process_is_kept_out(journal):
    code = (
        "import sys; from pathlib import Path; from stability.guard.journal import Journal, JournalHeader\n"
        "try: Journal(Path(sys.argv[1]), JournalHeader.model_validate_json(sys.argv[2]))\n"
        "except Exception as error: sys.stdout.write(f'{type(error).__name__}: {error}')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(journal.folder), HEADER.model_dump_json()],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith(f"UsageError: {journal.folder}: process {os.getpid()} writes into it (")


@pytest.mark.parametrize(
    ("change", "message"),
    [({"model_fingerprint": "0" * 64}, "was begun on another model"), ({"seed": 1}, "with seed 0, not 1")],
)
def test_another_model_or_seed_is_refused(journal, change, message):
    with pytest.raises(UsageError, match=message):
        again(journal, HEADER.model_copy(update=change))


def test_damage_is_said_with_file_and_line(journal):
    add(journal, 1)
    add(journal, 2)
    path = journal.folder / FILE
    lines = path.read_text().splitlines(keepends=True)
    path.write_text(lines[0] + lines[2])
    with pytest.raises(RecordError, match=r"journal.jsonl:2: damaged: it is entry 2, expected 1"):
        again(journal)
    path.write_text(lines[0] + "{}\n" + lines[2])
    with pytest.raises(RecordError, match=r"journal.jsonl:2: damaged"):
        again(journal)
    path.write_text("[]\n")
    with pytest.raises(RecordError, match=r"journal.jsonl:1: is no journal's header"):
        again(journal)


def test_tensors_that_are_not_those_written_are_refused(journal):
    add(journal, 1)
    file = journal.folder / "000001.safetensors"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    with pytest.raises(RecordError, match="its checksum is not the one"):
        journal.tensors()
    file.unlink()
    with pytest.raises(RecordError, match="cannot be read: No such file"):
        journal.tensors()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda part: st.lists(part, max_size=3) | st.dictionaries(st.text(max_size=5), part, max_size=3),
    max_leaves=6,
)
TENSORS = st.builds(
    lambda values, dtype: torch.tensor(values).to(dtype),
    st.lists(st.floats(-100, 100, width=32), max_size=4),
    st.sampled_from([torch.float32, torch.float64, torch.bfloat16, torch.int64, torch.bool]),
)


@given(st.dictionaries(st.text(max_size=5), JSON | st.dictionaries(st.text(max_size=3), TENSORS, max_size=2)))
def test_a_state_of_json_values_and_tensors_comes_back(tmp_path_factory, state):
    path = tmp_path_factory.mktemp("state") / "state.safetensors"
    write_state(path, state)
    for back in (read_state(path), copy_state(state)):
        assert_equal(back, state)


def assert_equal(one, other):
    if isinstance(other, torch.Tensor):
        assert same_bytes(one, other)
    elif isinstance(other, dict):
        assert list(one) == list(other)
        for key in other:
            assert_equal(one[key], other[key])
    else:
        assert json.dumps(one) == json.dumps(other)


@pytest.mark.parametrize(
    ("state", "message"), [({"a": {1, 2}}, "is a set"), ({"a": {1: 2}}, "has the key 1")]
)
def test_a_state_of_anything_else_is_refused(state, message):
    with pytest.raises(EditorError, match=message):
        copy_state(state)


def test_a_copied_state_does_not_follow_the_editor():
    moments = torch.zeros(2)
    copied = copy_state({"moments": moments})
    moments += 1
    assert torch.equal(copied["moments"], torch.zeros(2))


def test_an_entry_that_names_a_tensor_that_its_file_lacks_is_damaged(journal):
    add(journal, 1)
    file = journal.folder / FILE
    file.write_text(file.read_text().replace('"changed":["w"]', '"changed":["v"]'))
    with pytest.raises(RecordError, match=r"000001\.safetensors: damaged: it does not hold v"):
        again(journal).tensors()
