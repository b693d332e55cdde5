"""Scripts of the project, outside of the package."""
