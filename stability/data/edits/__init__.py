"""Edit requests, and the sources they come from."""

from stability.data.edits.edit import Edit
from stability.data.edits.source import EDIT_SOURCES, load_edits, read_edits

__all__ = ["EDIT_SOURCES", "Edit", "load_edits", "read_edits"]
