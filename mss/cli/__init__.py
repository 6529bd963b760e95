"""The command line, and the composition root: the only folder that knows everybody."""

from mss.cli.root import main

__all__ = ["main"]
