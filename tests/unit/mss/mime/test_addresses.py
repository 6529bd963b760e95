"""The only parser of address lists."""

import pytest

from directory.address import MailAddress
from mss.mime.addresses import NamedAddress, build_addresses, parse_address, parse_addresses
from mss.mime.errors import HeaderValueError, MessageLimitError, MessageSyntaxError
from mss.mime.limits import MimeLimits


def _read(value: bytes) -> list[tuple[str, str]]:
    return [(item.display_name, str(item.address)) for item in parse_addresses(value)]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b" a@b.fr", [("", "a@b.fr")]),
        (b" <a@b.fr>", [("", "a@b.fr")]),
        (b" Jean DUPONT <a@b.fr>", [("Jean DUPONT", "a@b.fr")]),
        (b" Dr_Jean_DUPONT_CHU <a@b.fr>", [("Dr_Jean_DUPONT_CHU", "a@b.fr")]),
        (b" Dr. Jean <a@b.fr>", [("Dr. Jean", "a@b.fr")]),
        (b' "DUPONT, Jean" <a@b.fr>', [("DUPONT, Jean", "a@b.fr")]),
        (b' "a \\"b\\" <x@y.fr>" <a@b.fr>', [('a "b" <x@y.fr>', "a@b.fr")]),
        (b" a@b.fr,\r\n c@d.fr", [("", "a@b.fr"), ("", "c@d.fr")]),
        (b" a@b.fr (Jean (le (grand)) \\) )", [("", "a@b.fr")]),
        (b" (note) Jean (x) <a@b.fr> (y)", [("Jean", "a@b.fr")]),
        (b" =?utf-8?q?H=C3=B4pital?= <a@b.fr>", [("Hôpital", "a@b.fr")]),
        (b" H\xc3\xb4pital <a@b.fr>", [("Hôpital", "a@b.fr")]),
        (b" undisclosed-recipients:;", []),
        (b" Destinataires inconnus: ;", []),
    ],
)
def test_ordinary_lists_are_read(value: bytes, expected: list[tuple[str, str]]) -> None:
    """What mail software writes every day."""
    assert _read(value) == expected


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b",",
        b"a@b.fr,",
        b"a@b.fr,,c@d.fr",
        b"a@b.fr c@d.fr",
        b"a@b.fr; c@d.fr",
        b'"a@evil.fr"@mss.fr',
        b"a@x.fr(b)@y.fr",
        b"a(b)@x.fr",
        b"a@(b)x.fr",
        b"<a@b.fr(c)>",
        b"a @ b.fr",
        b"a@ b.fr",
        b"< a@b.fr >",
        b"<a@b.fr> <c@d.fr>",
        b"<a@b.fr> Jean",
        b"a@b.fr <c@d.fr>",
        b"Jean a@b.fr",
        b"=?utf-8?q?a=40x=2C?=",
        b"=?utf-8?q?a=40x.fr=2C?= c@d.fr",
        b"Group: a@b.fr, c@d.fr;",
        b"Group: a@b.fr;",
        b"<@relay.fr:a@b.fr>",
        b"a%c.fr@b.fr",
        b"b.fr!a@c.fr",
        b"a@[127.0.0.1]",
        b"a@b.fr.",
        b".a@b.fr",
        b"a@b\xe2\x80\xa4fr",
        "a@p\u0430ypal.fr".encode(),
        b"Jean",
        b'"Jean',
        b"(Jean",
        b"Jean) <a@b.fr>",
        b"<a@b.fr",
        b"a@b.fr>",
        b"<>",
        b"a@b.fr\x00",
        b"a@@b.fr",
        b"\\a@b.fr",
    ],
)
def test_what_two_parsers_could_read_differently_is_refused(value: bytes) -> None:
    """Row 22 of the threats: routing, keys and audit must see the same recipient."""
    with pytest.raises(MessageSyntaxError):
        parse_addresses(value)


def test_a_decoded_comma_separates_nothing() -> None:
    """CVE-2025-1795: structure comes first, decoding after."""
    assert _read(b"=?utf-8?q?x=40evil=2Efr=2C?= <a@b.fr>") == [("x@evil.fr,", "a@b.fr")]


def test_a_display_name_cannot_hide_or_break_lines() -> None:
    """It is shown beside the address and written to new messages."""
    name = parse_address(b"=?utf-8?q?a=0D=0ATo=3A_b=E2=80=AE?= <a@b.fr>").display_name
    assert name.isprintable()


def test_the_number_of_addresses_is_bounded() -> None:
    """Each address costs a look-up later."""
    limits = MimeLimits(addresses=3)
    assert len(parse_addresses(b"a@b.fr, a@b.fr, a@b.fr", limits)) == 3
    with pytest.raises(MessageLimitError):
        parse_addresses(b"a@b.fr, a@b.fr, a@b.fr, a@b.fr", limits)


@pytest.mark.parametrize("value", [b"a@b.fr, c@d.fr", b"x:;"])
def test_one_address_means_one(value: bytes) -> None:
    """Several authors, or none, leave nobody to hold to account."""
    with pytest.raises(MessageSyntaxError):
        parse_address(value)


@pytest.mark.parametrize("name", ["a\r\nBcc: x@y.fr", "a\nb", "a\0b", "a\u2029b"])
def test_a_name_with_a_line_break_is_refused(name: str) -> None:
    """Row 21 of the threats: header injection through a display name."""
    item = NamedAddress(address=MailAddress.parse("a@b.fr"), display_name=name)
    with pytest.raises(HeaderValueError):
        build_addresses("To", [item])


def test_a_long_list_is_folded() -> None:
    """Fifty recipients on one line would exceed what SMTP carries."""
    items = [NamedAddress(address=MailAddress.parse(f"jean.dupont{n}@b.fr")) for n in range(50)]
    field = build_addresses("To", items)
    assert max(map(len, field.split(b"\r\n"))) <= 76
    assert parse_addresses(field[3:]) == tuple(items)
