from __future__ import annotations

import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from torch import nn

from stability.editors import LoadedEditor, Store, find_editor, list_editors, wrap_editor
from stability.errors import EditorError, SettingsError

FUNCTION = """
def edit(model, tokenizer, edits, *, amount: float = 1.0, note=None):
    model.seen = [edit.id for edit in edits]
    model.amount = amount
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with an editor's file in it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my_editor.py").write_text(FUNCTION)
    return tmp_path


def apply(editor: LoadedEditor, edits: Any, store: Store) -> nn.Module:
    model = nn.Linear(2, 2)
    editor.prepare(model, None, store)
    assert editor.edit(model, None, edits) is model
    return model


@pytest.mark.parametrize("name", ["./my_editor.py:edit", "./my_editor.py", "my_editor.py:edit"])
def test_a_function_in_a_file_is_an_editor(folder: Path, name: str, edits: Any, store: Store) -> None:
    editor = find_editor(name, {"amount": "2.5"})
    model = apply(editor, edits, store)
    assert model.seen == ["berg", "zoe"]
    assert model.amount == 2.5
    assert (editor.info.name, editor.info.source) == (name, "path")
    assert editor.info.settings == {"amount": 2.5, "note": None}


def test_an_absolute_path_works_from_anywhere(folder: Path, edits: Any, store: Store) -> None:
    assert apply(find_editor(f"{folder}/my_editor.py:edit"), edits, store).amount == 1.0


def test_a_dotted_name_is_imported_also_from_the_working_directory(
    folder: Path, edits: Any, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "own_package_of_editors").mkdir()
    (folder / "own_package_of_editors" / "best.py").write_text(FUNCTION)
    before = list(sys.path)
    editor = find_editor("own_package_of_editors.best:edit")
    assert apply(editor, edits, store).seen == ["berg", "zoe"]
    assert editor.info.source == "dotted name"
    assert sys.path == before


def test_an_installed_packages_entry_point_is_found_and_listed(
    edits: Any, store: Store, install: Any
) -> None:
    install("shiny_editors", FUNCTION, "[stability.editors]\nshiny = shiny_editors:edit\n")
    editor = find_editor("shiny")
    assert apply(editor, edits, store).seen == ["berg", "zoe"]
    assert (editor.info.source, editor.info.version) == ("entry point of shiny_editors", "1.2")
    assert "shiny" in [entry.name for entry in list_editors()]
    assert metadata.entry_points(group="stability.editors", name="shiny")


OTHERS = """
from __future__ import annotations
from stability.editors import BuiltIn, EditorHead, EditorSettings, Restraint, Wrapper, WrapperSettings

class PlainSettings(EditorSettings):
    amount: float = 1.0

class Plain(BuiltIn):
    head = EditorHead("plain", "an editor of another package", family="trained")
    Settings = PlainSettings
    def edit(self, model, tokenizer, edits):
        model.amount = self.settings.amount

class DampSettings(WrapperSettings):
    factor: float = 0.5

class Damp(Wrapper):
    head = EditorHead("damp", "around an editor: makes half of its change",
                      family="wrapper", holds_back=Restraint("factor", lambda factor: 2 * factor))
    Settings = DampSettings
    def change(self, name, weight, delta):
        return self.settings.factor * delta

class Headless(Wrapper):
    Settings = WrapperSettings
    def change(self, name, weight, delta):
        return delta

class Heir(Damp):
    pass
"""
OTHER_POINTS = """[stability.editors]
plain = other_editors:Plain
damp = other_editors:Damp
headless = other_editors:Headless
heir = other_editors:Heir
gone = other_editors:NoSuchThing
"""


def test_editors_of_other_packages_are_listed_with_what_their_own_heads_say(install: Any) -> None:
    install("other_editors", OTHERS, OTHER_POINTS)
    entries = {entry.name: entry for entry in list_editors()}
    assert entries["plain"].summary == "an editor of another package"
    assert entries["plain"].settings == ("amount=1.0",)
    assert entries["damp"].settings == ("editor", "factor=0.5")
    assert [entries[name].summary for name in ("headless", "heir", "gone")] == ["", "", ""]
    assert entries["gone"].source == "entry point of other_editors"


@pytest.mark.parametrize("name", ["damp", "headless"])
def test_a_wrapper_of_another_package_wraps_an_editor_as_ours_do(install: Any, name: str) -> None:
    install("other_editors", OTHERS, OTHER_POINTS)
    short = find_editor(f"{name}(rome)", model_name="world")
    long = find_editor(name, {"editor": "rome"}, "world")
    assert short.info == long.info
    assert (short.info.name, short.info.source) == (f"{name}(rome)", "entry point of other_editors")
    assert short.info.settings["editor"]["settings"] == find_editor("rome", model_name="world").info.settings
    nested = find_editor("sphere", {"editor": f"{name}(rome)"}, "world")
    assert nested.info.name == f"sphere({name}(rome))"
    with pytest.raises(SettingsError, match=re.escape(f"or {name}(memit)")):
        find_editor(name)


def test_the_fingerprint_of_an_editor_that_builds_on_ours_is_of_its_own_source_too(install: Any) -> None:
    install("other_editors", OTHERS, OTHER_POINTS)
    install(
        "more_editors", OTHERS + "# another line\n", "[stability.editors]\nplain_too = more_editors:Plain\n"
    )
    assert find_editor("plain").info.fingerprint != find_editor("plain_too").info.fingerprint


def test_finding_all_editors_and_their_settings_takes_no_torch() -> None:
    heavy = ("torch", "transformers", "peft", "safetensors", "numpy")
    code = (
        "import sys\n"
        "from stability.editors import list_editors\n"
        "from stability.parts import EDITORS, EDIT_FORMS, EDIT_SOURCES, TEXT_SOURCES\n"
        "assert [kind.built_in() for kind in (EDITORS, EDIT_FORMS, EDIT_SOURCES, TEXT_SOURCES)]\n"
        "assert any(entry.settings for entry in list_editors())\n"
        f"print([name for name in {heavy} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_built_in_editors_are_listed_with_what_they_do() -> None:
    entries = {entry.name: entry for entry in list_editors()}
    assert {"rome", "ft", "none"} <= entries.keys()
    assert all(entry.summary for entry in entries.values() if entry.source == "built-in")


def test_a_class_is_made_with_its_settings(folder: Path, edits: Any, store: Store) -> None:
    (folder / "classy.py").write_text(
        "class Classy:\n"
        "    def __init__(self, amount: int, *, flag: bool = False):\n"
        "        self.amount = amount\n"
        "    def edit(self, model, tokenizer, edits):\n"
        "        model.amount = self.amount\n"
    )
    assert apply(find_editor("./classy.py:Classy", {"amount": 3}), edits, store).amount == 3
    with pytest.raises(SettingsError, match=r"setting 'amount' is missing \(settings: amount, flag\)"):
        find_editor("./classy.py:Classy")


def test_a_class_may_declare_a_pydantic_model(folder: Path, edits: Any, store: Store) -> None:
    (folder / "classy.py").write_text(
        "from __future__ import annotations\n"
        "from pydantic import BaseModel, ConfigDict, Field\n"
        "class Classy:\n"
        "    class Settings(BaseModel):\n"
        "        model_config = ConfigDict(extra='forbid')\n"
        "        amount: int = Field(1, ge=1)\n"
        "    def __init__(self, settings: Settings):\n"
        "        self.settings = settings\n"
        "    def edit(self, model, tokenizer, edits):\n"
        "        model.amount = self.settings.amount\n"
    )
    assert apply(find_editor("./classy.py:Classy", {"amount": 3}), edits, store).amount == 3
    with pytest.raises(
        SettingsError, match="setting 'amount': Input should be greater than or equal to 1, got 0"
    ):
        find_editor("./classy.py:Classy", {"amount": 0})


def test_each_run_begins_with_a_new_instance_and_state_is_carried_by_hand(store: Store) -> None:
    class Counting:
        def __init__(self) -> None:
            self.count = 0

        def edit(self, model: nn.Module, tokenizer: Any, edits: Any) -> nn.Module:
            self.count += len(edits)
            return nn.Identity()

        def state(self) -> dict[str, int]:
            return {"count": self.count}

        def load_state(self, state: dict[str, int]) -> None:
            self.count = state["count"]

    editor = wrap_editor(Counting)
    model = nn.Linear(1, 1)
    editor.prepare(model, None, store)
    assert isinstance(editor.edit(model, None, [1, 2]), nn.Identity)
    state = editor.state()
    assert state == {"count": 2}
    editor.prepare(model, None, store)
    assert editor.state() == {"count": 0}
    editor.load_state(state)
    assert editor.state() == {"count": 2}


def test_a_function_has_no_state(edits: Any, store: Store) -> None:
    def edit(model: nn.Module, tokenizer: Any, edits: Any) -> None:
        """Do nothing."""

    editor = wrap_editor(edit)
    editor.load_state({})
    assert editor.state() == {}
    assert (editor.info.name, editor.info.source) == ("edit", "python object")


def test_an_object_with_an_edit_method_is_an_editor(edits: Any, store: Store) -> None:
    class Bound:
        prepared = 0

        def prepare(self, model: nn.Module, tokenizer: Any, store: Store) -> None:
            self.prepared += 1

        def edit(self, model: nn.Module, tokenizer: Any, edits: Any) -> None:
            model.seen = len(edits)

    bound = Bound()
    assert apply(wrap_editor(bound), edits, store).seen == 2
    assert bound.prepared == 1
    with pytest.raises(SettingsError, match=r"unknown setting 'a' .*no settings"):
        wrap_editor(bound, {"a": 1})


def test_a_loaded_editor_is_taken_as_it_is() -> None:
    editor = find_editor("none")
    assert wrap_editor(editor) is editor


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("romme", "no editor is called 'romme'; did you mean 'rome'? known: "),
        ("./nowhere.py:edit", "editor ./nowhere.py:edit: there is no file nowhere.py"),
        ("./my_editor.py:edti", "there is no 'edti' in it, did you mean 'edit'? (it has edit)"),
        ("no_such_package.at_all:edit", "importing it failed: ModuleNotFoundError: No module named"),
        ("json:dumps", "cannot be called as edit(model, tokenizer, edits)"),
        ("json:JSONEncoder", "a type is no editor; it should be a function edit(model, tokenizer, edits)"),
        ("json:__name__", "a str is no editor"),
    ],
)
def test_what_cannot_be_found_is_one_line_that_says_why(folder: Path, name: str, message: str) -> None:
    with pytest.raises(EditorError, match=re.escape(message)) as caught:
        find_editor(name)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("x = 1\nraise KeyError('oh')\n", r"failed at .*broken\.py:2: KeyError: 'oh'"),
        ("x = 1\n\ny = = 2\n", r"failed at .*broken\.py:3: SyntaxError: invalid syntax"),
        ("import os\nimport nothing_like_it\n", r"failed at .*broken\.py:2: ModuleNotFoundError"),
        ("import sys\nsys.exit(3)\n", r"failed at .*broken\.py:2: SystemExit: 3"),
    ],
)
def test_an_error_while_importing_is_reported_with_its_place(folder: Path, source: str, message: str) -> None:
    (folder / "broken.py").write_text(source)
    with pytest.raises(EditorError, match=message) as caught:
        find_editor("./broken.py")
    assert "\n" not in str(caught.value)
    assert caught.value.__cause__ is not None


def test_an_error_while_making_it_is_reported_with_its_place(folder: Path) -> None:
    (folder / "broken.py").write_text(
        "class Broken:\n    def __init__(self):\n        1 / 0\n    def edit(self, model, tokenizer, edits): ...\n"
    )
    with pytest.raises(EditorError, match=r"setting it up failed at .*broken\.py:3: ZeroDivisionError"):
        find_editor("./broken.py:Broken")


def test_files_beside_an_editor_can_be_imported_by_it(folder: Path, edits: Any, store: Store) -> None:
    (folder / "beside_the_editor.py").write_text("AMOUNT = 7.0\n")
    (folder / "leaning.py").write_text(
        "from beside_the_editor import AMOUNT\ndef edit(model, tokenizer, edits):\n    model.amount = AMOUNT\n"
    )
    assert apply(find_editor("./leaning.py"), edits, store).amount == 7.0


def test_a_file_may_hold_dataclasses_with_postponed_annotations(folder: Path) -> None:
    (folder / "dated.py").write_text(
        "from __future__ import annotations\n"
        "from dataclasses import dataclass\n"
        "@dataclass\n"
        "class Dated:\n"
        "    amount: float = 1.0\n"
        "    def edit(self, model, tokenizer, edits): ...\n"
    )
    assert find_editor("./dated.py:Dated", {"amount": 2}).info.settings == {"amount": 2.0}


def test_files_of_one_name_in_two_folders_are_two_editors(folder: Path, edits: Any, store: Store) -> None:
    other = folder / "other"
    other.mkdir()
    (other / "my_editor.py").write_text(FUNCTION.replace("= 1.0", "= 9.0"))
    assert apply(find_editor("./my_editor.py"), edits, store).amount == 1.0
    assert apply(find_editor("other/my_editor.py"), edits, store).amount == 9.0


def test_the_fingerprint_is_of_the_source_and_the_settings(folder: Path) -> None:
    def fingerprint(**settings: Any) -> str:
        return find_editor("./my_editor.py", settings).info.fingerprint

    first = fingerprint()
    assert fingerprint() == first
    assert fingerprint(amount=2) != first
    (folder / "my_editor.py").write_text(FUNCTION + "# another line\n")
    assert fingerprint() != first
    assert len({find_editor(name).info.fingerprint for name in ("none", "./my_editor.py")}) == 2


def test_an_editor_typed_into_an_interpreter_has_a_fingerprint_too() -> None:
    def typed(body: str) -> Any:
        space: dict[str, Any] = {}
        exec(f"def edit(model, tokenizer, edits):\n    {body}\n", space)
        return space["edit"]

    prints = [wrap_editor(typed(body)).info.fingerprint for body in ("return 1", "return 2", "return 1")]
    assert prints[0] == prints[2] != prints[1]
