"""Code that the wrappers share."""
