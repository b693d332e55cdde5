"""Which files a report has: tests ask here, so that another renderer changes no test."""

from stability.parts import RENDERERS


def report_files() -> set[str]:
    """Names of what the built-in renderers write, and of the record."""
    return {part.head.file for part in RENDERERS.built_in().values() if part.head.file} | {"run.json"}
