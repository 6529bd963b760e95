"""How the story is shown: one line a step, with a sign of life while a step takes long."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import click
from rich.console import Console


class StepFailedError(Exception):
    """A step did not end as it must; the text says what was seen instead."""


class Stage:
    """Prints the story as it happens."""

    def __init__(self) -> None:
        self._console = Console(stderr=True)
        self._started = time.monotonic()
        self.steps = 0

    @property
    def seconds(self) -> float:
        """How long the story has taken so far."""
        return time.monotonic() - self._started

    def chapter(self, title: str) -> None:
        """Begin a new part."""
        click.echo(f"\n{title}")

    @contextmanager
    def step(self, text: str) -> Iterator[list[str]]:
        """Do one step; print it when it is verified, with what the block appends to the list."""
        started = time.monotonic()
        details: list[str] = []
        with self._console.status(text):
            yield details
        self.steps += 1
        took = time.monotonic() - started
        shown = f" ({took:.1f} s)" if took >= 1 else ""
        click.echo(f"  ✓ {text}{shown}")
        for detail in details:
            click.echo(f"      {detail}")

    def line(self, text: str) -> None:
        """Print something that is no step."""
        click.echo(text)

    def blank(self) -> None:
        """Leave room."""
        click.echo("")

    def fail(self, text: str) -> None:
        """Say which step did not hold."""
        click.echo(f"  ✗ {text}", err=True)


def verify(is_so: bool, otherwise: str) -> None:  # noqa: FBT001 -- it is the sentence's subject
    """Go on only if it is so."""
    if not is_so:
        raise StepFailedError(otherwise)
