"""What docs/adapters.md tells people to write is what the adapters take."""

import re
from pathlib import Path

import pytest
import yaml
from pydantic import TypeAdapter

from stability.editors.adapters import EasyEditSettings, KmengSettings
from stability.suite.schema import Editor

TEXT = (Path(__file__).parents[3] / "docs" / "adapters.md").read_text(encoding="utf-8")
SETTINGS = {"kmeng": KmengSettings, "easyedit": EasyEditSettings}
EXAMPLES = [
    editor
    for block in re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)
    for editor in yaml.safe_load(block)["editors"]
]


@pytest.mark.parametrize("example", EXAMPLES)
def test_every_example_is_an_editor_with_settings_that_exist(example):
    editor = TypeAdapter(Editor).validate_python(example)
    fields = SETTINGS[editor.name].model_fields
    assert editor.settings.keys() <= fields.keys()
    assert {name for name, field in fields.items() if field.is_required()} - {
        "tuples"
    } <= editor.settings.keys()


def test_every_setting_of_the_first_adapter_is_in_its_table():
    documented = {
        name
        for row in re.findall(r"^\| (`.*?) \|", TEXT, re.MULTILINE)
        for name in re.findall(r"`(\w+)`", row)
    }
    assert documented == set(KmengSettings.model_fields)
