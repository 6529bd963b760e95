"""Structure and content of a CMS object, taken apart without holding it."""

from collections.abc import Callable, Iterator
from time import process_time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crypto import algorithms, cms, der, tlv
from crypto.errors import CmsSyntaxError

Write = Callable[..., bytes]
CONTENT = b"Content-Type: text/plain\r\n\r\nLettre de sortie.\r\n" * 9
RECIPIENT = der.sequence(
    der.integer(0),
    der.sequence(der.sequence(), der.integer(1)),
    der.sequence(der.oid(algorithms.RSA)),
    der.octet_string(bytes(256)),
)
RECIPIENTS = der.set_of([RECIPIENT])
ALGORITHM = der.sequence(der.oid(algorithms.AES256_GCM))
TAG = der.octet_string(bytes(16))


def indefinite(tag: int, *parts: bytes) -> bytes:
    return bytes((tag, 0x80)) + b"".join(parts) + b"\x00\x00"


def in_pieces(tag: int, content: bytes, size: int) -> bytes:
    """A string as streaming software writes it."""
    pieces = (der.octet_string(content[at : at + size]) for at in range(0, len(content), size))
    return indefinite(tag | der.CONSTRUCTED, *pieces)


def enveloped(content: bytes, *, write: Write = der.encode) -> bytes:
    inner = write(der.SEQUENCE, der.oid(algorithms.DATA), ALGORITHM, content)
    body = write(der.SEQUENCE, der.integer(0), RECIPIENTS, inner, TAG)
    kind = der.oid(algorithms.AUTH_ENVELOPED_DATA)
    return write(der.SEQUENCE, kind, write(der.context(0), body))


def signed(content: bytes, *, write: Write = der.encode) -> bytes:
    inner = write(der.SEQUENCE, der.oid(algorithms.DATA), content)
    body = write(der.SEQUENCE, der.integer(1), der.encode(der.SET), inner, der.encode(der.SET))
    return write(der.SEQUENCE, der.oid(algorithms.SIGNED_DATA), write(der.context(0), body))


def cut(octets: bytes, size: int) -> Iterator[bytes]:
    return (octets[at : at + size] for at in range(0, len(octets), size))


def split(octets: bytes, size: int = 7) -> tuple[bytes, bytes]:
    """The skeleton and the content, from pieces of a few octets."""
    taken: list[bytes] = []
    skeleton = tlv.split(cut(octets, size), take=taken.append)
    return skeleton, b"".join(taken)


def reason_of(octets: bytes) -> str:
    with pytest.raises(CmsSyntaxError) as refusal:
        split(octets, 1000)
    return refusal.value.reason


STRINGS = [
    der.encode(0x80, CONTENT),
    in_pieces(0x80, CONTENT, 10),
    der.encode(0xA0, der.octet_string(CONTENT[:9]), in_pieces(0x04, CONTENT[9:], 5)),
    b"\x80\x84" + len(CONTENT).to_bytes(4, "big") + CONTENT,
]


@pytest.mark.parametrize("write", [der.encode, indefinite])
@pytest.mark.parametrize("string", STRINGS)
@pytest.mark.parametrize("size", [1, 3, 1000])
def test_an_envelope_in_any_form_has_one_skeleton(write: Write, string: bytes, size: int) -> None:
    """Definite or not, whole or in pieces, whatever the pieces that it arrives in."""
    skeleton, content = split(enveloped(string, write=write), size)

    assert content == CONTENT
    assert skeleton == enveloped(b"\x80\x00")


@pytest.mark.parametrize("write", [der.encode, indefinite])
@pytest.mark.parametrize("string", [der.octet_string(CONTENT), in_pieces(0x04, CONTENT, 10)])
def test_signed_content_in_any_form_has_one_skeleton(write: Write, string: bytes) -> None:
    """There the content is in an explicit tag."""
    skeleton, content = split(signed(write(der.context(0), string), write=write))

    assert content == CONTENT
    assert cms.parse_signed_data(skeleton).content == b""


def test_a_detached_signature_is_its_own_skeleton() -> None:
    """There is no content to leave out."""
    octets = signed(b"")

    assert split(octets) == (octets, b"")
    assert cms.parse_signed_data(octets).content is None


def test_what_the_parser_will_refuse_is_left_in_the_skeleton() -> None:
    """A second content, a content that is no string, members too many: one place judges."""
    twice = enveloped(der.encode(0x80, b"a") + der.encode(0x80, b"b"))
    wrong = signed(der.encode(der.context(0), der.integer(5)))
    double = signed(der.encode(der.context(0), der.octet_string(b"a"), der.octet_string(b"b")))

    assert split(twice)[0] == enveloped(b"\x80\x00" + der.encode(0x80, b"b"))
    assert split(wrong)[0] == wrong
    assert der.octet_string(b"b") in split(double)[0]


ENVELOPE = enveloped(der.encode(0x80, CONTENT))


@pytest.mark.parametrize("at", [*range(40), *range(len(ENVELOPE) - 20, len(ENVELOPE))])
def test_an_object_that_is_cut_short_is_refused(at: int) -> None:
    """Wherever that happens."""
    assert reason_of(ENVELOPE[:at]) in {"truncated", "missing-field", "length"}


@pytest.mark.parametrize(
    ("octets", "reason"),
    [
        (ENVELOPE + b"\x00", "trailing-octets"),
        (b"\x30\x80" + ENVELOPE, "unexpected-tag"),
        (b"\x30\x89" + bytes(9), "length"),
        (b"\x3f\x81\x01\x00", "high-tag-number"),
        (b"\x04\x80", "indefinite-primitive"),
        (indefinite(0x30, der.oid(algorithms.DATA), b"\x00\x01"), "end-of-contents"),
        (der.sequence(der.oid(algorithms.DATA), b"\x00\x00"), "end-of-contents"),
        (enveloped(der.encode(0xA0, der.integer(1))), "unexpected-tag"),
        (enveloped(b"\xa0\x05\x04\x09abc"), "truncated"),
        (b"\x30\x03\x06\x03\x2a\x03\x04", "truncated"),
    ],
)
def test_malformed_octets_are_refused(octets: bytes, reason: str) -> None:
    """For what is wrong with them."""
    assert reason_of(octets) == reason


def nested(levels: int) -> bytes:
    """The content in that many strings, one in the other."""
    string = b"\x24\x80" * (levels - 1) + der.octet_string(CONTENT) + b"\x00\x00" * levels
    return enveloped(b"\xa0\x80" + string, write=indefinite)


def test_strings_within_strings_are_read() -> None:
    """Four levels, in memory and in pieces."""
    octets = nested(der.MAX_STRING_DEPTH)

    assert split(octets)[1] == CONTENT == cms.parse_enveloped(octets).ciphertext


@pytest.mark.parametrize("levels", [der.MAX_STRING_DEPTH + 1, 10_000])
def test_strings_within_strings_are_bounded(levels: int) -> None:
    """Ten thousand break no stack."""
    octets = nested(levels)

    assert reason_of(octets) == "too-deep"
    with pytest.raises(CmsSyntaxError, match="too-deep"):
        cms.parse_enveloped(octets)


def test_nesting_beside_the_content_is_bounded() -> None:
    """What is copied is looked into only as far as its end must be found."""
    octets = b"\x30\x80" + der.oid(algorithms.DATA) + b"\xa0\x80\x30\x80" + b"\x31\x80" * 100_000

    assert reason_of(octets) == "too-deep"


@pytest.mark.slow
def test_the_number_of_pieces_is_bounded() -> None:
    """Three octets each: 25 MB could hold eight million."""
    string = b"\xa0\x80" + b"\x04\x01a" * (der.MAX_ELEMENTS + 1) + b"\x00\x00"
    started = process_time()

    assert reason_of(enveloped(string, write=indefinite)) == "too-many-elements"
    assert process_time() - started < 10


@pytest.mark.slow
@pytest.mark.parametrize("write", [der.encode, indefinite])
def test_the_size_of_the_structure_is_bounded(write: Write) -> None:
    """Whatever is not content must fit in memory."""
    large = write(der.SET, *[der.octet_string(bytes(1000))] * 2200)
    octets = der.sequence(
        der.oid(algorithms.ENVELOPED_DATA),
        der.encode(der.context(0), der.sequence(der.integer(0), large)),
    )

    assert reason_of(octets) == "structure-too-large"


def test_a_length_that_nobody_could_hold_costs_nothing() -> None:
    """It is compared before anything is read."""
    octets = b"\x30\x84\xff\xff\xff\xff" + der.oid(algorithms.DATA) + b"\xa0\x84\xff\xff\xff\x00"

    assert reason_of(octets + b"\x30\x83\xff\xff\xff" + b"\x31\x84\xff\xff\xff\xff") == "truncated"
    assert reason_of(octets + b"\x30\x80" + b"\x31\x84\xf0\xff\xff\xff") == "structure-too-large"


@settings(max_examples=150)
@given(octets=st.binary(max_size=60), prefix=st.integers(0, 30), size=st.integers(1, 80))
def test_any_octets_are_split_or_refused(octets: bytes, prefix: int, size: int) -> None:
    """Never another error; and what is split says no more than what was there."""
    hostile = ENVELOPE[:prefix] + octets
    taken: list[bytes] = []

    try:
        skeleton = tlv.split(cut(hostile, size), take=taken.append)
    except CmsSyntaxError:
        return
    assert len(skeleton) + sum(map(len, taken)) <= len(hostile) + 16
