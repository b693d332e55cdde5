"""Text by name: what a model is measured on, and what editors draw their statistics from."""

from stability.data.documents.plugin.load import TextSource, load_documents

__all__ = ["TextSource", "load_documents"]
