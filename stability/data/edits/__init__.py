"""Edit requests, the sources they come from, and the forms they are published in."""

from stability.data.edits.plugin.edit import Edit
from stability.data.edits.plugin.load import EditSource, load_edits, load_stream
from stability.data.edits.plugin.reading import read_edits

__all__ = ["Edit", "EditSource", "load_edits", "load_stream", "read_edits"]
