"""The form that is signed: judged in windows, with the verdict that the whole would get."""

import time
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crypto import canonical as module
from crypto.canonical import canonical, is_canonical

ANY: Final = st.lists(st.sampled_from([b"\r", b"\n", b"\r\n", b"a", b"bc"]), max_size=16)


def judged_whole(entity: bytes) -> bool:
    """The definition, in one breath."""
    rest = entity.replace(b"\r\n", b"")
    return b"\r" not in rest and b"\n" not in rest


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows so small that every boundary is met."""
    monkeypatch.setattr(module, "_WINDOW_OCTETS", 3)


@given(pieces=ANY)
@settings(max_examples=300, deadline=None)
def test_windows_give_the_verdict_of_the_whole(pieces: list[bytes]) -> None:
    """A pair that straddles two windows is a pair, and half a pair is none."""
    entity = b"".join(pieces)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(module, "_WINDOW_OCTETS", 3)

        assert is_canonical(entity) == judged_whole(entity)


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize("entity", [b"", b"ab\r\n", b"abc\r\n", b"a\r\nb\r\n\r\n"])
def test_what_is_canonical_is_returned_itself(entity: bytes) -> None:
    """A letter of 25 MB is not copied for nothing."""
    assert canonical(entity) is entity


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize("entity", [b"ab\r", b"ab\n", b"ab\rcd", b"\n\r", b"ab\r\r\n", b"ab\n\n"])
def test_a_bare_line_end_becomes_a_pair(entity: bytes) -> None:
    """Wherever the window ends."""
    assert judged_whole(canonical(entity))
    assert not is_canonical(entity)


def test_a_line_of_nothing_but_cr_costs_no_more_than_its_length() -> None:
    """A window that ends after a CR is longer by one octet only, and is not looked at again."""
    started = time.process_time()

    assert not is_canonical(b"\r" * 4_000_000)
    assert time.process_time() - started < 1
