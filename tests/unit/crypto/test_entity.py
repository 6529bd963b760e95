import pytest

from crypto.canonical import canonical, is_canonical
from crypto.entity import MAX_HEADER_OCTETS, read_entity, wrap_base64
from crypto.errors import CmsSyntaxError


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


@pytest.mark.parametrize(
    ("header", "body"),
    [
        (b"Content-Transfer-Encoding: base64", b"TWVzc2FnZQ=="),
        (b"Content-Transfer-Encoding: BASE64", b"TWVz\r\nc2Fn\r\nZQ=="),
        (b"Content-Transfer-Encoding: base64", b"TW!Vz*\x00c2F\xffnZQ=="),
        (b"Content-Transfer-Encoding: quoted-printable", b"Mess=61ge"),
        (b"Content-Transfer-Encoding: binary", b"Message"),
        (b"X: y", b"Message"),
    ],
)
def test_a_transfer_encoding_is_undone(header: bytes, body: bytes) -> None:
    """RFC 2045, 6.7 and 6.8: also where gateways left other characters among base64."""
    entity = read_entity(b"Content-Type: a/b\r\n" + header + b"\r\n\r\n" + body)

    assert entity.decoded_body() == b"Message"


@pytest.mark.parametrize("body", [b"TWV", b"TWVzc2FnZQ==\r\nlist footer", b"TW=zc2Fn"])
def test_base64_that_was_damaged_is_refused(body: bytes) -> None:
    """What is missing or appended must not be guessed."""
    entity = read_entity(b"Content-Transfer-Encoding: base64\r\n\r\n" + body)

    with pytest.raises(CmsSyntaxError):
        entity.decoded_body()


@pytest.mark.parametrize("encoding", [b"", b"Content-Transfer-Encoding: 7bit\r\n"])
def test_base64_of_a_structure_needs_no_announcement(encoding: bytes) -> None:
    """Some software forgets the field; seven-bit text cannot be the structure itself."""
    octets = b"\x30\x82\x01\x00" + bytes(256)
    entity = read_entity(encoding + b"Content-Type: a/b\r\n\r\n" + wrap_base64(octets))

    assert entity.decoded_body() == octets


@pytest.mark.parametrize(
    ("header", "file_name"),
    [
        (b'Content-Type: a/b; name="Smime.P7M"', "smime.p7m"),
        (b"Content-Type: a/b\r\nContent-Disposition: attachment; filename=smime.p7m", "smime.p7m"),
        (b"Content-Type: a/b; name=x\r\nContent-Disposition: attachment; filename=y", "x"),
        (b"Content-Type: a/b", ""),
    ],
)
def test_a_part_tells_what_it_is_to_be_saved_as(header: bytes, file_name: str) -> None:
    """Gateways lose the media type of S/MIME, and leave the name."""
    assert read_entity(header + b"\r\n\r\n").file_name == file_name
