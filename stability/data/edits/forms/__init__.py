"""The forms that edit requests are published in, one a file."""
