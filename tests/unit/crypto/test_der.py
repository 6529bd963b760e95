from contextlib import suppress
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crypto import der
from crypto.der import DerSyntaxError


def test_indefinite_and_definite_lengths_read_alike() -> None:
    """Mail software streams, and writes lengths that it does not know yet as indefinite."""
    definite = der.sequence(der.integer(1), der.octet_string(b"abc"))
    indefinite = b"\x30\x80" + der.integer(1) + b"\x24\x80\x04\x01a\x04\x02bc\x00\x00\x00\x00"

    assert der.normalised(der.parse(indefinite)) == definite
    assert [each.tag for each in der.parse(definite).children()] == [2, 4]


def test_a_set_is_written_in_order() -> None:
    """DER sorts the members of a SET OF by their octets."""
    assert der.set_of([b"\x02\x01\x05", b"\x02\x01\x01"]) == b"\x31\x06\x02\x01\x01\x02\x01\x05"


def test_an_unsorted_set_is_normalised() -> None:
    """A signature covers the sorted form."""
    given = der.encode(der.SET, der.integer(5), der.integer(1))

    assert der.normalised(der.parse(given)) == der.set_of([der.integer(1), der.integer(5)])


@pytest.mark.parametrize("length", [0, 1, 127, 128, 255, 256, 65535, 65536])
def test_lengths_are_minimal_and_read_back(length: int) -> None:
    """Each step of the length encoding."""
    encoded = der.octet_string(bytes(length))

    assert len(der.parse(encoded).content) == length
    assert der.normalised(der.parse(encoded)) == encoded


@pytest.mark.parametrize("length", [b"\x81\x01", b"\x84\x00\x00\x00\x01"])
def test_longer_lengths_than_needed_are_read_and_made_minimal(length: bytes) -> None:
    """BER allows them; DER does not."""
    assert der.normalised(der.parse(b"\x04" + length + b"a")) == b"\x04\x01a"


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"\x30",
        b"\x30\x01",
        b"\x30\x80",
        b"\x30\x80\x00",
        b"\x30\x80\x00\x01",
        b"\x04\x80\x00\x00",
        b"\x04\x05abc",
        b"\x04\x89\x01\x01\x01\x01\x01\x01\x01\x01\x01",
        b"\x04\xff",
        b"\x1f\x81\x01\x00",
        b"\x04\x01ab",
    ],
)
def test_malformed_octets_are_refused(octets: bytes) -> None:
    """Cut short, unended, too long, trailing."""
    with pytest.raises(DerSyntaxError):
        der.parse(octets)


def test_nesting_is_bounded() -> None:
    """A hundred thousand levels cost nothing and break no stack."""
    with pytest.raises(DerSyntaxError, match="too-deep"):
        der.parse(b"\x30\x80" * 100_000)


@pytest.mark.slow
def test_the_number_of_elements_is_bounded() -> None:
    """Three octets an element: a message of 25 MB could hold eight million."""
    pieces = b"\x04\x01a" * (der.MAX_ELEMENTS + 1)
    with pytest.raises(DerSyntaxError, match="too-many-elements"):
        der.parse(b"\x24\x80" + pieces + b"\x00\x00")


@pytest.mark.parametrize(
    ("dotted", "octets"),
    [
        ("1.2.840.113549.1.7.2", "06092a864886f70d010702"),
        ("2.5.29.32.0", "0604551d2000"),
        ("2.16.840.1.101.3.4.1.46", "060960864801650304012e"),
        ("1.3.6.1.4.1.99999.1.1", "060a2b06010401868d1f0101"),
    ],
)
def test_object_identifiers_are_written_and_read(dotted: str, octets: str) -> None:
    """Values that an independent tool gave."""
    assert der.oid(dotted).hex() == octets
    assert der.read_oid(der.parse(bytes.fromhex(octets))) == dotted


@pytest.mark.parametrize("content", [b"", b"\x80", b"\x2a\x80\x01", b"\x2a\x86"])
def test_malformed_object_identifiers_are_refused(content: bytes) -> None:
    """Empty, padded, or cut."""
    with pytest.raises(DerSyntaxError):
        der.read_oid(der.parse(der.encode(der.OBJECT_IDENTIFIER, content)))


@pytest.mark.parametrize(
    ("value", "octets"),
    [(0, b"\x00"), (127, b"\x7f"), (128, b"\x00\x80"), (-1, b"\xff"), (256, b"\x01\x00")],
)
def test_integers_are_minimal(value: int, octets: bytes) -> None:
    """A leading zero only where the sign needs it."""
    assert der.integer(value) == der.encode(der.INTEGER, octets)
    assert der.read_integer(der.parse(der.integer(value))) == value


@pytest.mark.parametrize("year", [1950, 1999, 2026, 2049, 2050, 9999])
def test_times_are_read_back_across_the_change_of_form(year: int) -> None:
    """UTCTime until 2049, GeneralizedTime after (RFC 5652, 11.3)."""
    instant = datetime(year, 2, 3, 4, 5, 6, tzinfo=UTC)

    assert der.read_time(der.parse(der.time(instant))) == instant


@pytest.mark.parametrize(
    "text", [b"", b"2611031000Z", b"261103100000+0100", b"269903100000Z", b"2611031000\xff0Z"]
)
def test_times_of_another_form_are_refused(text: bytes) -> None:
    """Seconds and Z are required."""
    with pytest.raises(DerSyntaxError):
        der.read_time(der.parse(der.encode(der.UTC_TIME, text)))


def test_fields_are_taken_in_order_and_completely() -> None:
    """What nobody takes is refused, and so is what is not there."""
    fields = der.Fields(der.parse(der.sequence(der.integer(1), der.null())))
    fields.take(der.INTEGER)

    with pytest.raises(DerSyntaxError, match="unexpected-field"):
        fields.finish()
    fields.take(der.NULL)
    with pytest.raises(DerSyntaxError, match="missing-field"):
        fields.take()


@pytest.mark.parametrize("content", [b"\x00\x00", b"\x00\x7f", b"\xff\xff", b"\xff\x80", b""])
def test_integers_in_more_octets_than_needed_are_refused(content: bytes) -> None:
    """X.690, 8.3.2: BER has one form of them too, so two readers cannot differ."""
    with pytest.raises(DerSyntaxError, match="integer"):
        der.read_integer(der.parse(der.encode(der.INTEGER, content)))


@pytest.mark.parametrize(("levels", "is_read"), [(1, True), (4, True), (5, False), (19, False)])
def test_strings_within_strings_are_bounded(levels: int, is_read: bool) -> None:  # noqa: FBT001 -- a parameter of the test
    """Four levels are more than anybody writes."""
    octets = b"\x24\x80" * levels + der.octet_string(b"abc") + b"\x00\x00" * levels
    found: bytes | None = None

    with suppress(DerSyntaxError):
        found = der.read_octets(der.parse(octets))

    assert (found == b"abc") is is_read


def test_a_string_has_pieces_of_strings_only() -> None:
    """Whatever else is inside is not content."""
    with pytest.raises(DerSyntaxError, match="unexpected-tag"):
        der.read_octets(der.parse(der.encode(0x24, der.octet_string(b"a"), der.integer(1))))


@pytest.mark.parametrize(
    ("octets", "reason"),
    [
        (b"", "truncated"),
        (b"\x04", "truncated"),
        (b"\x1f\x01", "high-tag-number"),
        (b"\x04\x80", "indefinite-primitive"),
        (b"\x04\x82\x01", "length"),
        (b"\x04\x89" + bytes(9), "length"),
    ],
)
def test_a_header_alone_is_read_or_refused(octets: bytes, reason: str) -> None:
    """Its content may be far away, or never come."""
    with pytest.raises(DerSyntaxError, match=reason):
        der.parse_header(octets, 0)


@given(tag=st.sampled_from([0x04, 0x30, 0xA0, 0x80]), length=st.integers(0, 2**63))
def test_headers_are_undone(tag: int, length: int) -> None:
    """Any length that fits in eight octets."""
    octets = der.header(tag, length)

    assert der.parse_header(octets, 0) == (tag, length, len(octets))
