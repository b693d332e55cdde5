"""Values against their references, and editors against each other."""
