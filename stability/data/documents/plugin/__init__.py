"""Reading text from whatever source."""
