"""What correspondents state that they can read."""

import pytest

from crypto import algorithms, der
from crypto.capabilities import (
    MAX_CAPABILITIES,
    find_capabilities,
    parse_capabilities,
    profile_of,
)
from crypto.cms_parts import Attribute
from crypto.enveloped_data import EnvelopeProfile
from crypto.errors import CmsSyntaxError

GCM, CBC = algorithms.AES256_GCM, algorithms.AES256_CBC
RC2 = "1.2.840.113549.3.2"


def capability(oid: str, *parameters: bytes) -> bytes:
    return der.sequence(der.oid(oid), *parameters)


def stated(*values: bytes) -> Attribute:
    return Attribute(oid=algorithms.SMIME_CAPABILITIES, values=values)


def test_capabilities_keep_their_order_and_lose_their_parameters() -> None:
    """The first is what the correspondent likes best."""
    octets = der.sequence(capability(CBC), capability(RC2, der.integer(128)), capability(CBC))

    assert parse_capabilities(octets) == (CBC, RC2)


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"\x30\x80",
        der.null(),
        der.sequence(der.null()),
        der.sequence(der.sequence()),
        der.sequence(*[capability(GCM)] * (MAX_CAPABILITIES + 1)),
    ],
)
def test_what_is_no_list_of_capabilities_is_refused(octets: bytes) -> None:
    """With the one declared error."""
    with pytest.raises(CmsSyntaxError):
        parse_capabilities(octets)


def test_a_statement_is_found_among_signed_attributes() -> None:
    """Whatever stands beside it."""
    other = Attribute(oid="1.2.3", values=(der.null(),))

    assert find_capabilities([other, stated(der.sequence(capability(GCM)))]) == (GCM,)


@pytest.mark.parametrize(
    "attributes",
    [
        [],
        [stated()],
        [stated(der.null())],
        [stated(der.sequence(), der.sequence())],
        [stated(der.sequence()), stated(der.sequence())],
    ],
)
def test_a_statement_that_can_be_doubted_is_none(attributes: list[Attribute]) -> None:
    """RFC 8551, 2.5.2: one attribute with one value."""
    assert find_capabilities(attributes) is None


@pytest.mark.parametrize(
    ("capabilities", "profile"),
    [
        ((GCM, CBC), EnvelopeProfile.MODERN),
        ((CBC, GCM), EnvelopeProfile.MODERN),
        ((CBC,), EnvelopeProfile.COMPATIBLE),
        ((RC2,), EnvelopeProfile.COMPATIBLE),
        ((algorithms.AES128_GCM,), EnvelopeProfile.COMPATIBLE),
        ((), EnvelopeProfile.COMPATIBLE),
    ],
)
def test_the_profile_is_the_best_that_is_stated(
    capabilities: tuple[str, ...], profile: EnvelopeProfile
) -> None:
    """And never the legacy one: that is only chosen by an administrator."""
    assert profile_of(capabilities) is profile
