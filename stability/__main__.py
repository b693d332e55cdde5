"""`python -m stability` is the command line."""

from stability.cli import main

main()
