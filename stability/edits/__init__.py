"""Edit requests, and the sources they come from."""

from stability.edits.request import Edit
from stability.edits.source import EDIT_SOURCES, load_edits, read_edits

__all__ = ["EDIT_SOURCES", "Edit", "load_edits", "read_edits"]
