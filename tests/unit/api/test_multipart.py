"""The reader of forms, on honest and hostile octets."""

from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.errors import MalformedFormError
from api.multipart import MAX_PARTS, FormPart, parse_form

KIND = "multipart/form-data; boundary=b"
HEAD = b'Content-Disposition: form-data; name="f"'


def a_form(*parts: bytes) -> bytes:
    """Join parts as a client does."""
    return b"".join(b"--b\r\n" + part + b"\r\n" for part in parts) + b"--b--\r\n"


def test_parts_come_in_their_order() -> None:
    """With name, file name, type and the exact octets."""
    octets = a_form(
        b'Content-Disposition: form-data; name="draft"\r\n\r\n{}',
        b'content-disposition: Form-Data; name=f; filename="a.pdf"\r\n'
        b"Content-Type: application/pdf\r\n\r\n\r\n--\n--b\r\n\x00",
    )

    assert parse_form(octets, KIND) == (
        FormPart(name="draft", filename=None, content_type=None, octets=b"{}"),
        FormPart(
            name="f",
            filename="a.pdf",
            content_type="application/pdf",
            octets=b"\r\n--\n--b\r\n\x00",
        ),
    )


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("été.pdf".encode(), "été.pdf"),
        (b"a%22b.pdf", 'a"b.pdf'),
        (b'a\\"b.pdf', 'a"b.pdf'),
        (b"a\\\\b", "a\\b"),
        (b"a%0D%0Ab", "a\r\nb"),
        (b"100%25.pdf", "100%25.pdf"),
        (b"a;b=c.pdf", "a;b=c.pdf"),
        (b"", ""),
    ],
)
def test_a_file_name_is_read_as_clients_write_it(written: bytes, name: str) -> None:
    """Browsers and libraries escape quotes in two ways."""
    (part,) = parse_form(a_form(HEAD + b'; filename="' + written + b'"\r\n\r\nx'), KIND)

    assert (part.filename, part.octets) == (name, b"x")


@pytest.mark.parametrize("kind", ['multipart/form-data; boundary="b"', "x; a=b; BOUNDARY=b; c=d"])
def test_the_boundary_is_found_as_clients_write_it(kind: str) -> None:
    """Quoted or not, in any case, anywhere among the parameters."""
    assert len(parse_form(a_form(HEAD + b"\r\n\r\n"), kind)) == 1


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"--b",
        b"--b\r\n",
        b"x" + a_form(HEAD + b"\r\n\r\n"),
        a_form(HEAD + b"\r\n\r\n")[:-6],
        a_form(b"\r\n"),
        a_form(b""),
        a_form(HEAD),
        a_form(b"\r\n\r\n"),
        a_form(b"X: y\r\n\r\n"),
        a_form(b"Content-Disposition: form-data\r\n\r\n"),
        a_form(b'Content-Disposition: attachment; name="f"\r\n\r\n'),
        a_form(HEAD + b"\r\n" + HEAD + b"\r\n\r\n"),
        a_form(HEAD + b"\r\nnonsense\r\n\r\n"),
        a_form(HEAD + b'; filename="\xff"\r\n\r\n'),
        a_form(HEAD + b"\r\nContent-Transfer-Encoding: base64\r\n\r\n"),
        a_form(HEAD + b"\r\nX: " + b"y" * 9000 + b"\r\n\r\n"),
        a_form(*[HEAD + b"\r\n\r\n"] * (MAX_PARTS + 1)),
        b"--b x\r\n" + HEAD + b"\r\n\r\n\r\n--b--",
    ],
)
def test_a_broken_form_is_refused(octets: bytes) -> None:
    """Guessing where a part ends would send a file that nobody chose."""
    with pytest.raises(MalformedFormError):
        parse_form(octets, KIND)


@pytest.mark.parametrize("kind", ["multipart/form-data", "x; boundary=", 'x; boundary="', "é", ""])
def test_a_form_needs_a_boundary(kind: str) -> None:
    """It is what separates the parts."""
    with pytest.raises(MalformedFormError):
        parse_form(a_form(HEAD + b"\r\n\r\n"), kind)


@pytest.mark.slow
@settings(max_examples=50)
@given(st.lists(st.binary(max_size=200).filter(lambda octets: b"--b" not in octets), max_size=5))
def test_the_octets_of_every_file_come_back(files: list[bytes]) -> None:
    """Whatever they are, line ends included."""
    parts = parse_form(a_form(*(HEAD + b"\r\n\r\n" + octets for octets in files)), KIND)

    assert [part.octets for part in parts] == files


@settings(max_examples=50)
@given(
    st.lists(st.sampled_from([b"--b", b"\r\n", HEAD, b"--", b": ", b"x", b'"', b";"]), max_size=30)
)
def test_any_octets_are_a_form_or_refused(pieces: list[bytes]) -> None:
    """No other error, whatever comes."""
    with suppress(MalformedFormError):
        parse_form(b"".join(pieces), KIND)
