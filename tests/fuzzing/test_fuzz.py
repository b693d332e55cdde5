"""The fuzzer in its small form, and that it would find what it looks for."""

import json
import time
from random import Random

import pytest

from stability.errors import RecordError
from tools.fuzz import campaign
from tools.fuzz.campaign import Campaign, Tally, content_of, fuzz, outcome_of, shares
from tools.fuzz.commands import NAME, Ended, run_commands
from tools.fuzz.mutations import mutated, parses
from tools.fuzz.reader import Reader
from tools.fuzz.readers import READERS
from tools.fuzz.table import DATA, PAGE, total, with_table

INPUTS = 8
COMMANDS = 16


@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.name)
def test_a_valid_file_is_read_and_a_mutated_one_is_read_or_refused_in_one_clear_line(reader, tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    reader.beside(folder)
    file = folder / reader.file
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(reader.valid()[0])
    assert outcome_of(lambda: reader.read(file)) == ("read", "")
    tally = Tally()
    fuzz(reader, range(INPUTS), tally)
    assert tally.problems == []
    assert tally.tried == INPUTS


def test_commands_that_read_mutated_files_end_with_a_status_and_a_clear_line():
    tally = Tally()
    run_commands(tally, COMMANDS, 0, lambda: None)
    assert tally.problems == []
    assert tally.tried == COMMANDS


def test_inputs_are_the_same_each_time_and_most_get_past_the_first_parse():
    for reader in READERS:
        valid = reader.valid()
        contents = [content_of(reader, valid, 0, number) for number in range(30)]
        assert contents == [content_of(reader, valid, 0, number) for number in range(30)]
        assert len(set(contents)) > 20
        assert sum(parses(content, reader.form) for content in contents) >= 12


def raising(error):
    def read(path):
        raise error

    return read


@pytest.mark.parametrize(
    ("read", "outcome"),
    [
        (lambda path: None, "read"),
        (raising(RecordError("damaged")), "refused"),
        (raising(RecordError("")), "unclear"),
        (raising(KeyError("a")), "traceback"),
        (raising(RecursionError()), "traceback"),
        (lambda path: time.sleep(5), "hang"),
        (lambda path: [1 for _ in iter(int, 1)], "hang"),
    ],
    ids=["reads", "refuses", "mute", "breaks", "recurses", "sleeps", "loops"],
)
def test_the_fuzzer_tells_readers_apart(read, outcome, monkeypatch):
    monkeypatch.setattr(campaign, "LONGEST_READ", 0.2)
    tally = Tally()
    fuzz(Reader("r", "f", "text", lambda: [b"a"], read), range(3), tally)
    assert tally.outcomes == {outcome: 3}
    assert len(tally.problems) == (0 if outcome in ("read", "refused") else 3)


@pytest.mark.parametrize(
    ("status", "out", "err", "outcome"),
    [
        (0, "all held", "", "read"),
        (2, "", "no such file", "refused"),
        (None, "", "", "hang"),
        (1, "", "Traceback (most recent call last)", "traceback"),
        (3, "", "stability has an error that nobody foresaw: KeyError", "traceback"),
        (-11, "", "", "traceback"),
        (3, "", "", "unclear"),
        (1, "::error::injected", "", "unclear"),
        (2, "", "a\x1b[2Jb", "unclear"),
        (2, "", "a" * 10_000, "unclear"),
    ],
)
def test_what_a_command_leaves_is_told_apart(status, out, err, outcome):
    assert Ended(["judge"], status, out, err).outcome[0] == outcome


def test_a_campaign_goes_on_where_it_was_interrupted(tmp_path):
    seen = []

    def read(path):
        seen.append(path.read_bytes())
        if len(seen) == 150:
            raise KeyboardInterrupt

    reader = Reader("r", "f", "text", lambda: [b"abcdefgh"], read)
    with pytest.raises(KeyboardInterrupt):
        Campaign(tmp_path / "state.json", 0).run([reader], {"r": 250})
    resumed = Campaign(tmp_path / "state.json", 0)
    assert resumed.tally("r").tried == 100
    resumed.run([reader], {"r": 250})
    assert resumed.tally("r").tried == 250
    whole = Campaign(None, 0)
    whole.run([Reader("r", "f", "text", lambda: [b"abcdefgh"], lambda path: None)], {"r": 250})
    assert resumed.tallies == whole.tallies
    assert Campaign(tmp_path / "state.json", 1).tallies == {}


def test_every_reader_gets_inputs_and_the_quick_ones_more():
    wanted = shares(READERS, 100_000)
    assert sum(wanted.values()) >= 100_000
    assert min(wanted.values()) > 100
    cheapest = min(READERS, key=lambda reader: reader.cost)
    assert wanted[cheapest.name] == max(wanted.values())


def test_a_mutation_of_anything_is_bytes():

    for form in ("json", "lines", "yaml", "safetensors", "text"):
        for content in (b"", b"\xff", b"null", b"[]"):
            assert all(isinstance(mutated(content, form, Random(seed)), bytes) for seed in range(20))


def test_the_page_shows_the_campaign_that_is_kept_and_it_found_nothing():
    content = json.loads(DATA.read_text(encoding="utf-8"))
    tallies = {name: Tally(**tally) for name, tally in content["tallies"].items()}
    page = PAGE.read_text(encoding="utf-8")
    assert with_table(page, tallies) == page
    assert {reader.name for reader in READERS} <= tallies.keys()
    assert NAME in tallies
    assert total(tallies).parsed >= total(tallies).tried / 2
    assert total(tallies).bad == 0
