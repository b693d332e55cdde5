"""Large runs, large suites and many editors: what grows with them, and how."""
