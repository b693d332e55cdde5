import os

import pytest

from stability.data.documents import load_documents
from stability.errors import DataError


def test_a_byte_order_mark_is_no_text(tmp_path):
    path = tmp_path / "text.txt"
    path.write_bytes("\ufeffOne.\n\nTwo.".encode())
    assert load_documents("file", str(path)) == ("One.", "Two.")


def test_wikitexts_lines_end_at_line_breaks_alone(tmp_path, monkeypatch):
    (tmp_path / "corpus").mkdir()
    article = " = Lines = \n \n One\u2028 = Two = \n Three\x85Four \n"
    (tmp_path / "corpus" / "wikitext2_test.txt").write_bytes(f"\ufeff{article}\n = Next = \n Five\n".encode())
    monkeypatch.setenv("STABILITY_DATA", str(tmp_path))
    assert load_documents("wikitext") == ("= Lines =\nOne\u2028 = Two =\nThree\x85Four", "= Next =\nFive")


def test_a_files_documents_are_parted_by_blank_lines(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text("One.\nStill one.\n\n\nTwo.\n")
    assert load_documents("file", str(path)) == ("One.\nStill one.", "Two.")


@pytest.mark.parametrize("between", ["\n \n", "\n \t\n\n", " \n\u3000\n \n", "\n\x0c\n"])
def test_a_line_of_white_space_is_a_blank_line(tmp_path, between):
    path = tmp_path / "text.txt"
    path.write_text(f"{between}One.\n  Still one.{between}Two.{between}")
    assert load_documents("file", str(path)) == ("One.\n  Still one.", "Two.")


@pytest.mark.parametrize("content", ["", " \n\n "])
def test_an_empty_file_is_refused(tmp_path, content):
    path = tmp_path / "text.txt"
    path.write_text(content)
    with pytest.raises(DataError, match="holds no text"):
        load_documents("file", str(path))


def test_a_missing_file_and_an_unknown_source_are_refused(tmp_path):
    with pytest.raises(DataError, match="cannot read it"):
        load_documents("file", str(tmp_path / "none.txt"))
    with pytest.raises(DataError, match="no text is called 'wikitex'"):
        load_documents("wikitex")
    with pytest.raises(DataError, match="needs 'path'"):
        load_documents("file")


def test_the_world_has_text_to_be_measured_on_and_text_like_its_training():
    held_out, training = load_documents("world"), load_documents("world_training")
    assert sum(len(document.split()) for document in held_out) > 10_000
    assert not set(held_out) & set(training)


def test_a_source_of_another_package_comes_by_entry_point(tmp_path, install):
    code = "def poems(path):\n    return ['a rose', 'a tree'] if path is None else [path]\ndef none(path):\n    return []\n"
    install("more_texts", code, "[stability.documents]\npoems = more_texts:poems\nnone = more_texts:none\n")
    assert load_documents("poems") == ("a rose", "a tree")
    with pytest.raises(DataError, match="text 'none': gives no documents"):
        load_documents("none")
    (tmp_path / "text.txt").write_text("One.")
    assert load_documents("poems", str(tmp_path / "text.txt")) == ("One.",)


@pytest.mark.skipif("STABILITY_DATA" not in os.environ, reason="STABILITY_DATA names no folder of real data")
def test_wikitext_is_cut_into_articles():
    articles = load_documents("wikitext")
    assert len(articles) == 62
    assert articles[0].startswith("= ")
