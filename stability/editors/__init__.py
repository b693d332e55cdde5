"""Editors: the plugin protocol, finding one by name, and the built-in methods."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stability.lazy import attributes_from

if TYPE_CHECKING:
    from stability.editors.plugin.find import EditorEntry, find_editor, list_editors
    from stability.editors.plugin.loading import wrap_editor
    from stability.editors.plugin.protocol import BuiltIn, Editor, EditorSettings, Layers, LoadedEditor
    from stability.editors.plugin.wrapper import Wrapper, WrapperSettings
    from stability.parts import EditorHead, Restraint
    from stability.store import Store

__all__ = [
    "BuiltIn",
    "Editor",
    "EditorEntry",
    "EditorHead",
    "EditorSettings",
    "Layers",
    "LoadedEditor",
    "Restraint",
    "Store",
    "Wrapper",
    "WrapperSettings",
    "find_editor",
    "list_editors",
    "wrap_editor",
]

__getattr__ = attributes_from(
    __name__,
    {
        "stability.editors.plugin.find": ("EditorEntry", "find_editor", "list_editors"),
        "stability.editors.plugin.loading": ("wrap_editor",),
        "stability.editors.plugin.protocol": (
            "BuiltIn",
            "Editor",
            "EditorSettings",
            "Layers",
            "LoadedEditor",
        ),
        "stability.store": ("Store",),
        "stability.editors.plugin.wrapper": ("Wrapper", "WrapperSettings"),
        "stability.parts": ("EditorHead", "Restraint"),
    },
)
