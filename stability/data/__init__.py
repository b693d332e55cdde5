"""Data: edits and documents, the sources that they come from, and the forms that they are published in."""
