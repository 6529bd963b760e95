"""The signed list of recipients: written, read, and what is no such list."""

import pytest

from crypto import der
from crypto.cms_parts import Attribute
from crypto.errors import CmsSyntaxError
from crypto.recipient_list import (
    IA5_STRING,
    MAX_LISTED,
    RECIPIENT_EMAILS,
    build_recipient_list,
    find_recipient_list,
    parse_recipient_list,
)
from tests.support.pki import the_pki

HOSPITAL = the_pki().hospital_confidentiality.certificate
PRACTICE = the_pki().practice_confidentiality.certificate
RID = der.sequence(HOSPITAL.issuer_der, HOSPITAL.serial_der)


def value_of(attribute: bytes) -> bytes:
    """Give the one value of an encoded attribute."""
    return der.parse(attribute).children()[1].children()[0].raw


def listed(address: bytes, rid: bytes = RID, *more: bytes) -> bytes:
    return der.sequence(der.encode(IA5_STRING, address), rid, *more)


def test_the_list_names_addresses_with_their_certificates() -> None:
    """Both, so that a list cannot be moved to keys of somebody else."""
    attribute = build_recipient_list([("a@x.fr", HOSPITAL), ("b@y.fr", PRACTICE)])

    found = {each.address: each.identifier for each in parse_recipient_list(value_of(attribute))}

    assert found["a@x.fr"].matches(HOSPITAL)
    assert not found["a@x.fr"].matches(PRACTICE)
    assert found["b@y.fr"].matches(PRACTICE)
    assert der.read_oid(der.parse(attribute).children()[0]) == RECIPIENT_EMAILS


def test_the_same_recipient_twice_is_listed_once() -> None:
    """A SET has no repetition."""
    attribute = build_recipient_list([("a@x.fr", HOSPITAL)] * 2)

    assert len(parse_recipient_list(value_of(attribute))) == 1


def test_a_key_identifier_names_a_recipient_too() -> None:
    """RFC 5652, 6.2.1 has two ways to name a certificate."""
    rid = der.encode(der.context(0, constructed=False), HOSPITAL.key_identifier)

    (found,) = parse_recipient_list(der.set_of([listed(b"a@x.fr", rid)]))

    assert found.identifier.matches(HOSPITAL)


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"\x31\x80",
        der.null(),
        der.set_of([]),
        der.sequence(listed(b"a@x.fr")),
        der.set_of([der.null()]),
        der.set_of([der.sequence(der.octet_string(b"a@x.fr"), RID)]),
        der.set_of([listed("é@x.fr".encode())]),
        der.set_of([listed(b"a" * 400)]),
        der.set_of([listed(b"a@x.fr", RID, der.null())]),
        der.set_of([listed(b"%d@x.fr" % number) for number in range(MAX_LISTED + 1)]),
    ],
    ids=range(11),
)
def test_what_is_no_list_is_refused(octets: bytes) -> None:
    """With the one declared error."""
    with pytest.raises(CmsSyntaxError):
        parse_recipient_list(octets)


@pytest.mark.parametrize(
    "values",
    [
        [(b"\x05\x00",)],
        [()],
        [(der.set_of([listed(b"a@x.fr")]),) * 2],
        [(der.set_of([listed(b"a@x.fr")]),)] * 2,
    ],
)
def test_a_list_that_can_be_doubted_names_nobody(values: list[tuple[bytes, ...]]) -> None:
    """If it counted as no list, an attacker would damage it."""
    attributes = [Attribute(oid=RECIPIENT_EMAILS, values=each) for each in values]

    assert find_recipient_list(attributes) == ()


def test_a_signature_without_list_says_nothing_about_recipients() -> None:
    """Most software has none, and that is no fault."""
    assert find_recipient_list([Attribute(oid="1.2.3", values=())]) is None
