import pytest

from crypto import smime
from crypto.canonical import canonical, is_canonical
from crypto.entity import MAX_HEADER_OCTETS, read_entity, wrap_base64
from crypto.smime import Kind


@pytest.mark.parametrize(
    ("octets", "form"),
    [
        (b"a\nb", b"a\r\nb"),
        (b"a\rb", b"a\r\nb"),
        (b"a\r\nb", b"a\r\nb"),
        (b"a\n\rb", b"a\r\n\r\nb"),
        (b"a\r\r\nb\n", b"a\r\n\r\nb\r\n"),
        (b"", b""),
    ],
)
def test_every_line_ends_with_crlf(octets: bytes, form: bytes) -> None:
    """RFC 8551, 3.1.1; and the form of the form is itself."""
    assert canonical(octets) == form
    assert canonical(form) is form


@pytest.mark.parametrize("octets", [b"\rX\n", b"\n\r", b"\r", b"\n", b"\r\r\n", b"\r\n\n"])
def test_line_ends_that_only_add_up_are_not_canonical(octets: bytes) -> None:
    """As many CR as LF is not enough: they must stand together."""
    assert not is_canonical(octets)


@pytest.mark.parametrize(
    ("header", "media_type"),
    [
        (b"Content-Type: Text/HTML", "text/html"),
        (b"content-type:\r\n text/html ; charset=utf-8", "text/html"),
        (b"CONTENT-TYPE : text/html", "text/html"),
        (b"Subject: x", "text/plain"),
        (b"Subject: Content-Type: text/html", "text/plain"),
    ],
)
def test_the_media_type_is_read_as_senders_write_it(header: bytes, media_type: str) -> None:
    """Case, folding and a space before the colon."""
    assert read_entity(header + b"\r\n\r\nbody").media_type == media_type


def test_the_body_is_what_follows_the_first_empty_line() -> None:
    """Empty lines in the body belong to it."""
    assert read_entity(b"A: b\r\n\r\n\r\nbody").body == b"\r\nbody"
    assert read_entity(b"\r\nbody").body == b"body"


@pytest.mark.parametrize(
    "header",
    [
        b"Content-Type: text/plain\r\nContent-Type: text/html",
        b"Content-Transfer-Encoding: base64\r\nContent-Transfer-Encoding: 7bit",
        b"Content-Type: multipart/signed; boundary=a; boundary=b",
        b"Content-Type: text/plain; " + b"a" * 5000,
    ],
)
def test_a_header_that_reads_in_two_ways_is_ambiguous(header: bytes) -> None:
    """Two readers would see two messages."""
    assert read_entity(header + b"\r\n\r\n").is_ambiguous


def test_a_header_without_end_is_not_searched_for_ever() -> None:
    """Beyond the limit nothing is read as header."""
    octets = b"A: " + b"b" * (MAX_HEADER_OCTETS + 10) + b"\r\n\r\n"

    assert read_entity(octets).body == b""


def test_a_quoted_boundary_may_hold_anything() -> None:
    """Semicolons and escaped quotes included."""
    entity = read_entity(b'Content-Type: multipart/signed; boundary="a;\\"b"; x=y\r\n\r\n')

    assert entity.parameters == {"boundary": 'a;"b', "x": "y"}


@pytest.mark.parametrize("size", [0, 1, 56, 57, 58, 114, 1000])
def test_base64_has_lines_of_seventy_six(size: int) -> None:
    """RFC 2045, 6.8: no longer, and each ended."""
    wrapped = wrap_base64(bytes(size))

    lines = wrapped.split(b"\r\n")
    assert lines.pop() == b""
    assert all(len(line) == 76 for line in lines[:-1])
    assert is_canonical(wrapped)


PKCS7 = b"Content-Type: application/pkcs7-mime; smime-type=%s\r\n\r\n%s"


@pytest.mark.parametrize(
    ("entity", "kind"),
    [
        (b"Content-Type: text/plain\r\n\r\nx", Kind.PLAIN),
        (b"", Kind.PLAIN),
        (b"\r\n", Kind.PLAIN),
        (b"Content-Type: multipart/signed; protocol=application/pgp-signature\r\n\r\n", Kind.PLAIN),
        (
            b'Content-Type: multipart/signed; protocol="application/x-pkcs7-signature"\r\n\r\n',
            Kind.SIGNED,
        ),
        (PKCS7 % (b"enveloped-data", b"rubbish"), Kind.ENCRYPTED),
        (PKCS7 % (b"authenticated-enveloped-data", b""), Kind.ENCRYPTED),
        (PKCS7 % (b"signed-data", b""), Kind.SIGNED),
        (PKCS7 % (b"compressed-data", b""), Kind.OTHER_CMS),
        (
            PKCS7 % (b"signed-data", bytes.fromhex("3080060b2a864886f70d0109100109")),
            Kind.OTHER_CMS,
        ),
        (
            b"Content-Type: text/plain\r\nContent-Type: application/pkcs7-mime\r\n\r\n",
            Kind.PLAIN,
        ),
    ],
)
def test_an_entity_is_told_by_what_it_claims(entity: bytes, kind: Kind) -> None:
    """Whatever the octets, there is an answer; in doubt it is *plain*."""
    assert smime.classify(entity) is kind
