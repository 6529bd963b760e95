"""A large letter is copied once a step: copies hold up other threads, and fill memory."""

import tracemalloc
from collections.abc import Callable
from typing import Final

import pytest

from crypto.canonical import is_canonical
from crypto.sealing import Sealer
from mss.mime import entity
from mss.mime.parse import parse_message
from mss.pipeline.accept import completed
from tests.support.pki import NOW

HEAD: Final = (
    b"From: <a@x.mssante.fr>\r\nTo: <b@y.mssante.fr>\r\nBcc: <c@y.mssante.fr>\r\nSubject: s\r\n"
    b"Content-Type: application/pdf\r\nContent-Transfer-Encoding: base64\r\n\r\n"
)
LETTER: Final = HEAD + (b"QUJD" * 19 + b"\r\n") * 60_000
# One copy, and what a growing buffer keeps in reserve.
ONCE: Final = 1.25


def complete() -> bytes:
    """Trace on top, a date and an identifier added, the blind copy taken off."""
    message = parse_message(LETTER)
    return completed(LETTER, message, "<1@x.mssante.fr>", at=NOW, above=b"Received: x\r\n")


STEPS: Final[dict[str, Callable[[], object]]] = {
    "complete": complete,
    "protect": lambda: entity.protected_entity(LETTER, cipher=True),
    "wrap": lambda: entity.outer_message(LETTER, LETTER, obscure_subject=True),
    "restore": lambda: entity.restored_message(LETTER, LETTER),
    "restore with evidence": lambda: entity.restored_message(LETTER, LETTER, evidence=LETTER),
    "seal": lambda: Sealer({1: bytes(32)}, 1).seal(LETTER, context=b"c"),
}


def largest_extra(step: Callable[[], object]) -> float:
    """How much memory a step takes at its largest, in sizes of the letter."""
    step()  # what is made only once is made
    tracemalloc.start()
    try:
        result = step()
        del result
        return tracemalloc.get_traced_memory()[1] / len(LETTER)
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", STEPS)
def test_a_step_holds_one_copy(name: str) -> None:
    """Its result; not a slice on the way to it as well."""
    assert largest_extra(STEPS[name]) < ONCE


def test_opening_a_seal_holds_one_copy() -> None:
    """As sealing does."""
    sealer = Sealer({1: bytes(32)}, 1)
    sealed = sealer.seal(LETTER, context=b"c")

    assert largest_extra(lambda: sealer.open(sealed, context=b"c")) < ONCE


def test_line_ends_are_judged_without_a_copy() -> None:
    """Only a window at a time."""
    assert largest_extra(lambda: is_canonical(LETTER)) < 0.5
