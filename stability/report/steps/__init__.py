"""Code that renderers share."""
