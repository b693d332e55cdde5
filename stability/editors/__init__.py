"""Editors: the plugin protocol, finding one by name, and the methods that come with the harness."""

from stability.editors.plugin.find import EditorEntry, find_editor, list_editors
from stability.editors.plugin.loading import wrap_editor
from stability.editors.plugin.protocol import BuiltIn, Editor, EditorSettings, LoadedEditor
from stability.editors.plugin.store import Store

__all__ = [
    "BuiltIn",
    "Editor",
    "EditorEntry",
    "EditorSettings",
    "LoadedEditor",
    "Store",
    "find_editor",
    "list_editors",
    "wrap_editor",
]
