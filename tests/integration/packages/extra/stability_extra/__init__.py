"""A part of each kind, as another package brings them."""
