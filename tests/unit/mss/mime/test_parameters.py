"""Parameters of Content-Type and Content-Disposition."""

import pytest

from mss.mime.errors import HeaderValueError, MessageLimitError, MessageSyntaxError
from mss.mime.parameters import build_parameters, parse_parameters


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"text/plain", ("text/plain", {})),
        (b"Text/PLAIN; Charset=UTF-8", ("text/plain", {"charset": "UTF-8"})),
        (b'a/b; name="x;y\\"z"; q=1', ("a/b", {"name": 'x;y"z', "q": "1"})),
        (b"a/b;; name = x ;", ("a/b", {"name": "x"})),
        (b"a/b; name=IHE XDM (1).zip", ("a/b", {"name": "IHE XDM (1).zip"})),
        (b"a/b (comment); charset=utf-8 (really)", ("a/b", {"charset": "utf-8"})),
        (b'a/b; name="=?utf-8?q?=C3=A9.pdf?="', ("a/b", {"name": "é.pdf"})),
        (b"a/b; name*=utf-8'fr'%C3%A9.pdf", ("a/b", {"name": "é.pdf"})),
        (b"a/b; name*=iso-8859-1''%E9.pdf", ("a/b", {"name": "é.pdf"})),
        (b"a/b; name*1=b.pdf; name*0=a", ("a/b", {"name": "ab.pdf"})),
        (b"a/b; name*0*=utf-8''%C3; name*1*=%A9; name*2=%41", ("a/b", {"name": "é%41"})),
        (b"a/b; name=e.pdf; name*=utf-8''%C3%A9.pdf", ("a/b", {"name": "é.pdf"})),
        (b"a/b; name*0=a; name*2=c", ("a/b", {"name": "a"})),
        (b"a/b; name*=%41", ("a/b", {"name": "A"})),
    ],
)
def test_parameters_are_read(value: bytes, expected: tuple[str, dict[str, str]]) -> None:
    """File names come in five spellings; all of them occur."""
    assert parse_parameters(value) == expected


@pytest.mark.parametrize(
    "value",
    [
        b"multipart/mixed; boundary=a; boundary=b",
        b"multipart/mixed; boundary=a; BOUNDARY=b",
        b"a/b; name*0=a; name*0=b",
        b"a/b; name*=''a; name*0*=''b",
        b'a/b; name="a',
        b'a/b; name="a" b',
        b'a/b; name="a\\"',
    ],
)
def test_a_parameter_with_two_values_is_refused(value: bytes) -> None:
    """Two readers with two boundaries see two messages."""
    with pytest.raises(MessageSyntaxError):
        parse_parameters(value)


@pytest.mark.parametrize("section", [b"; name*%d=a", b"; name*%d*=a", b"; n%d=a", b";x%d"], ids=str)
def test_a_hundred_thousand_sections_are_refused(section: bytes) -> None:
    """Dovecot CVE-2026-27859: every section cost a copy of the rest."""
    value = b"a/b" + b"".join(section % number for number in range(100_000))
    with pytest.raises(MessageLimitError):
        parse_parameters(value)


def test_a_decoded_file_name_cannot_break_lines() -> None:
    """Row 21 of the threats: RFC 2231 can carry any octet."""
    _, values = parse_parameters(b"a/b; name*=utf-8''a%0D%0AX%E2%80%AEfdp.exe%00")
    assert values["name"].isprintable()


@pytest.mark.parametrize(
    "name",
    [
        "IHE_XDM.zip",
        "20220531_CR d'imagerie médicale_CORSE_FIGATELLIX.pdf",
        'a "quoted" \\ name.pdf',
        "=?utf-8?q?x?=.pdf",
        "é" * 200,
        "a" * 200,
        "a;b=c",
        "",
        "%41'b",
    ],
)
def test_a_file_name_survives(name: str) -> None:
    """ECO.2.1.6: spaces, apostrophes and accents arrive as they were sent."""
    field = build_parameters("Content-Disposition", "attachment", {"filename": name})
    assert max(map(len, field.split(b"\r\n"))) <= 78
    assert field.isascii()
    assert parse_parameters(field.partition(b":")[2]) == ("attachment", {"filename": name})


@pytest.mark.parametrize("name", ["a\r\nBcc: b", "a\0"])
def test_a_file_name_with_a_control_is_refused(name: str) -> None:
    """Row 21 of the threats: header injection through a file name."""
    with pytest.raises(HeaderValueError):
        build_parameters("Content-Disposition", "attachment", {"filename": name})


def test_a_parameter_name_is_a_token() -> None:
    """Anything else would end the parameter."""
    with pytest.raises(HeaderValueError):
        build_parameters("Content-Type", "a/b", {"x; y": "z"})
