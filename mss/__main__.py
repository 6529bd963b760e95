"""`python -m mss`."""

from mss.cli import main

main()
