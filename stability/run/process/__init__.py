"""Work in a process of its own: forked, heard, and ended with all that it started."""
