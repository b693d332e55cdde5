"""The exact stability horizon: the largest number of edits at which a suite still holds."""
