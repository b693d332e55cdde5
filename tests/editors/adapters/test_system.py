import logging
import os
import re
import sys
from pathlib import Path

import pytest
import torch

import stability
from stability.editors.adapters.steps.system import System
from stability.errors import EditorError, SettingsError


@pytest.fixture
def folder(tmp_path):
    """Writes modules into a folder of that name and gives its path."""

    def write(name, inside="", **modules):
        (tmp_path / name / inside).mkdir(parents=True)
        for module, source in modules.items():
            (tmp_path / name / inside / f"{module}.py").write_text(source)
        return str(tmp_path / name)

    return write


COUNTER = "import util\nTEMPLATES_CACHE = None\ncounts = {}\ndef count():\n    counts['n'] = counts.get('n', 0) + 1\n    return util.NAME, counts['n']\n"


def test_two_systems_with_modules_of_one_name_do_not_see_each_others(folder):
    rome = System(["rome.count"], [folder("one", rome=COUNTER, util="NAME = 'rome'")])
    memit = System(["memit.count"], [folder("two", memit=COUNTER, util="NAME = 'memit'")])
    first, second = rome.find("rome.count"), memit.find("memit.count")
    assert first() == ("rome", 1)
    assert second() == ("memit", 1)
    assert first() == ("rome", 2)


def test_a_system_imports_later_what_it_imported_first(folder):
    late = "def name():\n    import util\n    return util.NAME\n"
    one = System(["late.name"], [folder("one", late=late, util="NAME = 'one'")])
    two = System(["late.name"], [folder("two", late=late, util="NAME = 'two'")])
    names = []
    for system in (one, two):
        function = system.find("late.name")
        with system.active():
            names.append(function())
    assert names == ["one", "two"]


def test_nothing_of_a_system_stays_behind(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "util", Path)  # somebody else's
    before = (dict(sys.modules), list(sys.path), Path.cwd(), sys.stdout, sys.stderr)
    system = System(["rome.count"], cwd=folder("one", rome=COUNTER, util="NAME = 1"))
    system.find("rome.count")
    with pytest.raises(ZeroDivisionError), system.active():
        assert sys.modules["util"].NAME / 0
    assert (dict(sys.modules), list(sys.path), Path.cwd(), sys.stdout, sys.stderr) == before


def test_each_instance_begins_with_the_module_globals_as_written(folder):
    path = folder("one", rome=COUNTER, util="NAME = 1")
    first = System(["rome.count"], [path])
    count = first.find("rome.count")
    count()
    count()
    assert System(["rome.count"], [path]).find("rome.count")() == (1, 1)


def test_a_state_holds_what_changed_since_import_and_can_be_put_back(folder):
    source = (
        "import torch\nFIXED = [1, 2]\nCONTEXTS_CACHE = None\nloaded = False\nCOV_CACHE = {}\n"
        "def run():\n"
        "    global CONTEXTS_CACHE, loaded, P\n"
        "    CONTEXTS_CACHE, loaded, P = [['{}'], ['a. {}']], True, torch.ones(2)\n"
        "    COV_CACHE['model', 0] = torch.ones(2)\n"
    )
    path = folder("one", alpha=source)
    system = System(["alpha.run"], [path])
    run = system.find("alpha.run")
    assert system.state() == {}
    run()
    state = system.state()
    assert torch.equal(state.pop("alpha:P"), torch.ones(2))
    assert state == {"alpha:CONTEXTS_CACHE": [["{}"], ["a. {}"]], "alpha:loaded": True}
    again = System(["alpha.run"], [path])
    again.find("alpha.run")
    again.load_state(state)
    assert again.state() == state


def test_it_is_imported_and_run_inside_its_folder(folder):
    path = folder(
        "one",
        rome="from pathlib import Path\nHERE = Path('globals.yml').stat()\ndef read(): return Path('globals.yml').read_text()",
    )
    Path(path, "globals.yml").write_text("data: 1")
    system = System(["rome.read"], cwd=path)
    read = system.find("rome.read")
    with system.active():
        assert read() == "data: 1"
    assert not Path("globals.yml").exists()


def test_what_it_prints_goes_to_the_log(folder, capsys, caplog):
    source = "import sys\ndef speak():\n    print('one\\ntwo')\n    print('half', end='')\n    print('bar 10%\\rbar 20%', file=sys.stderr)\n"
    system = System(["rome.speak"], [folder("one", rome=source)])
    speak = system.find("rome.speak")
    with caplog.at_level(logging.DEBUG), system.active():
        speak()
    assert caplog.messages == ["one", "two", "halfbar 10%", "bar 20%"]
    assert capsys.readouterr() == ("", "")


def test_a_log_handler_of_its_own_does_not_go_round_in_circles(folder, caplog):
    source = (
        "import logging, sys\n"
        "def speak():\n"
        "    logging.getLogger().addHandler(logging.StreamHandler(sys.stderr))\n"
        "    print('hello')\n"
    )
    system = System(["rome.speak"], [folder("one", rome=source)])
    speak = system.find("rome.speak")
    handlers = list(logging.getLogger().handlers)
    try:
        with caplog.at_level(logging.DEBUG), system.active():
            speak()
    finally:
        logging.getLogger().handlers = handlers
    assert caplog.messages == ["hello"]


@pytest.mark.parametrize("name", ["package.part:Holder.value", "package.part.Holder.value"])
def test_a_dotted_name_may_have_a_colon(folder, name):
    path = folder("one", "package", __init__="", part="class Holder:\n    value = 7\n")
    assert System([name], [path]).find(name) == 7


def test_a_method_named_through_its_class_belongs_to_a_new_instance(folder):
    path = folder("one", mend="class Executor:\n    def apply_to_model(self): return self\n")
    system = System(["mend.Executor"], [path])
    first, second = (system.find("mend.Executor.apply_to_model")() for _ in range(2))
    assert type(first).__name__ == "Executor"
    assert first is not second


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("nowhere.apply", SettingsError, "there is no module 'nowhere'; install it, or set `cwd` or `path`"),
        ("rome.aply", SettingsError, "rome.aply: there is no 'aply' in rome, did you mean 'apply'?"),
        (
            "needy.apply",
            EditorError,
            "importing needy failed: it needs 'no_such_thing', which is not installed",
        ),
        (
            "broken.apply",
            EditorError,
            "importing broken failed: ZeroDivisionError: division by zero (broken.py:2)",
        ),
        ("leaving.apply", EditorError, "importing leaving failed: SystemExit: 3 (leaving.py:1)"),
    ],
)
def test_what_cannot_be_imported_is_one_line_that_says_what_to_do(folder, name, error, message):
    path = folder(
        "one",
        rome="def apply(): ...",
        needy="import no_such_thing",
        broken="x = 1\n1 / 0",
        leaving="raise SystemExit(3)",
    )
    with pytest.raises(error, match=re.escape(message)) as caught:
        System([name], [path]).find(name)
    assert "\n" not in str(caught.value)


def test_the_fingerprint_is_of_all_the_systems_source(folder):
    path = folder("one", "rome", __init__="", main="x = 1")
    Path(path, "util.py").write_text("y = 1")
    first = System(["rome.main"], [path]).fingerprint()
    assert System(["rome.main"], [path]).fingerprint() == first
    Path(path, "rome", "main.py").write_text("x = 2")
    second = System(["rome.main"], [path]).fingerprint()
    Path(path, "util.py").write_text("y = 2")
    assert len({first, second, System(["rome.main"], [path]).fingerprint()}) == 3


def test_the_harness_itself_is_never_taken_for_a_part_of_a_system(folder):
    path = folder("one", rome="import stability\ndef which(): return stability.__file__\n", stability="")
    system = System(["rome.which"], cwd=path)
    which = system.find("rome.which")
    with system.active():
        assert os.path.samefile(which(), str(stability.__file__))  # noqa: PTH121
