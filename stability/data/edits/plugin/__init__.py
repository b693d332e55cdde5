"""What an edit request is, and reading requests from whatever source or file."""
