import zlib
from contextlib import suppress
from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mss.blobs.records import (
    DEAD,
    HEADER_OCTETS,
    STATE_OFFSET,
    LocalRef,
    RecordSyntaxError,
    build_header,
    find_local_ref,
    parse_body,
    parse_header,
)

NAME = "0193a5c0e0007abc8def0123456789ab"
STORED_AT = datetime(2026, 11, 23, 18, 0, 0, 123456, tzinfo=UTC)
BODY = b"From: hospital\r\n\r\nletter"
HEADER = build_header(NAME, BODY, STORED_AT)


def test_a_header_says_what_was_stored() -> None:
    """The sweeper and the reader learn all that they need from it."""
    header = parse_header(HEADER)

    assert (header.name, header.length_octets, header.stored_at) == (NAME, len(BODY), STORED_AT)
    assert header.is_live
    assert parse_body(header, NAME, BODY) == BODY


def test_the_octets_of_a_header_never_change() -> None:
    """Segments written by one release are read by the next."""
    assert HEADER.hex() == (
        "4d535342"
        "01"
        "4c"
        "0000"  # magic, version, live
        "0000000000000018"
        "0193a5c0e0007abc8def0123456789ab"  # length, name
        "000660f55cc7ea40"
        "6466d9c9"
        "6c6a83be"  # instant, checksums of the body and of this
    )


def test_a_dead_record_still_has_a_valid_header() -> None:
    """Deleting writes a single octet, and scanning still finds the next record."""
    octets = bytearray(HEADER)
    octets[STATE_OFFSET] = DEAD

    assert not parse_header(bytes(octets)).is_live


@pytest.mark.parametrize("offset", [at for at in range(HEADER_OCTETS) if at != STATE_OFFSET])
def test_a_changed_octet_of_a_header_is_noticed(offset: int) -> None:
    """A wrong length would make everything after it unreadable."""
    octets = bytearray(HEADER)
    octets[offset] ^= 0x01

    with pytest.raises(RecordSyntaxError):
        parse_header(bytes(octets))


@pytest.mark.parametrize("microseconds", [2**63 - 1, -(2**63)])
def test_an_instant_beyond_the_calendar_is_refused(microseconds: int) -> None:
    """A checksum that fits does not make it a time."""
    fields = HEADER[:32] + microseconds.to_bytes(8, "big", signed=True) + HEADER[40:44]

    with pytest.raises(RecordSyntaxError, match="instant"):
        parse_header(fields + zlib.crc32(fields).to_bytes(4, "big"))


@pytest.mark.parametrize("state", [0, ord("l"), ord("M"), 0xFF])
def test_a_state_that_nobody_writes_is_refused(state: int) -> None:
    """The state is outside the checksum, so it has two values and no third."""
    octets = bytearray(HEADER)
    octets[STATE_OFFSET] = state

    with pytest.raises(RecordSyntaxError):
        parse_header(bytes(octets))


@pytest.mark.parametrize(
    ("name", "body"),
    [("f" * 32, BODY), (NAME, BODY[:-1]), (NAME, BODY + b"\0"), (NAME, BODY.swapcase())],
    ids=["another-name", "cut", "longer", "changed"],
)
def test_a_body_that_is_not_the_stored_one_is_refused(name: str, body: bytes) -> None:
    """Whatever a disk or a hand did to it."""
    with pytest.raises(RecordSyntaxError):
        parse_body(parse_header(HEADER), name, body)


@settings(max_examples=100)
@given(st.binary(max_size=2 * HEADER_OCTETS))
def test_any_octets_give_a_header_or_its_error(octets: bytes) -> None:
    """A disk may return anything."""
    with suppress(RecordSyntaxError):
        parse_header(octets)


@settings(max_examples=100)
@given(st.integers(0, 10**18 - 1), st.integers(0, 10**18 - 1), st.uuids(), st.uuids())
def test_a_local_reference_reads_as_it_was_written(
    offset: int, length: int, a: UUID, b: UUID
) -> None:
    """Rows keep references for years."""
    ref = LocalRef(segment=a.hex, offset=offset, length_octets=length, name=b.hex)

    assert find_local_ref(str(ref)) == ref
